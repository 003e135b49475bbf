"""The objectives of the adversarial game, as functions of the discriminator's outputs.

The discriminator outputs any number a; where the paper has a probability that x is real, it is
D(x) = sigmoid(a). With softplus(a) = log(1 + exp(a)):  -log D = softplus(-a)  and  -log(1 - D) =
softplus(a), which are exact and finite for every finite a (a logarithm of a clamped sigmoid is
neither).

Every function takes outputs of any shape and returns losses of that shape, to be minimised.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Objective = Literal[
    "minimax", "non-saturating", "least-squares", "hinge", "wasserstein", "relativistic"
]


def discriminator_losses(
    objective: Objective,
    real: Tensor,
    fake: Tensor,
    *,
    real_target: float = 1.0,
    fake_target: float = 0.0,
) -> dict[str, Tensor]:
    """The discriminator's losses, to be averaged and added.

    Args:
        objective: What D and G play for.
        real: D's outputs for real images.
        fake: D's outputs for fakes, of the same shape.
        real_target: What D shall say of real images: a probability for minimax and non-saturating
            (0.9 is the one-sided label smoothing of Salimans et al. 2016, section 3.4), the b of
            least squares. Other objectives have no targets.
        fake_target: The same of fakes; the a of least squares.

    Returns:
        `real` and `fake`, or `pair` where the objective compares pairs.

    Raises:
        ValueError: Targets for an objective that has none.
    """
    if not has_probabilities(objective) and (real_target, fake_target) != (1.0, 0.0):
        raise ValueError(f"{objective} has no targets to smooth")
    if objective == "relativistic":
        return {"pair": relativistic(fake, real)}
    if objective == "wasserstein":
        return {"real": -real, "fake": fake}
    if objective == "hinge":
        return {"real": hinge(real), "fake": hinge(-fake)}
    if objective == "least-squares":
        return {"real": least_squares(real, real_target), "fake": least_squares(fake, fake_target)}
    return {"real": cross_entropy(real, real_target), "fake": cross_entropy(fake, fake_target)}


def generator_losses(objective: Objective, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """The generator's losses, to be averaged.

    Args:
        objective: What D and G play for.
        fake: D's outputs for fakes.
        real: D's outputs for real images, where the objective compares pairs.

    Raises:
        ValueError: No `real` where it is needed.
    """
    if objective == "relativistic":
        if real is None:
            raise ValueError("relativistic compares fakes with real images: it needs both")
        return relativistic(real, fake)
    if objective in ("wasserstein", "hinge"):
        return -fake
    if objective == "least-squares":
        return least_squares(fake, 1.0)
    return minimax(fake) if objective == "minimax" else non_saturating(fake)


def compares_pairs(objective: Objective) -> bool:
    """Whether losses are those of pairs of a real image and a fake."""
    return objective == "relativistic"


def has_probabilities(objective: Objective) -> bool:
    """Whether D has targets to smooth: probabilities, or the values of least squares."""
    return objective in ("minimax", "non-saturating", "least-squares")


def tells_by_sign(objective: Objective) -> bool:
    """Whether D's output is above 0 where D takes a sample for real."""
    return objective in ("minimax", "non-saturating", "hinge")


def cross_entropy(logits: Tensor, target: float) -> Tensor:
    """-t log D - (1 - t) log(1 - D).

    With t = 1 at real images and 0 at fakes the discriminator's side of Goodfellow et al. 2014,
    eq. 1; with t between the two, smoothed labels (Salimans et al. 2016, section 3.4).
    """
    return target * F.softplus(-logits) + (1 - target) * F.softplus(logits)


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


def least_squares(outputs: Tensor, target: float) -> Tensor:
    """(a - t)^2 / 2 (Mao et al. 2017, eq. 2 and 9).

    t = 1 at real images and 0 at fakes for D, 1 at fakes for G: the 0-1 coding, b = c = 1, a = 0.
    """
    return 0.5 * (outputs - target).square()


def hinge(outputs: Tensor) -> Tensor:
    """max(0, 1 - a): D's loss at real images, and at fakes with -a; the generator's is -a.

    Lim & Ye 2017; Miyato et al. 2018, eq. 16 and 17.
    """
    return F.relu(1 - outputs)


def relativistic(lower: Tensor, higher: Tensor) -> Tensor:
    """softplus(lower - higher): each pair's higher output shall be above its lower one.

    The relativistic pairing loss (Jolicoeur-Martineau 2018; Huang et al. 2024, eq. 2, logistic):
    D's of D(G(z)) - D(x), the generator's of the reverse.
    """
    return F.softplus(lower - higher)


def is_zero_sum(objective: Objective) -> bool:
    """Whether G's loss is the negative of D's, up to what does not depend on G."""
    return objective in ("minimax", "wasserstein")
