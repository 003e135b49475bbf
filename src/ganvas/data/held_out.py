"""Real pictures that a model is judged by and never trained on.

Of pictures that are stored (files, digits), some rows of the pack are held out: a random subset
that depends on the pack alone, not on the seed of a training. Of pictures that are drawn (avatars,
2-D toys) there are always more, so nothing is taken from the pack: those that come after it are
used.

Either has two splits: "validation", to choose the best moment of a training by, and "test", to
report; whoever chooses by the first still reports on pictures that took no part in the choice.

Where there are two domains, the same goes for each of them, and of pairs both are held out.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import ConfigError

from .config import DataConfig
from .domains import open_domains
from .generated import BUILTIN, AvatarSource
from .pack import Pack
from .packing import drawn_form
from .source_types import DrawnSource, PictureSource, PointSource, Source
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
    """How many rows of the pack, and of its target, are held out; 0 for pictures that are drawn.

    Of two domains that are no pairs the smaller one decides.

    Raises:
        ConfigError: Fewer than two pictures would be left to train on, or a number is given for
            pictures that are drawn.
    """
    wanted, totals = config.held_out, _stored(pack, config)
    if not totals:
        if wanted not in ("auto", 0):
            raise ConfigError(
                f"data.held_out={wanted} does not apply to {config.source!r}: its pictures are "
                "drawn, so others can always be drawn to judge by. Leave it at auto."
            )
        return 0
    total, name = min(totals)
    if wanted == "auto":
        return 0 if total < _AUTO_FROM else min(total // _AUTO_SHARE, MOST_VALIDATION + MOST_TEST)
    if wanted > 0 and total - wanted < 2:
        raise ConfigError(
            f"data.held_out={wanted:,} leaves {max(0, total - wanted)} of the {total:,} pictures "
            f"of {name} to train on, and at least 2 are needed: hold out fewer, "
            f"such as {total // _AUTO_SHARE}."
        )
    return wanted


def training_rows(pack: Pack, config: DataConfig) -> NDArray[np.int64] | None:
    """The rows of the pack to train on, int64, ascending; None for all of them.

    Raises:
        ConfigError: As `count_held_out`.
    """
    return _training_rows(pack, config.source, count_held_out(pack, config))


def training_target_rows(pack: Pack, config: DataConfig) -> NDArray[np.int64] | None:
    """The same of `pack.target`; of pairs it is the same rows.

    Raises:
        ConfigError: As `count_held_out`.
    """
    if pack.target is None or pack.paired:
        return training_rows(pack, config)
    return _training_rows(pack.target, _target_name(config), count_held_out(pack, config))


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
    if _is_drawn(config.source):
        return _draw(open_domains(config).source, pack, config, split, n)
    return _held_out(pack, count, split, n)


def held_out_pairs(
    pack: Pack, config: DataConfig, split: SplitName, n: int | None
) -> tuple[Examples, Examples]:
    """What `held_out_examples` gives, of both domains of a pack that has two.

    Row i of both belong together where `pack.paired` is set; else each domain has its own pictures,
    up to n.

    Raises:
        ConfigError: As `count_held_out`.
    """
    if pack.target is None:
        raise ValueError("this pack has one domain only")
    count, examples = count_held_out(pack, config), held_out_examples(pack, config, split, n)
    if not _is_drawn(_target_name(config)):
        return examples, _held_out(pack.target, count, split, n)
    target = open_domains(config).target
    assert target is not None
    return examples, _draw(target, pack.target, config, split, n)


def known_attributes(
    config: DataConfig, examples: tuple[Examples, Examples]
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]] | None:
    """The truth about both of what `held_out_pairs` gave, where they are avatars; else None.

    Returns every attribute of the faces by its name, (N,) each (`builtin.avatars.ATTRIBUTES`).
    """
    domains = open_domains(config) if _is_drawn(config.source) else None
    if domains is None:
        return None
    source, target = domains.source, domains.target
    if not (isinstance(source, AvatarSource) and isinstance(target, AvatarSource)):
        return None
    return (
        source.attributes(_places(examples[0])),
        target.attributes(_places(examples[1])),
    )


def held_out_captions(pack: Pack, config: DataConfig, examples: Examples) -> tuple[str, ...] | None:
    """The captions of what `held_out_examples` gave; None where the data has none."""
    if not _is_drawn(config.source):
        return None if pack.captions is None else tuple(pack.captions[i] for i in examples.indices)
    source = open_domains(config).source
    found = source.captions(_places(examples)) if isinstance(source, DrawnSource) else None
    return None if found is None else tuple(found)


def _training_rows(pack: Pack, name: str, count: int) -> NDArray[np.int64] | None:
    """What is left of one domain."""
    return np.sort(_order(pack)[count:]) if count and not _is_drawn(name) else None


def _places(examples: Examples) -> range:
    """What was drawn follows one after the other."""
    count = len(examples.indices)
    start = int(examples.indices[0]) if count else 0
    return range(start, start + count)


def _held_out(pack: Pack, count: int, split: SplitName, n: int | None) -> Examples:
    """Pictures of a split of one domain, of which so many rows are held out."""
    validation = min(count // 4, MOST_VALIDATION)
    held_out = _order(pack)[:count]
    rows = (held_out[:validation] if split == "validation" else held_out[validation:])[:n]
    return Examples(pack.images[rows], None if pack.labels is None else pack.labels[rows], rows)


def _stored(pack: Pack, config: DataConfig) -> list[tuple[int, str]]:
    """The number of pictures and the name of each domain that is not drawn."""
    domains = [(len(pack), config.source)]
    if pack.target is not None:
        domains.append((len(pack.target), _target_name(config)))
    return [(count, name) for count, name in domains if not _is_drawn(name)]


def _target_name(config: DataConfig) -> str:
    return config.source if config.target is None else config.target


def _order(pack: Pack) -> NDArray[np.int64]:
    """Every row once, those that are held out first."""
    return np.random.default_rng(_SPLIT_SEED).permutation(len(pack))


def _is_drawn(name: str) -> bool:
    """Whether the pictures of the source of that name are drawn, any number of them."""
    base = name.partition(":")[0]  # what is not built in need not be opened to know
    return base == PREFIX or (base in BUILTIN and base != "digits")


def _draw(
    source: Source, pack: Pack, config: DataConfig, split: SplitName, n: int | None
) -> Examples:
    """What follows after the pack: first the validation split, then the test split."""
    assert not isinstance(source, PictureSource)
    if split == "validation":
        start, count = len(pack), min(MOST_VALIDATION if n is None else n, MOST_VALIDATION)
    else:
        start, count = len(pack) + MOST_VALIDATION, MOST_TEST if n is None else n
    places = range(start, start + count)
    labels: NDArray[np.int64] | None
    if isinstance(source, PointSource):
        points, modes = source.sample(places.stop)
        images, labels = points[start:], modes[start:]
    else:
        images, labels = _pictures(source, pack, config, places), source.labels(places)
    return Examples(images, None if pack.labels is None else labels, np.asarray(places, np.int64))


def _pictures(source: DrawnSource, pack: Pack, config: DataConfig, places: range) -> NDArray[Any]:
    """Draw pictures of the pack's form, some at a time."""
    channels, height, width = pack.shape
    images = np.empty((len(places), height, width, channels), np.uint8)
    for start in range(0, len(places), _DRAWN_AT_ONCE):
        part = slice(start, start + _DRAWN_AT_ONCE)
        images[part] = drawn_form(source.draw(places[part], (height, width)), channels, config)
    return images
