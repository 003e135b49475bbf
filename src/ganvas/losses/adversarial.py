"""The objectives of the adversarial game, as functions of the discriminator's logits.

The discriminator outputs a logit a; D(x) = sigmoid(a) is its probability that x is real. With
softplus(a) = log(1 + exp(a)):  -log D = softplus(-a)  and  -log(1 - D) = softplus(a), which are
exact and finite for every finite logit (a logarithm of a clamped sigmoid is neither).

Every function takes logits of any shape and returns losses of that shape, to be minimised.
"""

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Objective = Literal["minimax", "non-saturating"]


def real_is_real(logits: Tensor) -> Tensor:
    """-log D(x), the discriminator's loss on real images (Goodfellow et al. 2014, eq. 1)."""
    return F.softplus(-logits)


def fake_is_fake(logits: Tensor) -> Tensor:
    """-log(1 - D(G(z))), the discriminator's loss on fakes (Goodfellow et al. 2014, eq. 1)."""
    return F.softplus(logits)


def minimax(logits: Tensor) -> Tensor:
    """log(1 - D(G(z))), the generator's side of the minimax game (Goodfellow et al. 2014, eq. 1).

    Its gradient vanishes where the discriminator is sure of itself (logits well below zero).
    """
    return -F.softplus(logits)


def non_saturating(logits: Tensor) -> Tensor:
    """-log D(G(z)), the generator's loss of Goodfellow et al. 2014, section 3.

    The same fixed point as `minimax`, with the strongest gradient where the generator loses.
    """
    return F.softplus(-logits)


GENERATOR_LOSSES: dict[Objective, Callable[[Tensor], Tensor]] = {
    "minimax": minimax,
    "non-saturating": non_saturating,
}
