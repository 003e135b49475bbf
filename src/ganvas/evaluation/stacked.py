"""Which of the thousand modes of stacked digits are drawn, as a classifier of digits reads them."""

import torch
from torch import Tensor

from ganvas.data.stacked import CHANNELS, DIGITS
from ganvas.evaluation.features.base import Features

MODES = DIGITS**CHANNELS
"""Triples of digits."""

SAMPLES = 26_000
"""Pictures that the literature draws to count modes by (VEEGAN, section 5.1; PacGAN, section 4)."""


def read_modes(images: Tensor, digits: Features) -> Tensor:
    """The mode that every stacked picture shows.

    Srivastava et al. 2017 (VEEGAN, section 5.1): each channel is given to a classifier of single
    digits. Whatever it is shown counts as some digit, so noise covers modes, too: look at the
    pictures as well.

    Args:
        images: (N, 3, H, W) uint8 or float32 in [0, 255].
        digits: A classifier whose logits are those of the ten classes.

    Returns:
        int64 (N,) in 0..999: 100 a + 10 b + c of the digits in channels 0, 1 and 2.
    """
    logits = digits.extract(images.flatten(0, 1)[:, None]).logits
    if logits is None or logits.shape[1] != DIGITS:
        raise ValueError(f"stacked digits are read by a classifier of {DIGITS} classes")
    told = logits.argmax(1).view(-1, CHANNELS)
    return told @ torch.tensor([DIGITS**2, DIGITS, 1])


def stacked_counts(images: Tensor, digits: Features) -> Tensor:
    """How often each mode is drawn, int64 (1000,); see `read_modes`."""
    return torch.bincount(read_modes(images, digits), minlength=MODES)
