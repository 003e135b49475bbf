"""Reading the modes of stacked digits off pictures."""

import pytest
import torch
from torch import Tensor

from ganvas.evaluation.features.base import Features
from ganvas.evaluation.stacked import MODES, read_modes, stacked_counts


class Levels(Features):
    """Takes a picture's brightness for its digit: level 20 d is digit d."""

    name, identity, preparation, size = "levels", "", "none", 1
    device = torch.device("cpu")

    def __init__(self, classes: int = 10) -> None:
        self.classes = classes

    def compute(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        assert images.shape[1] == 1
        mean = images.flatten(1).mean(1, keepdim=True)
        return mean, -(mean - 20 * torch.arange(self.classes)).square()


def picture(a: int, b: int, c: int) -> Tensor:
    return torch.tensor([a, b, c], dtype=torch.uint8)[:, None, None].mul(20).expand(3, 28, 28)


def test_the_channels_are_hundreds_tens_and_ones() -> None:
    images = torch.stack([picture(7, 1, 3), picture(0, 0, 9), picture(9, 9, 9)])
    assert read_modes(images, Levels()).tolist() == [713, 9, 999]


def test_counting() -> None:
    images = torch.stack([picture(0, 4, 2)] * 70 + [picture(1, 0, 0)])
    counts = stacked_counts(images, Levels())
    assert len(counts) == MODES
    assert counts[42] == 70
    assert counts[100] == 1
    assert counts.sum() == 71


def test_another_classifier_is_refused() -> None:
    with pytest.raises(ValueError, match="10 classes"):
        read_modes(picture(0, 0, 0)[None], Levels(classes=9))
