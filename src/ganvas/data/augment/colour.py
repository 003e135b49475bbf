"""Colour transformations (Karras et al. 2020a, appendix B).

A pixel is a vector (r, g, b, 1) and all of the transformations one matrix. The paper's is 4 x 4;
here its last row, (0, 0, 0, 1), is left out.
"""

import math

import torch
from torch import Tensor

from .chance import Dice
from .matrices import compose, matrix

LUMA = 1 / math.sqrt(3)
"""Each component of the luma axis v = (1, 1, 1) / sqrt(3)."""


def colour(dice: Dice) -> Tensor:
    """The matrix C of the colour transformations, (N, 3, 4)."""
    # brightness
    b = dice.sometimes(dice.normal(0.2), 0)
    identity = torch.eye(3, device=b.device).expand(len(b), 3, 3)
    C = torch.cat([identity, b[:, None, None].expand(-1, 3, 1)], 2)
    # contrast
    c = by_sample(dice.sometimes(dice.lognormal(0.5), 1))
    C = c * C
    # luma flip: a Householder reflection
    vv = torch.full_like(identity, LUMA**2)
    i = by_sample(dice.sometimes(dice.integer(2), 0))
    C = compose(identity - 2 * vv * i, C)
    # hue rotation: around v
    angle = dice.sometimes(dice.uniform(-math.pi, math.pi), 0)
    C = compose(rotate_about_luma(angle), C)
    # saturation: v v^T + (I - v v^T) s
    s = by_sample(dice.sometimes(dice.lognormal(1), 1))
    return compose(s * identity + (1 - s) * vv, C)


def recolour(images: Tensor, C: Tensor) -> Tensor:
    """Images (N, 1 or 3, H, W) in the colours that C (N, 3, 4) makes of theirs.

    A grey pixel is a pixel of equal colours, of which the mean is kept: brightness, contrast and
    the luma flip act on it, hue and saturation do not.
    """
    C = C.to(images)
    if images.shape[1] == 1:
        C = C.mean(1, keepdim=True)
        C = torch.cat([C[..., :3].sum(2, keepdim=True), C[..., 3:]], 2)
    pixels = torch.baddbmm(C[..., -1:], C[..., :-1], images.flatten(2))
    return pixels.view(len(images), -1, *images.shape[2:])


def rotate_about_luma(angle: Tensor) -> Tensor:
    """ROTATE3D(v, angle) by Rodrigues' formula, (N, 3, 3): a third of a turn takes r to g."""
    along = LUMA**2 * (1 - angle.cos())
    across = LUMA * angle.sin()
    same, up, down = along + angle.cos(), along + across, along - across
    return matrix([[same, down, up], [up, same, down], [down, up, same]])


def by_sample(value: Tensor) -> Tensor:
    """(N,) as (N, 1, 1)."""
    return value[:, None, None]
