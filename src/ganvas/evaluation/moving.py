"""Pictures moved and turned as exactly as their grids allow (Karras et al. 2021, appendix E).

Every function returns the picture and a mask (1, 1, H, W), 1 where no pixel was missing for it.
Positions are those of `evaluation/equivariance.py`: x to the right, y down.

A turned picture holds only the frequencies that its own grid and the first one can both hold: an
octagon. The kernel is the integral of the waves in it, within the convolution of two of Lanczos'
windows, one along the axes of each grid (E.3). The authors' code has it from truncated sincs on a
grid of a quarter of a pixel; here it is integrated, and evaluated at every distance.
"""

from math import floor

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_LOBES = 3
_REACH = 2 * _LOBES
"""Of the kernel of rotations along an axis of the picture, in pixels; what is beyond is cut off."""
_STEPS = 16
"""Entries of the kernel's table for each pixel."""
_WAVES = 128
"""Points at which the octagon is integrated along one axis."""
_AT_ONCE = 2**14
"""Pixels turned at a time."""


def translate_by_pixels(picture: Tensor, right: int, down: int) -> tuple[Tensor, Tensor]:
    """(C, H, W) moved by whole pixels (E.1)."""
    moved = picture.roll((down, right), (-2, -1))
    inside = torch.ones_like(picture[:1])
    height, width = picture.shape[-2:]
    for axis, size, distance in ((-2, height, down), (-1, width, right)):
        start = torch.arange(size, device=picture.device) - distance
        valid = ((start >= 0) & (start < size)).to(picture)
        inside = inside * (valid[:, None] if axis == -2 else valid)
    return moved, inside


def translate(picture: Tensor, right: float, down: float) -> tuple[Tensor, Tensor]:
    """(C, H, W) moved by fractions of pixels, with Lanczos' kernel of three lobes (E.2)."""
    mask = torch.ones_like(picture[:1])
    for axis, distance in ((-2, down), (-1, right)):
        picture, valid = _translate_along(picture, axis, distance)
        mask = mask * valid
    return picture, mask


def rotate(picture: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The picture (C, S, S) that shows at p what (C, S, S) did at matrix (2, 2) times p (E.3)."""
    side = picture.shape[-1]
    table = _octagon_kernel(matrix)
    axis = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    sources = torch.stack([x, y], -1).flatten(0, 1) @ matrix.double().T + (side - 1) / 2
    parts = [_read(picture, table, part) for part in sources.split(_AT_ONCE)]
    turned, valid = (torch.cat(tensors, 1) for tensors in zip(*parts, strict=True))
    return turned.unflatten(1, (side, side)), valid.unflatten(1, (side, side))


def as_if_rotated(picture: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """(C, S, S) where it is, with the frequencies that `rotate` by the matrix leaves (E.3)."""
    kernel = _octagon_kernel(matrix.T)[::_STEPS, ::_STEPS]
    kernel = (kernel / kernel.sum()).to(picture)
    filtered = F.conv2d(picture[:, None], kernel[None, None], padding=_REACH)[:, 0]
    mask = torch.zeros_like(picture[:1])
    mask[:, _REACH:-_REACH, _REACH:-_REACH] = 1
    return filtered, mask


def _translate_along(picture: Tensor, axis: int, distance: float) -> tuple[Tensor, Tensor]:
    first = floor(-distance) - _LOBES + 1
    offsets = torch.arange(first, first + 2 * _LOBES)  # of the pixels that each pixel is made of
    away = (offsets + distance).double()
    weights = torch.sinc(away) * torch.sinc(away / _LOBES) * (away.abs() < _LOBES)
    weights = weights / weights.sum()
    size = picture.shape[axis]
    positions = torch.arange(size)[:, None] + offsets
    valid = ((positions >= 0) & (positions < size)).all(1).to(picture)
    moved = torch.zeros_like(picture)
    for offset, weight in zip(offsets.tolist(), weights.tolist(), strict=True):
        moved += weight * picture.roll(-offset, axis)
    return moved, valid[:, None] if axis == -2 else valid[None]


def _read(picture: Tensor, table: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """(C, S, S) at positions (P, 2), in pixels: (C, P), and whether all was there, (1, P)."""
    side = picture.shape[-1]
    around = torch.arange(1 - _REACH, _REACH + 1)
    offsets = torch.cartesian_prod(around, around)
    taps = positions.floor().long()[:, None] + offsets  # (P, T, 2)
    away = (positions[:, None] - taps) / _REACH
    weights = F.grid_sample(table[None, None], away[None], align_corners=True)[0, 0]
    weights = weights / weights.sum(1, keepdim=True)
    inside = ((taps >= 0) & (taps < side)).all(2).all(1)
    x, y = taps.clamp(0, side - 1).unbind(2)
    found = picture.flatten(1)[:, (y * side + x).to(picture.device)]  # (C, P, T)
    values = torch.einsum("cpt,pt->cp", found, weights.to(picture))
    return values, inside[None].to(picture)


def _octagon_kernel(matrix: Tensor) -> Tensor:
    """A table over the square of `_REACH` pixels around 0, (y, x), float64.

    Over distances v in the grid that is read, of which the one that is made has axes so that
    matrix (2, 2) maps its distances to v.
    """
    matrix = matrix.double().cpu()
    axis = torch.linspace(-_REACH, _REACH, 2 * _REACH * _STEPS + 1, dtype=torch.float64)
    return _waves(axis, matrix) * _double_window(axis, matrix)


def _waves(axis: Tensor, matrix: Tensor) -> Tensor:
    """The integral of cos(2 pi f v) over |f| <= 1/2 and |matrix^T f| <= 1/2, in both components."""
    nodes, weights = (torch.from_numpy(a) / 2 for a in np.polynomial.legendre.leggauss(_WAVES))
    low, high = torch.full_like(nodes, -0.5), torch.full_like(nodes, 0.5)
    for along, across in matrix.T.tolist():  # |along * f_x + across * f_y| <= 1/2
        if abs(across) > 1e-9:
            ends = torch.stack([(-0.5 - along * nodes) / across, (0.5 - along * nodes) / across])
            low, high = torch.maximum(low, ends.amin(0)), torch.minimum(high, ends.amax(0))
    extent, centre = (high - low).clamp(min=0), (high + low) / 2
    y = axis[:, None]
    amplitudes = weights * extent * torch.sinc(y * extent)  # (Y, waves)
    phases, shifts = 2 * torch.pi * y * centre, 2 * torch.pi * nodes[:, None] * axis
    return (amplitudes * phases.cos()) @ shifts.cos() - (amplitudes * phases.sin()) @ shifts.sin()


def _double_window(axis: Tensor, matrix: Tensor) -> Tensor:
    """Lanczos' window along the axes of the grid read, convolved with one along the other's."""
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    turned = torch.stack([x, y], -1) @ matrix  # matrix^T times each
    spectra = [
        torch.fft.rfft2(_lanczos(a) * _lanczos(b), s=(2 * len(axis), 2 * len(axis)))
        for a, b in ((x, y), turned.unbind(-1))
    ]
    middle, size = len(axis) // 2, len(axis)
    both: Tensor = torch.fft.irfft2(spectra[0] * spectra[1], s=(2 * size, 2 * size))
    return both[middle : middle + size, middle : middle + size]


def _lanczos(x: Tensor) -> Tensor:
    return torch.sinc(x / _LOBES) * (x.abs() < _LOBES)
