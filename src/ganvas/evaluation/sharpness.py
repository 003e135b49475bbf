"""Sharpness: how much fine detail pictures have, against the real ones."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.errors import DataError
from ganvas.evaluation.estimate import Estimate, Z
from ganvas.evaluation.features.base import to_rgb

_SMALLEST = 8  # pixels
_BATCH = 64
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


def high_frequency_energy(images: Tensor) -> Tensor:
    """The mean squared Laplacian of each picture's luminance.

    The energy of the Laplacian is a classic measure of focus (Subbarao et al. 1993; compared with
    35 others by Pertuz et al. 2013). The Laplacian weighs a spatial frequency f by f² (up to 64 at
    the finest), so blur lowers its energy and noise or a checkerboard raises it.

    Args:
        images: (N, C, H, W) uint8 or float32 in [0, 255]; grey, RGB, or RGBA, which is laid on
            white; at least 8 x 8.

    Returns:
        (N,) float64, in squared grey levels.

    Raises:
        DataError: The pictures are too small, or hold values that are not finite.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3, 4) or min(images.shape[2:]) < _SMALLEST:
        raise DataError(
            f"Sharpness needs grey, RGB or RGBA pictures of at least {_SMALLEST} x {_SMALLEST} "
            f"pixels (N, C, H, W), but their shape is {tuple(images.shape)}."
        )
    weights = torch.tensor(_LUMA, device=images.device)[:, None, None]
    filters = torch.tensor(_LAPLACIAN, device=images.device)[None, None]
    energies = []
    for part in images.split(_BATCH):
        luminance = (to_rgb(part.float()) * weights).sum(1, keepdim=True)
        energies.append(F.conv2d(luminance, filters).double().square().mean((1, 2, 3)).cpu())
    energy = torch.cat(energies) if energies else torch.empty(0, dtype=torch.float64)
    if not bool(energy.isfinite().all()):
        raise DataError(
            "A picture holds values that are not finite numbers (NaN), so it has no sharpness: "
            "the model's weights have diverged, or the file is damaged."
        )
    return energy


def sharpness(real: Tensor, fake: Tensor) -> Estimate:
    """Mean high-frequency energy of fakes over that of real pictures: 1 is as sharp as they are.

    Below 1 is blurred; above 1 has noise, ringing or a checkerboard that the real ones have not.

    Args:
        real: (N, C, H, W) as for `high_frequency_energy`, N >= 2.
        fake: (M, C', H, W), M >= 2, of the same size.

    Returns:
        The ratio, at least 0, with its 95% interval by the delta method.

    Raises:
        DataError: A set has fewer than two pictures, the sizes differ, pictures are too small or
            not finite, or every real one is of a single colour.
    """
    if min(len(real), len(fake)) < 2:
        raise DataError(
            f"Sharpness compares sets of at least 2 pictures each, but there are {len(real)} real "
            f"and {len(fake)} fake ones: give more."
        )
    if real.shape[2:] != fake.shape[2:]:
        raise DataError(
            f"The real pictures have the shape {tuple(real.shape[1:])} and the fake ones "
            f"{tuple(fake.shape[1:])}, but fine detail can only be compared at one size: bring "
            "both to the same."
        )
    return energy_ratio(high_frequency_energy(real), high_frequency_energy(fake))


def energy_ratio(base: Tensor, seen: Tensor) -> Estimate:
    """`sharpness` of pictures whose energies (N,) and (M,) are known; same errors."""
    if base.sum() == 0:
        raise DataError(
            "Every real picture is of a single colour, so there is no detail against which "
            "sharpness could be measured: check the source of the real pictures."
        )
    ratio = (seen.mean() / base.mean()).item()
    variance = seen.var() / len(seen) + ratio**2 * base.var() / len(base)
    half = Z * math.sqrt(variance.item()) / base.mean().item()
    return Estimate(ratio, (max(0.0, ratio - half), ratio + half))
