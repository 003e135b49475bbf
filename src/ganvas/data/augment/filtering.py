"""Image-space filtering: the strength of four bands of frequency (Karras et al. 2020a, app. B)."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .chance import Dice
from .sampling import filter_matrix, separable

SYM2 = tuple(
    tap / (4 * math.sqrt(2))
    for tap in (1 - math.sqrt(3), 3 - math.sqrt(3), 3 + math.sqrt(3), 1 + math.sqrt(3))
)
"""The orthogonal low-pass filter of the symlet with two vanishing moments (Daubechies 1988)."""

POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""Expected power of natural images in each band: their spectrum falls as 1/f."""


class Bands(nn.Module):
    """Images as the sum of four bands: [0, pi/8], [pi/8, pi/4], [pi/4, pi/2] and [pi/2, pi].

    Args:
        height: Of the pictures.
        width: Of the pictures.
    """

    rows: Tensor
    columns: Tensor
    power: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows", band_matrices(height), persistent=False)
        self.register_buffer("columns", band_matrices(width), persistent=False)
        self.register_buffer("power", torch.tensor(POWER), persistent=False)

    def gains(self, dice: Dice) -> Tensor:
        """The gain g of each band, (N, 4), that keeps the expected power of an image."""
        g = torch.ones(1, len(POWER), device=self.power.device)
        for band in range(len(POWER)):
            # amplification of this band
            s = dice.lognormal(1)
            t = torch.ones(len(s), len(POWER), device=s.device)
            t[:, band] = s
            t = t / (self.power * t.square()).sum(1, keepdim=True).sqrt()
            g = g * dice.sometimes(t, 1)
        return g

    def forward(self, images: Tensor, gains: Tensor) -> Tensor:
        """Images (N, C, H, W) with the gains (N, 4) of their bands, along x and along y."""
        rows, columns = (torch.tensordot(gains, m, 1)[:, None] for m in (self.rows, self.columns))
        return separable(rows, images, columns)


def band_matrices(size: int) -> Tensor:
    """The filter of each band for pictures of this size, (4, size, size) float32."""
    taps = torch.stack(band_filters())
    reach = taps.shape[1] // 2
    columns = torch.arange(size)[:, None] + torch.arange(-reach, reach + 1)
    return torch.stack([filter_matrix(columns, band.float(), size) for band in taps])


def band_filters() -> list[Tensor]:
    """The four filters, float64 and of the same odd length, that are centred and add up to 1.

    Halves of the spectrum are split off by L(z) = H(z) H(1/z) / 2 and 1 - L(z), first the upper one
    of all, then that of the lower half, and so on: (1 - L(z^4)) L(z^2) L(z) is the second band.
    """
    h = np.array(SYM2)
    low = np.convolve(h, h[::-1]) / 2
    bands, below = [], np.ones(1)
    for level in (1, 2, 4):
        split = np.zeros((len(low) - 1) * level + 1)
        split[::level] = low
        lower = np.convolve(below, split)
        bands.append(centred(below, len(lower)) - lower)
        below = lower
    bands.append(below)
    return [torch.from_numpy(centred(band, len(below))) for band in reversed(bands)]


def centred(taps: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """A filter of odd length, made longer by zeros on both sides."""
    return np.pad(taps, (length - len(taps)) // 2)
