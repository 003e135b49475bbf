"""Image-space corruptions (Karras et al. 2020a, appendix B)."""

import torch
from torch import Tensor

from .chance import Dice


def add_noise(images: Tensor, dice: Dice) -> Tensor:
    """Additive RGB noise of standard deviation Halfnormal(0.1^2)."""
    deviation = dice.sometimes(dice.normal(0.1).abs(), 0)[:, None, None, None]
    noise = dice.normal(1, *images.shape[1:])
    return images + (deviation * noise).to(images)


def cut_out(images: Tensor, dice: Dice) -> Tensor:
    """A rectangle of half the height and half the width, centred anywhere, set to 0."""
    x, y = dice.uniform(0, 1, 2).unbind(1)
    half = dice.sometimes(torch.full_like(x, 0.25), 0)
    rows, columns = within(y, half, images.shape[2]), within(x, half, images.shape[3])
    return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0)


def within(middle: Tensor, half: Tensor, size: int) -> Tensor:
    """Which pixels have their centre in middle ± half (N,), shares of the whole; (N, size)."""
    centres = (torch.arange(size, device=middle.device) + 0.5) / size
    return (centres - middle[:, None]).abs() < half[:, None]
