import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ganvas.data.augment import Ada
from ganvas.data.augment.chance import Dice
from ganvas.data.augment.geometry import SYM6, Warp, blit, blitting, general_geometry
from ganvas.data.augment.matrices import changes, compose, rotate, scale, translate
from tests.data.augment.drawing import Given, Seeded, pictures

MANY = 20_000


def one(value: float) -> Tensor:
    return torch.tensor([float(value)])


def dice(p: float, n: int = MANY) -> Dice:
    return Dice(Seeded(n), torch.tensor(p))


@pytest.mark.parametrize("size", [(16, 16), (17, 17), (16, 24), (19, 16)])
def test_flips_and_half_turns_are_exact(size: tuple[int, int]) -> None:
    images = pictures(1, 3, *size)
    assert torch.equal(blit(images, scale(one(-1), one(1))), images.flip(3))
    assert torch.equal(blit(images, rotate(one(math.pi))), images.flip(2, 3))


@pytest.mark.parametrize("side", [16, 17])
def test_quarter_turns_are_exact(side: int) -> None:
    images = pictures(1, 3, side, side)
    for i in range(4):
        turned = blit(images, rotate(one(i * math.pi / 2)))
        assert torch.equal(turned, images.rot90(i, (2, 3)))


def test_a_whole_translation_shifts_the_picture_and_mirrors_its_border() -> None:
    """Numbers are drawn as value then chance; -0.125 + 0.25 * 0.75 of 16 columns is 1, of 32: 2."""
    images = pictures(1, 3, 16, 32)
    unmoved = (0.0, 0.9, 0.0, 0.9)
    moved = Ada((3, 16, 32), ("blit",), strength=0.5)(images, Given(*unmoved, (0.75, 0.25), 0.4))
    right, up = 2, 1
    padded = np.pad(images[0].numpy(), ((0, 0), (0, up), (right, 0)), mode="reflect")
    assert np.array_equal(moved[0].numpy(), padded[:, up:, :32])


def test_only_square_pictures_are_turned_by_90_degrees() -> None:
    square, wide = blitting(dice(1.0), 32, 32), blitting(dice(1.0), 32, 48)
    assert square[:, 0, 1].abs().mean().item() == pytest.approx(0.5, abs=0.02)
    assert wide[:, 0, 1].abs().max() < 1e-6
    assert (wide[:, 1, 1] < 0).float().mean().item() == pytest.approx(0.5, abs=0.02)


def test_the_distribution_of_blits() -> None:
    inverse = blitting(dice(1.0), 64, 32)
    assert (torch.linalg.det(inverse) < 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    moves = torch.linalg.inv(inverse)[:, :2, 2]
    torch.testing.assert_close(moves, moves.round(), atol=1e-4, rtol=0)
    moves = moves.round()
    assert moves.abs().amax(0).tolist() == [4, 8]
    deviation = [32 * 0.25 / math.sqrt(12), 64 * 0.25 / math.sqrt(12)]
    assert moves.std(0).tolist() == pytest.approx(deviation, rel=0.05)
    share = (moves == 0).float().mean(0)  # U(-0.125, 0.125) of 32 rounds to 0 once in 8
    assert share.tolist() == pytest.approx([1 / 8, 1 / 16], abs=0.01)


def test_the_distribution_of_general_geometry() -> None:
    inverse = general_geometry(dice(1.0), 64, 32)
    moves = torch.linalg.inv(inverse)[:, :2, 2]
    assert moves.std(0).tolist() == pytest.approx([4, 8], rel=0.05)
    assert moves.mean(0).tolist() == pytest.approx([0, 0], abs=0.2)
    singular = torch.linalg.svdvals(inverse[:, :2, :2]).log2()
    assert singular.sum(1).div(2).std().item() == pytest.approx(0.2, rel=0.05)
    anisotropic = singular.diff(dim=1).div(2)  # |log2 s| of N(0, 0.2^2)
    assert anisotropic.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_how_often_each_part_is_applied(p: float) -> None:
    none_moves = 1 / 16**2  # both translations round to 0 of 64 pixels
    unchanged = (1 - p / 2) * (1 - 0.75 * p) * (1 - p * (1 - none_moves))
    if p == 1:  # a flip and half a turn may not undo each other, but a translation of 0 does
        unchanged = 0.5 * 0.25 * none_moves
    share = changes(blitting(dice(p), 64, 64)).float().mean().item()
    assert share == pytest.approx(1 - unchanged, abs=0.01)
    general = changes(general_geometry(dice(p), 64, 64)).float().mean().item()
    assert general == pytest.approx(1 - (1 - p) ** 4, abs=0.01)


def test_a_rotation_before_or_after_has_probability_p() -> None:
    linear = general_geometry(dice(0.3), 64, 64)[:, :2, :2]
    turned = (linear[:, 0, 1] != 0) | (linear[:, 1, 0] != 0)
    assert turned.float().mean().item() == pytest.approx(0.3, abs=0.015)


def test_the_filter_is_orthogonal_with_six_vanishing_moments() -> None:
    """The definition of the symlet of order 6: no table is needed to know that it is right."""
    h, k = np.array(SYM6), np.arange(12)
    for shift in range(6):
        product = (h[2 * shift :] * h[: 12 - 2 * shift]).sum()
        assert product == pytest.approx(float(shift == 0), abs=1e-11)
    for moment in range(6):
        assert ((-1.0) ** k * k**moment * h).sum() == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("size", [(16, 16), (17, 32)])
def test_upsampling_and_downsampling_give_back_the_picture(size: tuple[int, int]) -> None:
    images = pictures(2, 3, *size)
    still = Warp(*size)(images, torch.eye(3).expand(2, 3, 3))
    inner = (..., slice(5, -5), slice(5, -5))
    torch.testing.assert_close(still[inner], images[inner], atol=2e-5, rtol=0)
    assert (still - images).abs().mean() < 0.1  # beyond the border: the filter is not symmetric


def test_a_warped_ramp_is_the_ramp_at_the_place_it_came_from() -> None:
    """Filters that keep polynomials keep x and y themselves: places are right to a thousandth."""
    height, width = 40, 48
    y, x = torch.meshgrid(torch.arange(40) - 19.5, torch.arange(48) - 23.5, indexing="ij")
    images = torch.stack([x, y])[None]
    # enlarged, so that the inner output comes from the inner input
    inverse = compose(scale(one(0.5), one(0.4)), rotate(one(0.7)))
    inverse = compose(inverse, translate(one(-2.3), one(1.6)))
    warped = Warp(height, width)(images, inverse)[0, :, 8:-8, 8:-8]
    r = torch.stack([x, y, torch.ones_like(x)])[:, 8:-8, 8:-8]
    expected = torch.einsum("ij,jhw->ihw", inverse[0, :2], r)
    torch.testing.assert_close(warped, expected, atol=1e-3, rtol=0)


def test_a_smooth_picture_is_the_same_turned_by_the_warp_or_by_copying() -> None:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    images = torch.stack([(x / 4).sin() * (y / 5).cos(), (x / 6 + y / 7).sin()])[None]
    for turn in (scale(one(-1), one(1)), rotate(one(math.pi / 2)), rotate(one(math.pi))):
        warped, copied = Warp(32, 32)(images, turn), blit(images, turn)
        inner = (..., slice(7, -7), slice(7, -7))
        torch.testing.assert_close(warped[inner], copied[inner], atol=4e-3, rtol=0)


def test_what_lies_beyond_is_mirrored_and_not_black() -> None:
    images = torch.full((1, 3, 16, 16), 0.7)
    far = compose(scale(one(3), one(3)), translate(one(-100), one(55.5)))
    torch.testing.assert_close(Warp(16, 16)(images, far), images, atol=1e-5, rtol=0)


def test_a_blit_after_which_nothing_follows_is_copied_and_else_both_are_one_warp() -> None:
    images = pictures(64, 3, 16, 16)
    both = Ada((3, 16, 16), ("blit", "geometry"), strength=0.3)(images, Seeded(64))
    numbers = Dice(Seeded(64), torch.tensor(0.3))
    blits, general = blitting(numbers, 16, 16), general_geometry(numbers, 16, 16)
    for n in range(64):
        only = slice(n, n + 1)
        if changes(general[only]):
            expected = Warp(16, 16)(images[only], compose(blits[only], general[only]))
            torch.testing.assert_close(both[only], expected, atol=1e-5, rtol=0)
        else:
            assert torch.equal(both[only], blit(images[only], blits[only]))
