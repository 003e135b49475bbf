"""Real pictures that a model is judged by and never trained on.

Of pictures that are stored (files, digits), some rows of the pack are held out: a random subset
that depends on the pack alone, not on the seed of a training. Of pictures that are drawn (avatars,
2-D toys) there are always more, so nothing is taken from the pack: those that come after it are
used.

Either has two splits: "validation", to choose the best moment of a training by, and "test", to
report; whoever chooses by the first still reports on pictures that took no part in the choice.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import ConfigError

from .config import DataConfig
from .generated import BUILTIN
from .pack import Pack
from .packing import change_channels
from .source_types import DrawnSource, PictureSource, PointSource
from .sources import open_source
from .stacked import PREFIX

SplitName = Literal["validation", "test"]

MOST_VALIDATION = 1_000
"""Pictures of the validation split, at most."""

MOST_TEST = 5_000
"""Pictures of the test split, unless more are held out or drawn on purpose."""

_AUTO_SHARE = 10
"""One picture in so many is held out unless `data.held_out` says otherwise."""

_AUTO_FROM = 200
"""Pictures below which none is held out: a training needs each of so few."""

_SPLIT_SEED = 0x48454C44
"""An order of its own: a subset of a source (`data.images`) is drawn with another seed."""

_DRAWN_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Examples:
    """Pictures, or points, that no training saw."""

    images: NDArray[Any]
    """As in a pack: uint8 (N, H, W, C), or float32 (N, 2)."""
    labels: NDArray[np.int64] | None
    """The class of each, int64 (N,), if the pack has classes."""
    indices: NDArray[np.int64]
    """int64 (N,): rows of the pack, or what was drawn, counted from the pack's first."""


def count_held_out(pack: Pack, config: DataConfig) -> int:
    """How many rows of the pack are held out; 0 for pictures that are drawn.

    Raises:
        ConfigError: Fewer than two pictures would be left to train on, or a number is given for
            pictures that are drawn.
    """
    wanted, total = config.held_out, len(pack)
    if _drawn(config.source) is not None:
        if wanted not in ("auto", 0):
            raise ConfigError(
                f"data.held_out={wanted} does not apply to {config.source!r}: its pictures are "
                "drawn, so others can always be drawn to judge by. Leave it at auto."
            )
        return 0
    if wanted == "auto":
        return 0 if total < _AUTO_FROM else min(total // _AUTO_SHARE, MOST_VALIDATION + MOST_TEST)
    if wanted > 0 and total - wanted < 2:
        raise ConfigError(
            f"data.held_out={wanted:,} leaves {max(0, total - wanted)} of the {total:,} pictures "
            f"of {config.source} to train on, and at least 2 are needed: hold out fewer, "
            f"such as {total // _AUTO_SHARE}."
        )
    return wanted


def training_rows(pack: Pack, config: DataConfig) -> NDArray[np.int64] | None:
    """The rows of the pack to train on, int64, ascending; None for all of them.

    Raises:
        ConfigError: As `count_held_out`.
    """
    count = count_held_out(pack, config)
    return np.sort(_order(pack)[count:]) if count else None


def held_out_examples(pack: Pack, config: DataConfig, split: SplitName, n: int | None) -> Examples:
    """Pictures of a split, in random order: the first n of more are what n alone would give.

    Args:
        pack: The data that is trained on.
        config: What it was packed with, and how many are held out.
        split: Which of the two.
        n: At most so many. None: the whole split, and `MOST_TEST` of what can be drawn.

    Returns:
        As many as there are, up to n: none where nothing is held out. The validation split has at
        most `MOST_VALIDATION`.

    Raises:
        ConfigError: As `count_held_out`.
    """
    count = count_held_out(pack, config)
    source = _drawn(config.source)
    if source is not None:
        return _draw(source, pack, split, n)
    validation = min(count // 4, MOST_VALIDATION)
    held_out = _order(pack)[:count]
    rows = (held_out[:validation] if split == "validation" else held_out[validation:])[:n]
    return Examples(pack.images[rows], None if pack.labels is None else pack.labels[rows], rows)


def _order(pack: Pack) -> NDArray[np.int64]:
    """Every row once, those that are held out first."""
    return np.random.default_rng(_SPLIT_SEED).permutation(len(pack))


def _drawn(name: str) -> DrawnSource | PointSource | None:
    """The source of that name if its pictures are drawn, any number of them; else None."""
    if name.partition(":")[0] not in (*BUILTIN, PREFIX):
        return None  # which to find out need not be opened
    source = open_source(name)
    return None if isinstance(source, PictureSource) else source


def _draw(
    source: DrawnSource | PointSource, pack: Pack, split: SplitName, n: int | None
) -> Examples:
    """What follows after the pack: first the validation split, then the test split."""
    if split == "validation":
        start, count = len(pack), min(MOST_VALIDATION if n is None else n, MOST_VALIDATION)
    else:
        start, count = len(pack) + MOST_VALIDATION, MOST_TEST if n is None else n
    places = range(start, start + count)
    if isinstance(source, PointSource):
        points, modes = source.sample(places.stop)
        images, labels = points[start:], modes[start:]
    else:
        images, labels = _pictures(source, pack, places), source.labels(places)
    return Examples(images, None if pack.labels is None else labels, np.asarray(places, np.int64))


def _pictures(source: DrawnSource, pack: Pack, places: range) -> NDArray[Any]:
    """Draw pictures of the pack's form, some at a time."""
    channels, height, width = pack.shape
    images = np.empty((len(places), height, width, channels), np.uint8)
    for start in range(0, len(places), _DRAWN_AT_ONCE):
        part = slice(start, start + _DRAWN_AT_ONCE)
        images[part] = change_channels(source.draw(places[part], (height, width)), channels)
    return images
