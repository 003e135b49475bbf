import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ganvas.data.augment.sampling import bilinear, filter_matrix, mirrored, separable
from tests.data.augment.drawing import pictures


@pytest.mark.parametrize("size", [2, 5, 16])
def test_mirrored_positions_are_those_of_reflection_padding_for_ever(size: int) -> None:
    padded = np.pad(np.arange(size), 3 * size, mode="reflect")
    positions = torch.arange(-3 * size, 4 * size)
    assert mirrored(positions, size).tolist() == padded.tolist()
    assert mirrored(positions.double(), size).tolist() == padded.tolist()
    assert mirrored(torch.tensor(-0.25), size) == 0.25
    assert mirrored(torch.tensor(size - 0.75), size) == size - 1.25


def test_bilinear_is_that_of_grid_sample() -> None:
    images = pictures(2, 3, 9, 7)
    at = torch.rand(2, 5, 4, 2, generator=torch.Generator().manual_seed(1))
    grid = 2 * at - 1
    expected = F.grid_sample(images, grid, align_corners=True)
    torch.testing.assert_close(bilinear(images, at[..., 1] * 8, at[..., 0] * 6), expected)


def test_a_filter_matrix_filters_the_mirrored_picture() -> None:
    picture = pictures(1, 1, 6, 8)
    taps = torch.tensor([0.5, -1.0, 2.0])
    along_x = filter_matrix(torch.arange(8)[:, None] + torch.arange(-1, 2), taps, 8)
    along_y = filter_matrix(torch.arange(6)[:, None] + torch.arange(-1, 2), taps, 6)
    padded = np.pad(picture[0, 0].numpy(), 1, mode="reflect")
    kernel = np.outer(taps, taps)
    expected = [[(padded[y : y + 3, x : x + 3] * kernel).sum() for x in range(8)] for y in range(6)]
    torch.testing.assert_close(separable(along_y, picture, along_x)[0, 0], torch.tensor(expected))
