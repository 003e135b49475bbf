"""Translating a picture in tiles."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganvas.data.loader import to_model_range
from ganvas.errors import RunError
from ganvas.pictures import Bytes, to_uint8
from ganvas.translation.tiling import cut, translate_pixels
from tests.translation.fakes import Diverged, Inverter


def noise(height: int, width: int, channels: int = 3) -> Bytes:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def at_once(model: Inverter, pixels: Bytes, seed: int = 0) -> Bytes:
    images = to_model_range(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    whole: Bytes = to_uint8(model.translate(images, "AB", seed))[0]
    return whole


@given(
    length=st.integers(4, 3000),
    tile=st.integers(64, 600),
    context=st.integers(0, 300),
    multiple=st.sampled_from([1, 4, 64, 256]),
)
def test_spans_cover_everything_once(length: int, tile: int, context: int, multiple: int) -> None:
    total = np.zeros(length)
    for span in cut(length, tile, context, multiple):
        assert len(span.weights) == min(tile, length) or span.stop == length
        assert span.weights.min() >= 0
        total[span.place] += span.weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_spans_begin_on_the_grid_of_the_network() -> None:
    starts = [span.start for span in cut(5000, 512, 64, 32)]
    assert all(start % 32 == 0 for start in starts)
    assert len(starts) == len(set(starts)) > 5


def test_margins_count_nothing_but_at_the_edges_of_the_picture() -> None:
    first, *inner, last = cut(3000, 512, 64, 1)
    assert first.weights[0] == last.weights[-1] == 1
    for span in inner:
        assert not span.weights[:64].any()
        assert not span.weights[-64:].any()


@pytest.mark.parametrize("size", [(200, 328), (333, 64), (129, 131), (64, 1000)])
def test_tiles_give_what_the_whole_gives(size: tuple[int, int]) -> None:
    """As the network looks no farther than the margin that is dropped."""
    pixels, model = noise(*size), Inverter(reach=10)
    whole = at_once(model, pixels).astype(int)
    model.seen.clear()
    difference = np.abs(translate_pixels(model, pixels, tile=64).astype(int) - whole)
    assert len(model.seen) > 4
    # At the edges of sides that are no multiple of 8 the whole is mirrored in another place.
    inside = tuple(slice(None) if side % 8 == 0 else slice(20, -20) for side in size)
    rounding = 1  # of sums of parts
    assert difference[inside].max() <= rounding
    assert (difference[inside] > 0).mean() < 0.01


def test_no_tile_is_larger_than_asked_for() -> None:
    model = Inverter()
    translate_pixels(model, noise(300, 500), tile=100)
    assert max(max(shape) for shape in model.seen) <= 104  # 100 and the padding to 8


@pytest.mark.parametrize("size", [(64, 64), (4, 4), (16, 256), (37, 53)])
def test_small_pictures_are_translated_at_once_and_exactly(size: tuple[int, int]) -> None:
    pixels, model = noise(*size), Inverter(noise=0.5, reach=2)
    expected = at_once(model, pixels, seed=7)
    model.seen.clear()
    np.testing.assert_array_equal(translate_pixels(model, pixels, seed=7, tile=64), expected)
    assert len(model.seen) == 1


def test_a_seed_gives_the_same_noise_and_another_seed_other_noise() -> None:
    model, pixels = Inverter(noise=0.5), noise(150, 150)
    first = translate_pixels(model, pixels, seed=1, tile=64)
    np.testing.assert_array_equal(translate_pixels(model, pixels, seed=1, tile=64), first)
    assert (translate_pixels(model, pixels, seed=2, tile=64) != first).any()


def test_channels_and_directions() -> None:
    model = Inverter((1, 32, 32), (4, 32, 32))
    assert translate_pixels(model, noise(90, 80, 1), "AB", tile=64).shape == (90, 80, 4)
    assert translate_pixels(model, noise(90, 80, 4), "BA", tile=64).shape == (90, 80, 1)


def test_16_bits_are_not_lost() -> None:
    model = Inverter((1, 32, 32), (1, 32, 32))
    grey = np.full((16, 16, 1), 255 * 257, np.uint16)
    assert (translate_pixels(model, grey) == 0).all()
    assert (translate_pixels(model, grey // 2) == 128).all()


def test_the_shares_that_are_told_sum_to_one() -> None:
    shares: list[float] = []
    translate_pixels(Inverter(), noise(200, 200), tile=64, advance=shares.append)
    assert len(shares) > 4
    assert sum(shares) == pytest.approx(1)


def test_weights_that_diverged_are_told() -> None:
    with pytest.raises(RunError, match="diverged"):
        translate_pixels(Diverged(), noise(16, 16))
