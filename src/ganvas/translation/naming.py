"""Which file each translated picture is written to."""

import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from ganvas.data.folders import is_picture
from ganvas.errors import RunError

SHEET = "sheet.png"

DESCRIPTION = {"Software": "ganvas translate"}
"""Stored as text in every picture, by which it is known again."""

_MARK = b"Software\0ganvas translate"
_HEAD = 4096  # bytes of a PNG in which its texts are, as this package writes it
_LONGEST = 150  # letters of a folder's or file's name; file systems take 255 bytes
_UNFIT = re.compile(r'[<>:"|?*\x00-\x1f\ufffd]')  # in names that Windows takes


def output_names(names: Sequence[str]) -> list[PurePosixPath]:
    """A PNG's relative path for each picture: its own name, or one beside it if that is taken.

    Args:
        names: Relative paths as folders and ZIPs give them. They are not trusted: whatever they
            say, the result stays inside of the folder that it is taken relative to.

    Returns:
        As many different paths, also where a file system ignores case. `a.jpg` becomes `a.png`;
        if there was an `a.png`, too, the second becomes `a.jpg.png`.
    """
    paths = [_inside(name) for name in names]
    taken = {SHEET} | {str(folder).casefold() for path in paths for folder in path.parents}
    result = []
    for path in paths:
        free = next(p for p in _candidates(path) if str(p).casefold() not in taken)
        taken.add(str(free).casefold())
        result.append(free)
    return result


def check_free(out: Path, names: Collection[PurePosixPath]) -> int:
    """How many results of an earlier translation will be replaced.

    Raises RunError where `out` holds files of these names that are none: nothing is replaced.
    """
    with_sheet = [*names, PurePosixPath(SHEET)]
    there = [name for name in with_sheet if (out / name).exists() or (out / name).is_symlink()]
    foreign = [str(name) for name in there if not _is_ours(out / name)]
    if foreign:
        more = f" and {len(foreign) - 3:,} more" if len(foreign) > 3 else ""
        raise RunError(
            f"{out} holds {', '.join(foreign[:3])}{more}, which ganvas translate did not write and "
            "would replace. Nothing was translated: choose another folder with --out, or move "
            "those files away."
        )
    return len(there)


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return _MARK in stream.read(_HEAD)
    except OSError:  # a folder, a link that leads nowhere
        return False


def _inside(name: str) -> PurePosixPath:
    """The path without anything that leads elsewhere or that a file system refuses."""
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".", "..")]
    return PurePosixPath(*(_fitting(part) for part in parts or ["picture"]))


def _fitting(part: str) -> str:
    """A name that file systems take: Windows drops points and spaces at its end."""
    return _shortened(_UNFIT.sub("_", part)).rstrip(". ") or "_"


def _shortened(part: str) -> str:
    if len(part.encode()) <= _LONGEST:
        return part
    stem, point, suffix = part.rpartition(".")
    if not point or len(suffix) > 5:
        stem, suffix = part, ""
    return stem.encode()[: _LONGEST - 8].decode(errors="ignore") + point * bool(suffix) + suffix


def _candidates(path: PurePosixPath) -> Iterator[PurePosixPath]:
    stem = path.stem if is_picture(path.name) else path.name
    yield path.with_name(f"{stem}.png")
    yield path.with_name(f"{path.name}.png")
    yield from (path.with_name(f"{stem}-{number}.png") for number in itertools.count(2))
