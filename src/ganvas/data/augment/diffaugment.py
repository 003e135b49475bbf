"""Differentiable augmentation (Zhao, Liu, Lin, Zhu & Han 2020).

"Differentiable Augmentation for Data-Efficient GAN Training", arXiv:2006.10738: D's images, real
and generated, are always augmented, by transformations that gradients pass through (appendix).
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .chance import Random
from .sampling import look_up

Policy = Literal["colour", "translation", "cutout"]

POLICY: tuple[Policy, ...] = ("colour", "translation", "cutout")


def diffaugment(images: Tensor, draws: Random, policy: Sequence[Policy] = POLICY) -> Tensor:
    """Augment images, each in its own way: colour, then translation, then cutout.

    Args:
        images: (N, C, H, W) in [-1, 1], grey, RGB or RGBA. The result can be differentiated by
            them any number of times.
        draws: N rows of random numbers.
        policy: What to apply. Alpha moves and is cut out with its picture, and has no colour.

    Returns:
        (N, C, H, W) of the same dtype, computed in float32 at least. Colour may leave [-1, 1].
    """
    augmented = images.to(torch.promote_types(images.dtype, torch.float32))
    if "colour" in policy:
        augmented = torch.cat([jitter(augmented[:, :3], draws), augmented[:, 3:]], 1)
    if "translation" in policy:
        augmented = translate(augmented, draws)
    if "cutout" in policy:
        augmented = cut_out(augmented, draws)
    return augmented.to(images.dtype)


def jitter(images: Tensor, draws: Random) -> Tensor:
    """Brightness + U(-0.5, 0.5), saturation * U(0, 2), contrast * U(0.5, 1.5), in this order."""
    brightness, saturation, contrast = draws.uniform(3, 1, 1, 1).to(images).unbind(1)
    images = images + (brightness - 0.5)
    images = away_from(images.mean(1, keepdim=True), images, 2 * saturation)
    return away_from(images.mean((1, 2, 3), keepdim=True), images, contrast + 0.5)


def away_from(centre: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """The images, their distance from the centre multiplied."""
    return centre + (images - centre) * factor


def translate(images: Tensor, draws: Random) -> Tensor:
    """Move by up to an eighth of the height and of the width; 0 comes in from outside."""
    shares = draws.uniform(2)
    y, x = (sources(shares[:, i], size) for i, size in enumerate(images.shape[2:]))
    y, x = torch.broadcast_tensors(y[:, :, None], x[:, None])
    return look_up(F.pad(images, (1, 1, 1, 1)), y, x)


def sources(share: Tensor, size: int) -> Tensor:
    """Where `size` pixels come from after a move, (N, size), in a picture with a border of one."""
    reach = round_half_up(size / 8)
    move = (share * (2 * reach + 1)).floor().long() - reach
    return (torch.arange(size, device=share.device) - move[:, None] + 1).clamp(0, size + 1)


def cut_out(images: Tensor, draws: Random) -> Tensor:
    """Set a rectangle of half the height and half the width, with its centre anywhere, to 0."""
    shares = draws.uniform(2)
    rows, columns = (cut(shares[:, i], size) for i, size in enumerate(images.shape[2:]))
    return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0)


def cut(share: Tensor, size: int) -> Tensor:
    """Which of `size` pixels are cut out, (N, size): half of them around a pixel or an edge."""
    length = round_half_up(size / 2)
    middle = (share * (size + 1 - length % 2)).floor()
    pixels = torch.arange(size, device=share.device) - (middle - length // 2)[:, None]
    return (pixels >= 0) & (pixels < length)


def round_half_up(value: float) -> int:
    """To the nearest whole number: 2.5 to 3."""
    return math.floor(value + 0.5)
