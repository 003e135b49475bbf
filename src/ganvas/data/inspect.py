"""Looking a source over before training: what is in it, what is wrong with it, file by file."""

import dataclasses
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from .decoding import Change, Facts, PictureError, Problem, examine, quiet_pillow
from .generated import DEFAULT_COUNT
from .packing import chunks, map_chunks, survey
from .progress import progress_bar
from .source_types import DrawnSource, Encoded, PictureSource, PointSource
from .sources import open_source


@dataclass(frozen=True)
class Spread:
    """The smallest, the median and the largest of some numbers."""

    smallest: float
    median: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self | None:
        """None if there are no values."""
        return cls(min(values), statistics.median(values), max(values)) if values else None


@dataclass(frozen=True)
class Report:
    """What `ganvas data inspect` tells about a source."""

    source: str
    kind: Literal["pictures", "drawn", "points"]
    """Stored pictures, pictures that ganvas draws, or points of the plane."""
    found: int
    """Pictures, whether they can be used or not; of drawn ones the default number."""
    usable: int
    ignored: int
    """Files that are no pictures by their name."""
    notes: tuple[str, ...]
    formats: dict[str, int]
    """How many files there are of each: {"PNG": 12}."""
    modes: dict[str, int]
    """How many have each Pillow mode: L grey, RGB, RGBA with alpha, P palette, ..."""
    width: Spread | None
    height: Spread | None
    aspect: Spread | None
    """Width divided by height."""
    classes: dict[str, int]
    """How many usable pictures each class has; empty without classes."""
    duplicates: tuple[tuple[str, ...], ...]
    """Groups of files that are the same byte for byte."""
    problems: tuple[Problem, ...]
    """Every file that cannot be used."""
    changes: tuple[Change, ...]
    """Every file that is used, but not as it is."""
    resolution: tuple[int, int] | None
    """(height, width) that would be chosen automatically."""
    channels: int | None
    """Channels that would be chosen automatically."""

    def as_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return dataclasses.asdict(self)


def inspect(name: str, *, progress: bool = True) -> Report:
    """Decode every picture of a source and report on it; nothing is written.

    Args:
        name: As in `DataConfig.source`.
        progress: Whether to show a progress bar when it takes long.

    Raises:
        DataError: The source as a whole cannot be read.
    """
    source = open_source(name)
    if isinstance(source, PictureSource):
        with quiet_pillow():
            return _inspect_pictures(source, progress)
    return _inspect_generated(source)


def _inspect_generated(source: DrawnSource | PointSource) -> Report:
    """Nothing can be wrong with these: count the classes."""
    if isinstance(source, DrawnSource):
        labels, classes = source.labels(range(DEFAULT_COUNT)), source.classes
    else:
        labels = source.sample(DEFAULT_COUNT)[1]
        modes = int(labels.max()) + 1
        classes = tuple(map(str, range(modes))) if modes > 1 else ()
    drawn = isinstance(source, DrawnSource)
    return Report(
        source=source.name,
        kind="drawn" if drawn else "points",
        found=DEFAULT_COUNT,
        usable=DEFAULT_COUNT,
        ignored=0,
        notes=("Made by ganvas itself: any number of them, set by data.images.",),
        formats={},
        modes={"RGB": DEFAULT_COUNT} if drawn else {},
        width=None,
        height=None,
        aspect=None,
        classes=_count_classes(labels, classes),
        duplicates=(),
        problems=(),
        changes=(),
        resolution=source.resolution if isinstance(source, DrawnSource) else None,
        channels=3 if drawn else None,
    )


@dataclass(frozen=True)
class _Look:
    index: int
    name: str
    digest: bytes
    facts: Facts | Problem


def _look(item: Encoded) -> _Look:
    if isinstance(item.content, PictureError):
        return _Look(item.index, item.name, b"", item.content.named(item.name))
    digest = sha256(item.content).digest()
    try:
        return _Look(item.index, item.name, digest, examine(item.content))
    except PictureError as error:
        return _Look(item.index, item.name, digest, error.named(item.name))


def _inspect_pictures(source: PictureSource, progress: bool) -> Report:
    everything = np.arange(len(source))
    looks: list[_Look] = []
    with progress_bar("Inspecting", len(source), progress) as advance:
        groups = map_chunks(lambda c: [_look(i) for i in c], chunks(source.read(everything)))
        for group in groups:
            looks += group
            advance(len(group))
    listing = source.listing
    usable = [(look, look.facts) for look in looks if isinstance(look.facts, Facts)]
    facts = [fact for _, fact in usable]
    broken = [look.facts for look in looks if isinstance(look.facts, Problem)]
    changes = [
        Change(look.name, kind, action) for look, fact in usable for kind, action in fact.changes
    ]
    kept = [look.index for look, _ in usable]
    labels = None if listing.labels is None else listing.labels[kept]
    seen = survey(source, everything)
    return Report(
        source=source.name,
        kind="pictures",
        found=len(source) + len(listing.refused),
        usable=len(usable),
        ignored=listing.ignored,
        notes=listing.notes,
        formats=dict(Counter(fact.format for fact in facts).most_common()),
        modes=dict(Counter(fact.mode for fact in facts).most_common()),
        width=Spread.of([fact.size[0] for fact in facts]),
        height=Spread.of([fact.size[1] for fact in facts]),
        aspect=Spread.of([fact.size[0] / fact.size[1] for fact in facts]),
        classes=_count_classes(labels, listing.classes),
        duplicates=_duplicates([look for look, _ in usable]),
        problems=(*listing.refused, *broken),
        changes=tuple(changes),
        resolution=seen.resolution() if usable else None,
        channels=(1 if all(fact.grey for fact in facts) else 3) if usable else None,
    )


def _count_classes(labels: NDArray[np.int64] | None, classes: tuple[str, ...]) -> dict[str, int]:
    if labels is None or not classes:
        return {}
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    return dict(zip(classes, counts, strict=True))


def _duplicates(looks: Sequence[_Look]) -> tuple[tuple[str, ...], ...]:
    groups: defaultdict[bytes, list[str]] = defaultdict(list)
    for look in looks:
        groups[look.digest].append(look.name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)
