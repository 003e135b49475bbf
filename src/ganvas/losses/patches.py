"""The game of Pix2Pix and CycleGAN, on the outputs of a discriminator of patches.

Both papers halve the discriminator's loss, so that it learns more slowly relative to the generator
(Isola et al. 2017, section 3.3; Zhu et al. 2017, section 7.1), and average over all patches.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganvas.losses.adversarial import Objective, discriminator_losses, generator_losses
from ganvas.losses.penalties import identity, zero_centred


def discriminator_game(
    objective: Objective, real: Tensor, fake: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Half of the sum of a discriminator's losses, a scalar, and each as a scalar.

    Least squares: 1/2 E(D(y) - 1)^2 + 1/2 E D(G(x))^2 (Zhu et al. 2017, section 4).

    Args:
        objective: What is played for.
        real: Its outputs at real pictures, (N, 1, h, w).
        fake: Those at fakes, of the same shape.
    """
    losses = discriminator_losses(objective, real, fake)
    parts = {name: _scale(objective) * loss.mean() for name, loss in losses.items()}
    return 0.5 * torch.stack(list(parts.values())).sum(), parts


def generator_game(objective: Objective, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """A generator's loss, a scalar; of least squares E(D(G(x)) - 1)^2 (Zhu et al., section 4).

    Args:
        objective: What is played for.
        fake: The discriminator's outputs at its fakes, (N, 1, h, w).
        real: Those at real pictures, where the objective compares pairs.
    """
    return _scale(objective) * generator_losses(objective, fake, real).mean()


def slope(
    network: nn.Module,
    images: Tensor,
    answers: int,
    transform: Callable[[Tensor], Tensor] = identity,
) -> Tensor:
    """E|grad D(x)|^2 at real pictures, a scalar, with the mean of all answers as D(x).

    R1 of Mescheder et al. 2018, eq. 9, without gamma/2. The mean is what a PatchGAN says of a
    picture (Isola et al. 2017, section 3.2.2), and makes gamma mean the same at all sizes.

    Args:
        network: A discriminator of patches.
        images: (N, C, H, W).
        answers: How many patches it judges in a picture of that size.
        transform: What it sees of the images.
    """
    return zero_centred(network, images, None, transform).mean() / answers**2


def _scale(objective: Objective) -> float:
    """Least squares with a half (Mao et al. 2017) as the papers here have them, without."""
    return 2.0 if objective == "least-squares" else 1.0
