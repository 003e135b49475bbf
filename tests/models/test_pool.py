"""The pool of past fakes."""

import pytest
import torch
from torch import Tensor

from ganvas.models.phase import Draws
from ganvas.models.pool import ImagePool

SHAPE = (1, 2, 2)


def fakes(start: int, count: int) -> Tensor:
    """Pictures that are told apart by their one colour."""
    numbers = torch.arange(start, start + count, dtype=torch.float32)
    return numbers[:, None, None, None].expand(-1, *SHAPE).clone()


def draws(seed: int, total: int, rows: slice | None = None) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), rows or slice(0, total), total)


def colours(images: Tensor) -> list[int]:
    assert bool((images == images[:, :1, :1, :1]).all())
    return [int(colour) for colour in images[:, 0, 0, 0]]


def filled(size: int) -> ImagePool:
    pool = ImagePool(size, SHAPE)
    pool.exchange(fakes(0, size), draws(0, size))
    pool.advance(size)
    return pool


def test_stores_what_comes_until_it_is_full() -> None:
    pool = ImagePool(5, SHAPE)
    for seed, start in enumerate((0, 2, 4)):  # of the last two only one has a place
        assert colours(pool.exchange(fakes(start, 2), draws(seed, 2))) == [start, start + 1]
        pool.advance(2)
    assert colours(pool.images) == [0, 1, 2, 3, 4]


def test_full_it_swaps_and_loses_none() -> None:
    pool, shown = filled(20), []
    for step in range(50):
        before, new = colours(pool.images), fakes(100 + 4 * step, 4)
        seen = colours(pool.exchange(new, draws(step, 4)))
        pool.advance(4)
        assert sorted(before + colours(new)) == sorted(colours(pool.images) + seen)
        shown += [colour in before for colour in seen]
    assert 0.4 < sum(shown) / len(shown) < 0.6  # 200 coins: 0.5 +- 0.035


def test_swaps_with_every_place() -> None:
    pool = filled(6)
    for step in range(150):
        pool.exchange(fakes(100, 1), draws(step, 1))
    assert colours(pool.images) == [100] * 6


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_is_exchanged_as_one(full: bool, parts: int) -> None:
    whole, divided = (filled(6) if full else ImagePool(6, SHAPE) for _ in range(2))
    for step in range(4):  # the second batch is larger than what is left
        new = fakes(100 + 4 * step, 4)
        shown = whole.exchange(new, draws(step, 4))
        rows = [slice(i, i + 4 // parts) for i in range(0, 4, 4 // parts)]
        each = [divided.exchange(new[part], draws(step, 4, part)) for part in rows]
        assert colours(torch.cat(each)) == colours(shown)
        for pool in (whole, divided):
            pool.advance(4)
        assert colours(divided.images) == colours(whole.images)


def test_a_batch_larger_than_the_pool() -> None:
    pool = filled(3)
    shown = colours(pool.exchange(fakes(100, 8), draws(1, 8)))
    assert sorted(shown + colours(pool.images)) == sorted([0, 1, 2, *range(100, 108)])
    assert shown[3:] == list(range(103, 108))


def test_is_no_part_of_the_gradient() -> None:
    new = fakes(0, 2).requires_grad_()
    assert not ImagePool(4, SHAPE).exchange(new, draws(0, 2)).requires_grad
