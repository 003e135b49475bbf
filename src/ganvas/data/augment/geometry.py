"""Pixel blitting and general geometric transformations (Karras et al. 2020a, appendix B).

The paper gathers them in one matrix G and takes the output's pixel at r from the input at G^-1 r.
Here G^-1 itself is gathered: where the paper has G <- T G, this has G^-1 <- G^-1 T^-1. The origin
is the centre of the picture, lengths are in pixels, vectors are (x, y, 1).

Deviations:

- A picture that was blitted only is copied pixel by pixel, bit for bit. The paper calls blitting
  such a copy, while its pseudocode filters the picture twice in any case.
- A picture that is not square is never turned by 90 degrees, which would show its mirrored borders
  in place of itself, but by 180 degrees half of the time. The paper's pictures are square.
- Filtered pixels are taken to be where the filter puts them: SYM6 is not quite symmetric, and slow
  signals come out `DELAY` taps after its first, not at the middle.
"""

import math

import torch
from torch import Tensor, nn

from .chance import Dice
from .matrices import compose, rotate, scale, translate
from .sampling import bilinear, filter_matrix, look_up, mirrored, separable

SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633,
    0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252,
    -0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
"""The orthogonal low-pass filter of the symlet with six vanishing moments (Daubechies 1992)."""

DELAY = sum(k * tap for k, tap in enumerate(SYM6)) / sum(SYM6)


def blitting(dice: Dice, height: int, width: int) -> Tensor:
    """G^-1 of flips, quarter turns and translations by whole pixels, (N, 3, 3)."""
    # x-flip
    i = dice.sometimes(dice.integer(2), 0)
    inverse = scale(1 - 2 * i, torch.ones_like(i))
    # 90 degree rotations
    turns = 4 if height == width else 2
    i = dice.sometimes(dice.integer(turns), 0)
    inverse = compose(inverse, rotate(i * (2 * math.pi / turns)))
    # integer translation
    x, y = dice.sometimes(dice.uniform(-0.125, 0.125, 2), 0).unbind(1)
    return compose(inverse, translate(-(x * width).round(), -(y * height).round()))


def general_geometry(dice: Dice, height: int, width: int) -> Tensor:
    """G^-1 of scaling, rotation and translation by fractions of a pixel, (N, 3, 3)."""
    # isotropic scaling
    s = dice.sometimes(dice.lognormal(0.2), 1)
    inverse = scale(1 / s, 1 / s)
    # pre-rotation, with P(pre or post) = p
    p_rot = 1 - (1 - dice.strength).sqrt()
    angle = dice.sometimes(dice.uniform(-math.pi, math.pi), 0, p_rot)
    inverse = compose(inverse, rotate(angle))
    # anisotropic scaling
    s = dice.sometimes(dice.lognormal(0.2), 1)
    inverse = compose(inverse, scale(1 / s, s))
    # post-rotation
    angle = dice.sometimes(dice.uniform(-math.pi, math.pi), 0, p_rot)
    inverse = compose(inverse, rotate(angle))
    # fractional translation
    x, y = dice.sometimes(dice.normal(0.125, 2), 0).unbind(1)
    return compose(inverse, translate(-x * width, -y * height))


def blit(images: Tensor, inverse: Tensor) -> Tensor:
    """Move whole pixels: images (N, C, H, W) by G^-1 (N, 3, 3) that maps pixels to pixels."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    y, x = sources(inverse, rows, columns, (height, width))
    y, x = y.round().long(), x.round().long()
    return look_up(images, mirrored(y, height), mirrored(x, width))


class Warp(nn.Module):
    """Any affine transformation of pictures, at twice their resolution.

    Upsampling by SYM6, bilinear lookups, downsampling by the same filter reversed: without a
    transformation between them the two give back the picture, because the filter is orthogonal.

    Args:
        height: Of the pictures.
        width: Of the pictures.
    """

    up_y: Tensor
    up_x: Tensor
    down_y: Tensor
    down_x: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        for axis, size in (("y", height), ("x", width)):
            self.register_buffer(f"up_{axis}", upsampling(size), persistent=False)
            self.register_buffer(f"down_{axis}", downsampling(size), persistent=False)

    def forward(self, images: Tensor, inverse: Tensor) -> Tensor:
        """Images (N, C, H, W) transformed by G, given as G^-1 (N, 3, 3)."""
        height, width = images.shape[2:]
        fine = separable(self.up_y, images, self.up_x)
        rows = torch.arange(self.down_y.shape[1], device=images.device)
        columns = torch.arange(self.down_x.shape[1], device=images.device)
        y, x = sources(inverse, (rows - DELAY) / 2, (columns - DELAY) / 2, (height, width))
        y, x = (2 * mirrored(at, size) + DELAY % 1 for at, size in ((y, height), (x, width)))
        return separable(self.down_y, bilinear(fine, y, x), self.down_x)


def upsampling(size: int) -> Tensor:
    """2x upsampling by SYM6 as a matrix (2 size, size), float32.

    Output r is at pixel (r - DELAY % 1) / 2, so that they enclose [0, size - 1].
    """
    steps = torch.arange(2 * size)[:, None] + int(DELAY) - torch.arange(len(SYM6))
    taps = math.sqrt(2) * torch.tensor(SYM6) * (steps % 2 == 0)  # between pixels there is nothing
    return filter_matrix(steps.div(2, rounding_mode="floor"), taps, size)


def downsampling(size: int) -> Tensor:
    """2x downsampling by SYM6 as a matrix (size, 2 size + 10), float32.

    Input k is at pixel (k - DELAY) / 2: enough of them on both sides for the whole filter.
    """
    starts = 2 * torch.arange(size)[:, None]
    inputs = 2 * size + len(SYM6) - 2
    return filter_matrix(starts + torch.arange(len(SYM6)), torch.tensor(SYM6) / 2**0.5, inputs)


def sources(inverse: Tensor, y: Tensor, x: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where the output's pixels at rows y (P,) and columns x (Q,) come from: y and x, (N, P, Q)."""
    middle_y, middle_x = (size[0] - 1) / 2, (size[1] - 1) / 2
    y, x = y[:, None] - middle_y, x - middle_x
    a = inverse[:, :2, :, None, None]
    from_x, from_y = (a[:, :, 0] * x + a[:, :, 1] * y + a[:, :, 2]).unbind(1)
    return from_y + middle_y, from_x + middle_x
