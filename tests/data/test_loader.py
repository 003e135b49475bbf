from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ganvas.data.loader import Loader, enlarged_windows, to_model_range, uniform
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
    tossed = uniform(seed, positions, 0) < 0.5
    assert 0.4 < tossed.mean() < 0.6
    assert 0.4 < (tossed[1:] == tossed[:-1]).mean() < 0.6
    assert np.array_equal(uniform(seed, positions[100:200], 0) < 0.5, tossed[100:200])


def test_model_range() -> None:
    images = torch.tensor([[0, 255], [127, 128]], dtype=torch.uint8)
    expected = torch.tensor([[-1, 1], [-1 / 255, 1 / 255]])
    torch.testing.assert_close(to_model_range(images), expected, rtol=0, atol=1e-7)
    points = torch.randn(4, 2)
    assert to_model_range(points) is points
    permuted = torch.zeros(2, 4, 4, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
    assert to_model_range(permuted).is_contiguous(memory_format=torch.channels_last)


def two(first: int, second: int, shape: tuple[int, int, int] = (2, 3, 1)) -> Pack:
    """A pack and a target whose pictures carry their numbers everywhere."""
    packs = []
    for count in (first, second):
        images: NDArray[Any] = np.zeros((count, *shape), np.uint8)
        images[:] = np.arange(count).reshape(-1, 1, 1, 1)
        packs.append(Pack(images, None, (), "", (), Path(), {}))
    return replace(packs[0], target=packs[1], paired=first == second)


@given(count=st.integers(2, 60), batch=st.integers(1, 25), seed=seeds, start=st.integers(0, 10**9))
def test_pairs_stay_together(count: int, batch: int, seed: int, start: int) -> None:
    loader = Loader(
        two(count, count), batch=batch, seed=seed, paired=True, rows=np.arange(1, count)
    )
    targets = loader.fetch_target(start)
    assert targets is not None
    assert torch.equal(loader.fetch(start)[0], targets)


@given(first=st.integers(2, 60), second=st.integers(2, 60), batch=st.integers(1, 25), seed=seeds)
def test_without_pairs_every_domain_has_epochs_of_its_own(
    first: int, second: int, batch: int, seed: int
) -> None:
    kept = np.arange(0, second, 2)
    loader = Loader(two(first, second), batch=batch, seed=seed, target_rows=kept)
    shown: list[int] = []
    while len(shown) < 3 * len(kept):
        targets = loader.fetch_target(len(shown))
        assert targets is not None
        shown += numbers(targets)
    for epoch in range(3):
        assert sorted(shown[epoch * len(kept) : (epoch + 1) * len(kept)]) == kept.tolist()


def test_unpaired_orders_are_independent() -> None:
    loader = Loader(two(200, 200), batch=200, seed=3)
    targets = loader.fetch_target(0)
    assert targets is not None
    same = sum(a == b for a, b in zip(numbers(loader.fetch(0)[0]), numbers(targets), strict=True))
    assert same < 12  # one on average


def test_without_a_second_domain_there_are_no_targets() -> None:
    assert Loader(numbered(4), batch=2, seed=0).fetch_target(0) is None


def asymmetric(count: int, side: int, *, paired: bool, kind: Any = np.uint8) -> Pack:
    """Random pictures, the same ones in both domains."""
    top = np.iinfo(kind).max
    images = np.random.default_rng(0).integers(0, top, (count, side, side, 1), endpoint=True)
    one = Pack(images.astype(kind), None, (), "", (), Path(), {})
    return replace(one, target=one, paired=paired)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("paired", [True, False])
def test_pairs_are_mirrored_and_cut_alike(paired: bool, world: int, kind: Any) -> None:
    """Unpaired ones are not; and shares are what one process gets, bit for bit."""
    pack = asymmetric(16, 24, paired=paired, kind=kind)
    how: dict[str, Any] = {"batch": 16, "seed": 5, "flip": True, "jitter": 0.2, "paired": paired}
    loaders = [Loader(pack, rank=rank, world=world, **how) for rank in range(world)]
    images = torch.cat([loader.fetch(32)[0] for loader in loaders])
    parts = [loader.fetch_target(32) for loader in loaders]
    targets = torch.cat([part for part in parts if part is not None])
    assert images.shape == targets.shape == (16, 1, 24, 24)
    assert torch.equal(images, targets) == paired
    whole = Loader(pack, **how)
    assert torch.equal(whole.fetch(32)[0], images)
    assert images.dtype == (torch.uint8 if kind == np.uint8 else torch.uint16)
    assert whole.fetch(32)[0].is_contiguous(memory_format=torch.channels_last)


def test_unpaired_windows_differ() -> None:
    """Not only the order: a picture alone in both domains is cut differently."""
    pack = asymmetric(1, 24, paired=False)
    loader = Loader(pack, batch=8, seed=0, jitter=0.2)
    targets = loader.fetch_target(0)
    assert targets is not None
    assert not torch.equal(loader.fetch(0)[0], targets)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_windows_lie_where_they_are_told(kind: Any) -> None:
    """On a ramp, a window of 3/4 enlarged is a ramp of 3/4 of the slope that starts further on."""
    scale = np.iinfo(kind).max // 255
    ramp = np.broadcast_to(np.arange(0, 240, 6)[:, None] * scale, (40, 40))
    ramps = np.stack([ramp, ramp.T, ramp])[..., None].astype(kind)
    zero, last, half = 0.0, 1 - 1e-9, 0.5
    windows = enlarged_windows(
        ramps, 1 / 3, np.array([zero, half, last]), np.array([half, last, zero])
    )
    assert windows.shape == (3, 1, 40, 40)
    values = windows.to(torch.float32).numpy()[:, 0] / scale
    inner = np.arange(4, 36)
    place = (inner + 0.5) * 0.75 - 0.5
    assert np.abs(values[0, inner, 20] - 6 * place).max() < 2
    assert np.abs(values[1, 20, inner] - 6 * (place + 10)).max() < 2
    assert np.abs(values[2, inner, 20] - 6 * (place + 10)).max() < 2


def test_windows_of_nothing_less_are_the_pictures() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3)).astype(np.uint8)
    zeros = np.zeros(3)
    shown = enlarged_windows(images, 0.0, zeros, zeros)
    assert np.array_equal(shown.permute(0, 2, 3, 1).numpy(), images)


def test_the_streams_of_a_seed_are_independent() -> None:
    positions = np.arange(4000)
    streams = np.stack([uniform(7, positions, stream) for stream in range(6)])
    assert np.abs(np.corrcoef(streams) - np.eye(6)).max() < 0.08
    assert streams.min() >= 0
    assert streams.max() < 1


def test_sixteen_bits_fill_the_model_range() -> None:
    images = torch.tensor([0, 32767, 32768, 65535], dtype=torch.uint16)
    expected = torch.tensor([-1, -1 / 65535, 1 / 65535, 1])
    torch.testing.assert_close(to_model_range(images), expected, rtol=0, atol=1e-7)
