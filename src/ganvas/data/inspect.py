"""Looking a source over before training: what is in it, what is wrong with it, file by file."""

import dataclasses
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import DataError

from .chunks import chunks, map_chunks
from .config import DataConfig
from .decoding import Change, Facts, Part, PictureError, Problem, examine, quiet_pillow, size_of
from .domains import different_sizes, open_domains
from .generated import DEFAULT_COUNT
from .progress import progress_bar
from .source_types import DrawnSource, Encoded, PictureSource, PointSource, Source
from .sources import open_source
from .survey import survey

_EXAMPLES = 3


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
    captions: "CaptionReport | None"
    """What is said of the pictures, where anything is."""

    def as_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class CaptionReport:
    """What `ganvas data inspect` tells about captions."""

    count: int
    """Pictures that have one."""
    longest: int
    """Words of the longest."""
    words: int
    """Different words in all of them."""
    examples: tuple[str, ...]
    without: tuple[str, ...]
    """Pictures that have none."""
    problem: str | None
    """Why they cannot be read."""


def inspect(name: str, *, progress: bool = True) -> Report:
    """Decode every picture of a source and report on it; nothing is written.

    Args:
        name: As in `DataConfig.source`.
        progress: Whether to show a progress bar when it takes long.

    Raises:
        DataError: The source as a whole cannot be read.
    """
    return _inspect(open_source(name), progress)[0]


@dataclass(frozen=True)
class TwoReports:
    """What `ganvas data inspect` tells about two domains."""

    source: Report
    target: Report
    pairs: int | None
    """How many usable pictures of the one have a usable partner in the other; None where the
    pictures of the two are no pairs."""
    unpaired: str | None
    """Why they are none."""
    problems: tuple[Problem, ...]
    """Pairs that are unusable although both their pictures can be used."""

    def as_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return dataclasses.asdict(self)


def inspect_domains(config: DataConfig, *, progress: bool = True) -> TwoReports:
    """`inspect` both domains of a configuration that has two, and their pairs.

    Raises:
        DataError: A source as a whole cannot be read, or there is no such class, column or view.
    """
    domains = open_domains(config)
    if domains.target is None:
        raise ValueError("this configuration has one domain only")
    source, sizes = _inspect(domains.source, progress)
    if config.pair is not None:  # the same files again
        return TwoReports(source, replace(source, source=domains.target.name), len(sizes), None, ())
    target, others = _inspect(domains.target, progress)
    if not domains.paired:
        return TwoReports(source, target, None, domains.unpaired, ())
    if not isinstance(domains.source, PictureSource):
        return TwoReports(source, target, source.usable, None, ())
    names = domains.source.listing.names
    both = [index for index in sizes if index in others]
    unequal = tuple(
        Problem(names[index], "sizes differ", different_sizes(sizes[index], others[index]))
        for index in both
        if sizes[index] != others[index]
    )
    return TwoReports(source, target, len(both) - len(unequal), None, unequal)


_Sizes = dict[int, tuple[int, int]]


def _inspect(source: Source, progress: bool) -> tuple[Report, _Sizes]:
    """The report, and the size of every usable picture by its index; of drawn ones none."""
    if not isinstance(source, PictureSource):
        return _inspect_generated(source), {}
    with quiet_pillow():
        looks = _look_at_all(source, progress)
        sizes = {look.index: look.facts.size for look in looks if isinstance(look.facts, Facts)}
        return _report(source, looks), sizes


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
        modes={"L" if source.channels == 1 else "RGB": DEFAULT_COUNT}
        if isinstance(source, DrawnSource)
        else {},
        width=None,
        height=None,
        aspect=None,
        classes=_count_classes(labels, classes),
        duplicates=(),
        problems=(),
        changes=(),
        resolution=source.resolution if isinstance(source, DrawnSource) else None,
        channels=source.channels if isinstance(source, DrawnSource) else None,
        captions=_captions_of_drawn(source) if isinstance(source, DrawnSource) else None,
    )


def _captions_of_drawn(source: DrawnSource) -> CaptionReport | None:
    found = source.captions(range(DEFAULT_COUNT))
    return None if found is None else _report_captions(found, [""] * len(found))


def _captions_of_stored(source: PictureSource) -> CaptionReport | None:
    try:
        found = source.captions()
    except DataError as error:
        return CaptionReport(0, 0, 0, (), (), str(error))
    return None if found is None else _report_captions(found, source.listing.names)


def _report_captions(found: Sequence[str | None], names: Sequence[str]) -> CaptionReport:
    captions = [text for text in found if text is not None]
    words = [re.findall(r"\w+", text.lower()) for text in captions]
    return CaptionReport(
        count=len(captions),
        longest=max(map(len, words), default=0),
        words=len({word for caption in words for word in caption}),
        examples=tuple(captions[:_EXAMPLES]),
        without=tuple(name for name, text in zip(names, found, strict=True) if text is None),
        problem=None,
    )


@dataclass(frozen=True)
class _Look:
    index: int
    name: str
    digest: bytes
    facts: Facts | Problem


def _look(item: Encoded, part: Part) -> _Look:
    if isinstance(item.content, PictureError):
        return _Look(item.index, item.name, b"", item.content.named(item.name))
    digest = sha256(item.content).digest()
    try:
        facts = examine(item.content)
        if part != "whole":
            facts = replace(facts, size=size_of(item.content, part))
        return _Look(item.index, item.name, digest, facts)
    except PictureError as error:
        return _Look(item.index, item.name, digest, error.named(item.name))


def _look_at_all(source: PictureSource, progress: bool) -> list[_Look]:
    everything = np.arange(len(source))
    looks: list[_Look] = []
    with progress_bar("Inspecting", len(source), progress) as advance:
        rows = zip(source.read(everything))
        groups = map_chunks(lambda c: [_look(row[0], source.part) for row in c], chunks(rows))
        for group in groups:
            looks += group
            advance(len(group))
    return looks


def _report(source: PictureSource, looks: Sequence[_Look]) -> Report:
    listing = source.listing
    usable = [(look, look.facts) for look in looks if isinstance(look.facts, Facts)]
    facts = [fact for _, fact in usable]
    broken = [look.facts for look in looks if isinstance(look.facts, Problem)]
    changes = [
        Change(look.name, kind, action) for look, fact in usable for kind, action in fact.changes
    ]
    kept = [look.index for look, _ in usable]
    labels = None if listing.labels is None else listing.labels[kept]
    seen = survey(source, np.arange(len(source)))
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
        captions=_captions_of_stored(source),
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
