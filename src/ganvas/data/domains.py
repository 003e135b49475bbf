"""The two domains that a model translates between, and which of their pictures belong together.

A configuration says where the second domain is in one of three ways: a second source (`target`),
the other half of every picture (`pair`), or another class, column or view of the same source
(`domains`).
"""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import commonpath
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import DataError
from ganvas.settings import nearest

from .builtin.avatars import ATTRIBUTES, View
from .config import DataConfig
from .folders import is_picture
from .generated import AlikeAvatarSource, AvatarSource
from .selection import Selection
from .source_types import PictureSource, PointSource, Source
from .sources import open_source
from .tables import TableSource

NAMED = 3
"""How many files an error names; there may be thousands."""

VIEWS: tuple[View, ...] = get_args(View)
"""What can be drawn of every avatar."""


@dataclass(frozen=True)
class Domains:
    """Where the pictures are: one domain, or two."""

    source: Source
    target: Source | None = None
    unpaired: str | None = None
    """Why the pictures of the two are no pairs; None where row i of both belong together."""

    @property
    def paired(self) -> bool:
        """Whether row i of both belong together."""
        return self.target is not None and self.unpaired is None


def open_domains(config: DataConfig) -> Domains:
    """List what a configuration names.

    Raises:
        DataError: A source is missing or unusable, or there is no such class, column or view.
    """
    source = open_source(config.source)
    if not config.has_target:
        return Domains(source)
    if isinstance(source, PointSource):
        raise DataError(
            f"{config.source} holds points of the plane, which cannot be translated: give pictures."
        )
    if config.target is not None:
        return _two_sources(source, open_source(config.target))
    if config.domains is not None:
        return _two_of_one(source, *config.domains)
    if not isinstance(source, PictureSource):
        raise DataError(
            f"{config.source} has no two pictures side by side, which data.pair (--pair) is for. "
            "Of avatars, two views make pairs: --domains segmentation,image."
        )
    left, right = Selection.half(source, "left"), Selection.half(source, "right")
    return Domains(left, right) if config.pair == "AB" else Domains(right, left)


def _two_of_one(source: Source, first: str, second: str) -> Domains:
    """Two views, columns or classes of one source."""
    if first == second:
        raise DataError(f"data.domains names {first!r} twice: name two different ones.")
    if isinstance(source, AvatarSource):
        return _two_of_avatars(source, first, second)
    if not isinstance(source, PictureSource):
        raise DataError(
            f"{source.name} has no domains: it is drawn by ganvas itself. Of what is drawn, only "
            "avatars have some: --data avatars --domains segmentation,image."
        )
    columns = source.image_columns if isinstance(source, TableSource) else ()
    if isinstance(source, TableSource) and {first, second} <= {*columns}:
        return Domains(source.of_column(first), source.of_column(second))
    classes = source.listing.classes
    for name in (first, second):
        _check_name(source.name, name, columns, classes)
    if first in columns or second in columns:
        raise DataError(
            f"data.domains names an image column and a class of {source.name} ({first}, {second}): "
            "name two columns or two classes."
        )
    domains = Selection.of_class(source, first), Selection.of_class(source, second)
    for name, domain in zip((first, second), domains, strict=True):
        if not len(domain):
            raise DataError(
                f"The class {name!r} of {source.name} holds no pictures, and a domain needs at "
                "least 2: name another class, or put pictures into this one."
            )
    why = (
        f"{first} and {second} are two classes of {source.name}, and pairs are looked for by name "
        "between two sources only"
    )
    return Domains(domains[0], domains[1], why)


def _check_name(source: str, name: str, columns: tuple[str, ...], classes: tuple[str, ...]) -> None:
    if name in classes or name in columns:
        return
    if not classes and len(columns) < 2:
        raise DataError(
            f"{source} has no domain {name!r}: it has neither classes nor two columns of pictures. "
            "Put the pictures of each domain into a folder of its own, or give the second domain "
            "with --target."
        )
    known = [*classes, *(columns if len(columns) > 1 else ())]
    what = "image column" if len(columns) > 1 and not classes else "class"
    raise DataError(f"{source} has no {what} {name!r}.{nearest(name, known)}")


def _two_of_avatars(source: AvatarSource, first: str, second: str) -> Domains:
    views = {view: view for view in VIEWS}
    if first in views and second in views:
        return Domains(source.of_view(views[first]), source.of_view(views[second]))
    if not {first, second} <= {*source.classes}:
        raise _no_domains_of_avatars(source, first, second)
    why = f"avatars with {source.attribute} {first} and {second} are different faces, not pairs"
    alike = [AlikeAvatarSource(source.name, source.attribute, name) for name in (first, second)]
    return Domains(alike[0], alike[1], why)


def _no_domains_of_avatars(source: AvatarSource, first: str, second: str) -> DataError:
    known = [*source.classes, *VIEWS]
    unknown = next((name for name in (first, second) if name not in known), None)
    other = next((a.name for a in ATTRIBUTES if {first, second} <= {*a.values}), None)
    if other is not None:
        wrong = f"cannot be split by {other}: for that write --data avatars:{other}."
    elif unknown is not None:
        wrong = f"has no domain {unknown!r}.{nearest(unknown, known)}"
    else:
        wrong = f"cannot be split into {first} and {second}."
    return DataError(
        f"{source.name} {wrong} Two values of {source.attribute} ({', '.join(source.classes)}) "
        f"make domains without pairs, two views ({', '.join(VIEWS)}) pairs."
    )


def _two_sources(source: Source, target: Source) -> Domains:
    """Pair the pictures of two sources by their names, where all have a partner."""
    if isinstance(target, PointSource):
        raise DataError(
            f"{target.name} holds points of the plane, which cannot be translated: give pictures."
        )
    if not (isinstance(source, PictureSource) and isinstance(target, PictureSource)):
        return Domains(source, target, f"pictures that are drawn ({source.name}, {target.name}) "
                       "have no names to be paired by")  # fmt: skip
    for table in (source, target):
        if isinstance(table, TableSource):
            why = f"the rows of {table.name} have no names to be paired by"
            return Domains(source, target, why)
    return _by_names(source, target)


def _by_names(source: PictureSource, target: PictureSource) -> Domains:
    (mine, lost), (theirs, also_lost) = _called(source), _called(target)
    for domain, names in ((source, mine), (target, theirs)):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            why = f"{domain.name} holds more than one picture called {some(twice)}"
            return Domains(source, target, why)
    known, rows = {*mine}, {stem: row for row, stem in enumerate(theirs)}
    lonely = _named(source, mine, rows.keys() | also_lost)
    others = _named(target, theirs, known | lost)
    if lonely or others:
        return Domains(source, target, _without_partner(source, target, lonely, others))
    pairs = [(row, rows[stem]) for row, stem in enumerate(mine) if stem in rows]
    both: NDArray[np.int64] = np.array(pairs, np.int64).reshape(-1, 2)
    return Domains(
        Selection(source, source.name, both[:, 0]), Selection(target, target.name, both[:, 1])
    )


def _called(source: PictureSource) -> tuple[list[str], set[str]]:
    """What its pictures are called by, and its files that were refused.

    Partners of the latter are left out without ado: the files are named for being unusable.
    """
    count, refused = len(source), (problem.name for problem in source.listing.refused)
    names = [*source.listing.names, *refused]
    called = stems(names, common_folder(names))
    return called[:count], {*called[count:]}


def common_folder(names: Sequence[str]) -> str:
    """The innermost folder that holds all of these files; empty for none."""
    return commonpath([PurePosixPath(name).parent for name in names]) if names else ""


def stems(names: Sequence[str], folder: str = "") -> list[str]:
    """What pictures are called by, within a folder: their paths but for suffix and case.

    Pictures of two sources that are called alike are pairs.
    """
    paths = [PurePosixPath(name).relative_to(folder) for name in names]
    bare = [path.with_suffix("") if is_picture(path.name) else path for path in paths]
    return [str(path).casefold() for path in bare]


def _named(source: PictureSource, stems: list[str], partners: Set[str]) -> list[str]:
    """The pictures that have none of these partners."""
    names = zip(source.listing.names, stems, strict=True)
    return [name for name, stem in names if stem not in partners]


def _without_partner(
    source: PictureSource, target: PictureSource, lonely: list[str], others: list[str]
) -> str:
    parts = []
    for here, there, names in ((source, target, lonely), (target, source, others)):
        if names:
            parts.append(
                f"{len(names):,} of the {len(here):,} pictures in {here.name} have no partner of "
                f"the same name in {there.name} ({some(names)})"
            )
    return "; ".join(parts)


def some(names: Sequence[str]) -> str:
    """The first of some names."""
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def different_sizes(first: tuple[int, int], second: tuple[int, int]) -> str:
    """What is wrong with a pair of pictures of these sizes, (width, height)."""
    one, other = ("x".join(map(str, size)) for size in (first, second))
    return f"{one} pixels, but its partner has {other}"


def no_pairs(domains: Domains) -> DataError:
    """The error for a model that needs pairs, where there are none."""
    return DataError(
        f"This model learns from pairs, and here are none: {domains.unpaired}. Pairs are pictures "
        "of the same name in two folders or ZIPs (--data A --target B), pictures that hold both "
        "side by side (--pair AB), two image columns of a Parquet file or two views of avatars "
        "(--domains segmentation,image). Without pairs train a cyclegan."
    )
