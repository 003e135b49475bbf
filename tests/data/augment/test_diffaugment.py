import numpy as np
import pytest
import torch

from ganvas.data.augment import diffaugment
from tests.data.augment.drawing import Given, Seeded, pictures


def test_colour_by_hand() -> None:
    images = pictures(1, 3, 16, 16)
    result = diffaugment(images, Given((0.9, 0.2, 0.7)), ("colour",))[0].numpy()
    picture = images[0].numpy() + 0.4
    grey = picture.mean(0, keepdims=True)
    picture = grey + (picture - grey) * 0.4
    picture = picture.mean() + (picture - picture.mean()) * 1.2
    assert result == pytest.approx(picture, abs=1e-6)


def test_translation_by_hand() -> None:
    """Sides of 16 and 32 move by -2 ... 2 and -4 ... 4."""
    images = pictures(1, 3, 16, 32)
    result = diffaugment(images, Given((0.0, 0.99)), ("translation",))[0].numpy()
    padded = np.pad(images[0].numpy(), ((0, 0), (0, 2), (4, 0)))
    assert np.array_equal(result, padded[:, 2:, :32])


def test_cutout_by_hand() -> None:
    images = pictures(1, 3, 16, 17)
    result = diffaugment(images, Given((0.5, 0.0)), ("cutout",))
    expected = images.clone()
    expected[:, :, 4:12, :5] = 0  # y: 8 ± 4, x: nine around the first, of which five are inside
    assert torch.equal(result, expected)


@pytest.mark.parametrize("size", [(16, 16), (17, 30)])
def test_every_move_is_as_frequent_as_any_other(size: tuple[int, int]) -> None:
    height, width = size
    images = torch.ones(20_000, 1, height, width)
    moved = diffaugment(images, Seeded(20_000), ("translation",))
    for side, lines in ((height, moved[:, 0, :, width // 2]), (width, moved[:, 0, height // 2])):
        reach = int(side / 8 + 0.5)
        move = (lines[:, : side // 2] == 0).sum(1) - (lines[:, side // 2 :] == 0).sum(1)
        share = torch.bincount(move + reach, minlength=2 * reach + 1) / len(move)
        assert share.tolist() == pytest.approx([1 / (2 * reach + 1)] * (2 * reach + 1), abs=0.01)


def test_saturation_does_nothing_to_grey() -> None:
    images = pictures(1, 1, 16, 16)
    result = diffaugment(images, Given((0.5, 0.1, 0.5)), ("colour",))
    torch.testing.assert_close(result, images, atol=1e-6, rtol=0)


def test_the_policy_chooses_but_does_not_order() -> None:
    images = pictures(4, 3, 16, 16)
    one = diffaugment(images, Seeded(4), ("cutout", "colour"))
    assert torch.equal(one, diffaugment(images, Seeded(4), ("colour", "cutout")))
    assert torch.equal(diffaugment(images, Seeded(4), ()), images)
    assert (diffaugment(images, Seeded(4)) == 0).any()


def test_alpha_moves_and_is_cut_out_but_has_no_colour() -> None:
    images = pictures(4, 4, 16, 16)
    assert torch.equal(diffaugment(images, Seeded(4), ("colour",))[:, 3], images[:, 3])
    for one in ("translation", "cutout"):
        both = diffaugment(images, Seeded(4), (one,))
        assert torch.equal(both[:, 3:], diffaugment(images[:, 3:], Seeded(4), (one,)))
