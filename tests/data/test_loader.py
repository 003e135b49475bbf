from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ganvas.data.loader import Loader, coin, to_model_range
from ganvas.data.pack import Pack
from ganvas.errors import ConfigError

seeds = st.integers(0, 2**63)


def numbered(count: int, labels: bool = True, points: bool = False) -> Pack:
    """A pack whose pictures all carry their own number, at the left."""
    images: NDArray[Any] = np.zeros((count, 2, 3, 1), np.uint8)
    images[:, :, 0, 0] = np.arange(count)[:, None]
    if points:
        images = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
    codes = np.arange(count) * 7 if labels else None
    return Pack(images, codes, (), "", (), Path(), {})


def numbers(images: torch.Tensor) -> list[int]:
    found: list[int] = images[:, 0, 0, :].amax(1).tolist()
    return found


@given(count=st.integers(2, 60), batch=st.integers(1, 25), seed=seeds, flip=st.booleans())
def test_every_epoch_shows_every_image_exactly_once(
    count: int, batch: int, seed: int, flip: bool
) -> None:
    loader = Loader(numbered(count), batch=batch, seed=seed, flip=flip)
    shown: list[int] = []
    while len(shown) < 3 * count:
        shown += numbers(loader.fetch(len(shown))[0])
    for epoch in range(3):
        assert sorted(shown[epoch * count : (epoch + 1) * count]) == list(range(count))


@given(
    count=st.integers(2, 60),
    share=st.integers(1, 9),
    world=st.integers(1, 5),
    position=st.integers(0, 10**12),
    seed=seeds,
    flip=st.booleans(),
)
def test_the_shares_of_the_ranks_are_the_batch_of_one_process(
    count: int, share: int, world: int, position: int, seed: int, flip: bool
) -> None:
    pack, batch = numbered(count), share * world
    images, labels = Loader(pack, batch=batch, seed=seed, flip=flip).fetch(position)
    shares = [
        Loader(pack, batch=batch, seed=seed, rank=rank, world=world, flip=flip).fetch(position)
        for rank in range(world)
    ]
    assert torch.equal(torch.cat([share[0] for share in shares]), images)
    assert labels is not None
    joined = torch.cat([share[1] for share in shares if share[1] is not None])
    assert torch.equal(joined, labels)


@given(
    count=st.integers(2, 60),
    start=st.integers(0, 300),
    batches=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    flip=st.booleans(),
)
def test_a_resume_at_any_image_goes_on_as_if_nothing_had_happened(
    count: int, start: int, batches: tuple[int, int], flip: bool
) -> None:
    pack = numbered(count)
    before = Loader(pack, batch=batches[0], seed=5, flip=flip)
    before.fetch(start)
    run = torch.cat([before.fetch(start + i * batches[0])[0] for i in range(batches[1])])
    resumed = Loader(pack, batch=len(run), seed=5, flip=flip).fetch(start)[0]
    assert torch.equal(run, resumed)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    pack = numbered(50)
    orders = [numbers(Loader(pack, batch=50, seed=s).fetch(p)[0]) for s in (0, 1) for p in (0, 50)]
    assert len({tuple(order) for order in orders}) == 4
    assert all(order != sorted(order) for order in orders)


def test_labels_belong_to_their_images() -> None:
    images, labels = Loader(numbered(40), batch=90, seed=1).fetch(13)
    assert labels is not None
    assert labels.tolist() == [7 * number for number in numbers(images)]
    assert labels.dtype == torch.int64
    assert Loader(numbered(40, labels=False), batch=4, seed=1).fetch(0)[1] is None


def test_flips_mirror_half_of_the_images_and_not_always_the_same() -> None:
    loader = Loader(numbered(50), batch=5000, seed=1, flip=True)
    images = loader.fetch(0)[0]
    plain = Loader(numbered(50), batch=5000, seed=1).fetch(0)[0]
    mirrored = (images != plain).flatten(1).any(1)
    visible = (plain != 0).flatten(1).any(1)  # number 0 is black, and its mirror image too
    assert 0.45 < mirrored[visible].float().mean() < 0.55
    assert torch.equal(images[mirrored], plain[mirrored].flip(3))
    seen = {(number, bool(m)) for number, m in zip(numbers(plain), mirrored, strict=True)}
    assert len(seen) == 99
    assert plain[:, 0, 0, 1:].sum() == 0  # without flips every number stays at the left


def test_memory_is_channels_last_and_the_pack_is_not_touched() -> None:
    pack = numbered(10)
    before = pack.images.copy()
    pack.images.setflags(write=False)
    images = Loader(pack, batch=6, seed=0, flip=True).fetch(0)[0]
    assert images.dtype == torch.uint8
    assert images.shape == (6, 1, 2, 3)
    assert images.permute(0, 2, 3, 1).is_contiguous()
    images.zero_()
    assert np.array_equal(pack.images, before)


def test_points_are_floats() -> None:
    points, labels = Loader(numbered(10, points=True), batch=8, seed=0, flip=True).fetch(4)
    assert points.dtype == torch.float32
    assert points.shape == (8, 2)
    assert labels is not None
    assert points[:, 0].tolist() == (labels / 7 * 2).tolist()


@pytest.mark.parametrize(("batch", "world"), [(10, 3), (0, 1), (1, 2)])
def test_batches_that_cannot_be_shared(batch: int, world: int) -> None:
    with pytest.raises(ConfigError, match="multiple of"):
        Loader(numbered(4), batch=batch, seed=0, world=world)


@given(seed=seeds, start=st.integers(0, 2**62))
def test_the_coin_is_fair_and_depends_on_the_position_alone(seed: int, start: int) -> None:
    positions = start + np.arange(4000)
    tossed = coin(seed, positions)
    assert 0.4 < tossed.mean() < 0.6
    assert 0.4 < (tossed[1:] == tossed[:-1]).mean() < 0.6
    assert np.array_equal(coin(seed, positions[100:200]), tossed[100:200])


def test_model_range() -> None:
    images = torch.tensor([[0, 255], [127, 128]], dtype=torch.uint8)
    expected = torch.tensor([[-1, 1], [-1 / 255, 1 / 255]])
    torch.testing.assert_close(to_model_range(images), expected, rtol=0, atol=1e-7)
    points = torch.randn(4, 2)
    assert to_model_range(points) is points
    permuted = torch.zeros(2, 4, 4, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
    assert to_model_range(permuted).is_contiguous(memory_format=torch.channels_last)
