"""Translating one picture of any size within a bounded amount of memory.

A picture of more pixels than a tile has is cut into tiles that overlap. Of each tile the outermost
pixels are dropped where the picture goes on, for they did not see their surroundings; further in
it is faded from one tile into the next. So for a network that looks no farther than that, the
result is that of the whole picture. Networks that normalise each picture by its own mean and
variance (instance normalisation: both Pix2Pix and CycleGAN) see those of the tile instead, and
neighbouring tiles can differ a little in tone; fading hides the seam, not the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from ganvas.data.loader import to_model_range
from ganvas.pictures import Bytes, to_uint8

if TYPE_CHECKING:
    from ganvas.models.translation import Direction, TranslationModel

Pixels: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""A picture (H, W, C), uint8, or uint16 where all 16 bits of grey count."""

TILE = 1024
"""Pixels of a tile's side: pictures of up to its square are translated at once."""

SMALLEST_TILE = 64

_FADE = 8
"""A tile fades into the next one over an eighth of its side ..."""

_MOST_DROPPED = 3 / 16
"""... and at most so much of it is dropped on each side, so that tiles share at most their half."""


@dataclass(frozen=True, eq=False)
class Span:
    """Where a tile lies along one side of the picture, and how much each of its pixels counts."""

    start: int
    weights: NDArray[np.float32]
    """(size,), in [0, 1]; those of all spans that cover a pixel sum to 1."""

    @property
    def stop(self) -> int:
        """The first pixel behind it."""
        return self.start + len(self.weights)

    @property
    def place(self) -> slice:
        """The same as a slice."""
        return slice(self.start, self.stop)


def translate_pixels(
    model: TranslationModel,
    pixels: Pixels,
    direction: Direction = "AB",
    seed: int = 0,
    tile: int = TILE,
    advance: Callable[[float], None] = lambda share: None,
) -> Bytes:
    """Translate one picture.

    Args:
        model: What `ganvas.load_translator` returns.
        pixels: (H, W, C), both sides at least 4.
        direction: Which way.
        seed: Of the dropout noise, the same in all tiles.
        tile: Side of a tile in pixels.
        advance: Called with the share of the picture that was just done.

    Returns:
        (H, W, C') uint8.

    Raises:
        ConfigError: The model has no such direction, or takes another number of channels.
        RunError: The model's weights have diverged.
    """
    rows, columns = _cut_picture(model, pixels.shape[:2], tile)
    share = 1 / (len(rows) * len(columns))
    bands: list[Bytes] = []
    open_rows: NDArray[np.float32] | None = None  # (C', rows not yet final, W)
    for row, begins_next in zip(rows, [*(r.start for r in rows[1:]), len(pixels)], strict=True):
        band = _Band(row, pixels.shape[1], open_rows)
        for column in columns:
            part = pixels[row.place, column.place]
            band.add(column, _translate_part(model, part, direction, seed))
            advance(share)
        bands.append(to_uint8(band.values[None, :, : begins_next - row.start])[0])
        open_rows = band.values[:, begins_next - row.start :]
    return np.concatenate(bands)


class _Band:
    """The rows that a row of tiles covers, as the weighted sum of the tiles so far."""

    def __init__(self, row: Span, width: int, above: NDArray[np.float32] | None) -> None:
        self._row, self._width, self._above = row, width, above
        self.values: NDArray[np.float32] = np.empty((0, 0, 0), np.float32)

    def add(self, column: Span, tile: NDArray[np.float32]) -> None:
        """Add a tile (C', H, W)."""
        if not self.values.size:  # only now the number of channels is known
            self.values = np.zeros((len(tile), len(self._row.weights), self._width), np.float32)
            if self._above is not None:
                self.values[:, : self._above.shape[1]] = self._above
        self.values[:, :, column.place] += tile * self._row.weights[:, None] * column.weights


def _translate_part(
    model: TranslationModel, part: Pixels, direction: Direction, seed: int
) -> NDArray[np.float32]:
    """(H, W, C) -> (C', H, W) in [-1, 1]."""
    images = torch.from_numpy(np.array(part)).permute(2, 0, 1)[None]
    result = model.translate(to_model_range(images.to(model.device)), direction, seed)
    array: NDArray[np.float32] = result[0].float().cpu().numpy()
    return array


def _cut_picture(
    model: TranslationModel, size: tuple[int, ...], tile: int
) -> tuple[list[Span], list[Span]]:
    """The rows and columns of tiles: one of each for a picture that is small enough."""
    side = max(tile // model.multiple, 1) * model.multiple
    if size[0] * size[1] <= side * side:
        return list(cut(size[0], size[0], 0, 1)), list(cut(size[1], size[1], 0, 1))
    rows, columns = (list(cut(n, side, model.context, model.multiple)) for n in size)
    return rows, columns


def cut(length: int, tile: int, context: int, multiple: int) -> Iterator[Span]:
    """Cover `length` pixels with spans of at most `tile` pixels that fade into each other.

    Args:
        length: What is to be covered.
        tile: Pixels of a span.
        context: Pixels that should be dropped at ends where the picture goes on; a tile that is
            too small for that drops 3/16.
        multiple: Spans begin at multiples of it where tiles are large enough for that, so that a
            network that reduces sees the same grid in all of them.
    """
    fade = tile // _FADE
    margin = min(context, int(tile * _MOST_DROPPED))
    raw = [
        (start, _trapezium(start, min(start + tile, length), length, margin, fade))
        for start in _starts(length, tile, tile - 2 * margin - fade, multiple)
    ]
    total = np.zeros(length)
    for start, weights in raw:
        total[start : start + len(weights)] += weights
    for start, weights in raw:
        yield Span(start, (weights / total[start : start + len(weights)]).astype(np.float32))


def _starts(length: int, tile: int, stride: int, multiple: int) -> list[int]:
    """Where spans begin; the last one is as long as the others, or a little shorter."""
    if length <= tile:
        return [0]
    step = multiple if stride >= multiple else 1
    last = -(-(length - tile) // step) * step
    return [*range(0, last, stride // step * step), last]


def _trapezium(start: int, stop: int, length: int, margin: int, fade: int) -> NDArray[np.float64]:
    """What each pixel of a span counts: 0 in its margins, rising to 1; 1 at the picture's ends."""
    places = np.arange(start, stop)
    rising = 1.0 if start == 0 else np.clip((places - start - margin + 0.5) / fade, 0, 1)
    falling = 1.0 if stop == length else np.clip((stop - places - margin - 0.5) / fade, 0, 1)
    return np.ones(len(places)) * rising * falling
