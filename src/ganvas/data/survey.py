"""What a sample of a source looks like by its headers, and the form that is chosen by it."""

import statistics
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .config import DataConfig
from .decoding import Geometry, PictureError, is_deep, is_grey, open_header, size_of
from .source_types import PictureSource

USUAL_SIDES = (16, 20, 24, 28, 32, 40, 48, 56, 64)
"""What an automatic resolution is chosen from, in pixels."""

SURVEY = 1000
"""How many pictures, evenly spaced over the source, an automatic choice looks at."""

_SUBSET_SEED = 0


def select(source: PictureSource, images: int | None) -> NDArray[np.int64]:
    """The ascending indices of the pictures to use: all, or always the same random subset."""
    count = len(source)
    if images is None or images >= count:
        return np.arange(count)
    chosen = np.random.default_rng(_SUBSET_SEED).permutation(count)[:images]
    return np.sort(chosen)


@dataclass(frozen=True)
class Survey:
    """What a sample of a source looks like by its headers."""

    sizes: tuple[tuple[int, int], ...]
    """(width, height) as shown, of the part that is meant."""
    grey: bool
    """Whether all of them are stored as grey."""
    deep: bool
    """Whether all of them are stored as grey of 16 bits."""

    def resolution(self) -> tuple[int, int]:
        """The largest usual square that the median picture fills, at least 16x16."""
        side = statistics.median(min(size) for size in self.sizes) if self.sizes else 0
        best = max((usual for usual in USUAL_SIDES if usual <= side), default=USUAL_SIDES[0])
        return best, best


def survey(source: PictureSource, selected: NDArray[np.int64]) -> Survey:
    """Look at the headers of up to `SURVEY` of the selected pictures; bad ones are passed over."""
    step = -(-len(selected) // SURVEY)
    sizes: list[tuple[int, int]] = []
    grey = deep = True
    for encoded in source.read(selected[:: max(1, step)]):
        if isinstance(encoded.content, PictureError):
            continue
        try:
            sizes.append(size_of(encoded.content, source.part))
            header = open_header(encoded.content)
        except PictureError:
            continue
        grey, deep = grey and is_grey(header), deep and is_deep(header)
    return Survey(tuple(sizes), grey, bool(sizes) and deep)


def choose_geometry(
    source: PictureSource, selected: NDArray[np.int64], config: DataConfig
) -> Geometry:
    """The form that these pictures get: as configured, the rest by a survey of them.

    Grey keeps its 16 bits only where a model translates: what others are measured by takes 8.
    """
    resolution, channels = config.resolution, config.channels
    bits: Literal[8, 16] = 8
    may_be_deep = config.has_target and channels in ("auto", 1)
    if resolution is None or channels == "auto" or may_be_deep:
        seen = survey(source, selected)
        resolution = resolution or seen.resolution()
        if channels == "auto":
            channels = 1 if seen.grey else 3
        if may_be_deep and seen.deep:
            bits = 16
    return Geometry(
        resolution, channels, config.fit, config.background, source.part, bits, config.binarise
    )
