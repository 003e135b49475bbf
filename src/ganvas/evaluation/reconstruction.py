"""How well pictures are reconstructed: PSNR and SSIM."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.errors import DataError

_PEAK = 255.0
_EQUAL = 100.0  # dB
_BATCH = 32
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each pair, 10 log₁₀(255² / mean squared error).

    Args:
        a: (N, C, H, W) uint8 or float32 in [0, 255].
        b: The same shape.

    Returns:
        (N,) float64 in decibels, at most 100, which is what equal pictures have in place of
        infinity, so that means stay finite.

    Raises:
        DataError: The shapes differ, or a value is not finite.
    """
    _check(a, b)
    errors = [
        (x.double() - y.double()).square().mean((1, 2, 3)).cpu()
        for x, y in zip(a.split(_BATCH), b.split(_BATCH), strict=True)
    ]
    error = torch.cat(errors).clamp(min=_PEAK**2 / 10 ** (_EQUAL / 10))
    return 10 * torch.log10(_PEAK**2 / error)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of each pair, the mean over channels and places.

    Wang et al. 2004, eqs. 13 to 17: a Gaussian window of 11 x 11 with σ = 1.5 wherever it fits
    inside the picture, K₁ = 0.01, K₂ = 0.03, moments weighted by the window. A picture with a side
    below 11 pixels gets the largest odd window that fits, with the same σ.

    Args:
        a: (N, C, H, W) uint8 or float32 in [0, 255].
        b: The same shape.

    Returns:
        (N,) float64 in [-1, 1]; 1 for equal pictures.

    Raises:
        DataError: The shapes differ, or a value is not finite.
    """
    _check(a, b)
    side = min(_WINDOW, *a.shape[2:])
    window = _gaussian(side if side % 2 else side - 1).to(a.device)
    pairs = zip(a.split(_BATCH), b.split(_BATCH), strict=True)
    return torch.cat([_similarity(x.double(), y.double(), window).cpu() for x, y in pairs])


def _check(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or a.ndim != 4 or a.numel() == 0:
        raise DataError(
            "A reconstruction is compared with its picture, so both need the same shape "
            f"(N, C, H, W) and at least one picture; these have {tuple(a.shape)} and "
            f"{tuple(b.shape)}."
        )
    if not bool(a.isfinite().all() and b.isfinite().all()):
        raise DataError(
            "A picture or its reconstruction holds values that are not finite numbers (NaN): the "
            "model's weights have diverged, or the file is damaged."
        )


def _gaussian(side: int) -> Tensor:
    """Weights (side,) float64 that sum to 1."""
    places = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    weights = torch.exp(-places.square() / (2 * _SIGMA**2))
    return weights / weights.sum()


def _blur(images: Tensor, window: Tensor) -> Tensor:
    """The window's mean at every place where it fits, channel by channel."""
    planes = images.flatten(0, 1)[:, None]
    rows = F.conv2d(planes, window[None, None, :, None])
    return F.conv2d(rows, window[None, None, None, :])


def _similarity(x: Tensor, y: Tensor, window: Tensor) -> Tensor:
    mean_x, mean_y = _blur(x, window), _blur(y, window)
    variances = _blur(x * x + y * y, window) - mean_x.square() - mean_y.square()
    covariance = _blur(x * y, window) - mean_x * mean_y
    structure = (2 * covariance + _C2) / (variances + _C2)
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x.square() + mean_y.square() + _C1)
    return (luminance * structure).view(len(x), -1).mean(1)
