"""A folder of picture files, and how file names become classes."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import DataError

from .captions import CaptionFiles, find_caption_files, read_captions
from .decoding import MAX_BYTES, SUFFIXES, PictureError, Problem
from .source_types import Encoded, Listing, PictureSource, printable

_JUNK = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})


def is_junk(name: str) -> bool:
    """Whether a relative path is hidden or what an operating system leaves behind."""
    return any(part.startswith(".") or part.lower() in _JUNK for part in PurePosixPath(name).parts)


def is_picture(name: str) -> bool:
    """Whether the suffix of a name promises a picture."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


_File = tuple[str, int, int]  # relative path, size in bytes, modification time in ns


@dataclass(frozen=True)
class Classes:
    """How the names of files were read as classes."""

    labels: NDArray[np.int64] | None
    names: tuple[str, ...]
    notes: tuple[str, ...]


def classify(names: Sequence[str]) -> Classes:
    """Read classes from relative paths: the class is the first sub-folder.

    Leading folders that tell nothing are passed over: one that holds everything, and the parts of
    a split (`train`, `val`, `test`), whose pictures are used together. Pictures outside of any
    sub-folder leave the whole source without classes.
    """
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    notes: list[str] = []
    while folders and all(folders):
        tops = sorted({parts[0] for parts in folders})
        if len(tops) > 1 and not all(top.lower() in _SPLITS for top in tops):
            index = {top: i for i, top in enumerate(tops)}
            labels = np.array([index[parts[0]] for parts in folders], np.int64)
            return Classes(labels, tuple(tops), tuple(notes))
        if len(tops) > 1:
            notes.append(f"The parts {', '.join(tops)} are used together; they are not classes.")
        folders = [parts[1:] for parts in folders]
    loose = sum(not parts for parts in folders)
    if 0 < loose < len(folders):
        notes.append(
            f"{loose} of {len(folders)} pictures are not in a sub-folder, so there are no classes."
        )
    return Classes(None, (), tuple(notes))


class FolderSource(PictureSource):
    """A folder of picture files."""

    def __init__(
        self,
        name: str,
        root: Path,
        files: list[_File],
        listing: Listing,
        captions: CaptionFiles,
    ):
        identity: dict[str, Any] = {"folder": str(root), "files": files}
        if captions:  # named only where there are some: other packs keep their names
            identity["captions"] = [_stamped(root, relative) for relative in captions.names]
        super().__init__(name, identity, listing)
        self._root = root
        self._files = [relative for relative, _, _ in files]
        self._captions = captions

    def read(self, indices: NDArray[np.int64]) -> Iterator[Encoded]:
        """Read these files."""
        for index in indices.tolist():
            path = self._root / self._files[index]
            yield Encoded(index, self.listing.names[index], read_file(path))

    def captions(self) -> list[str | None] | None:
        """Of texts beside the pictures, and of tables."""
        return read_captions(self.name, self._captions, self._files, self._read_text)

    def _read_text(self, relative: str, most: int) -> bytes:
        try:
            with (self._root / relative).open("rb") as stream:
                return stream.read(most)
        except OSError as error:
            raise DataError(
                f"The captions {relative} of {self.name} cannot be read ({error.strerror}). Make "
                "the file readable, or remove it."
            ) from None


def read_file(path: Path) -> bytes | PictureError:
    """The bytes of a file of at most `MAX_BYTES`."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return PictureError("unreadable", f"it cannot be read ({error.strerror})")
    if len(content) > MAX_BYTES:
        return PictureError("too large", f"the file is larger than {MAX_BYTES >> 20} MiB")
    return content


def open_folder(name: str, path: Path) -> FolderSource:
    """List a folder and its sub-folders.

    Links to folders are not followed; links to files are, inside the folder.

    Raises:
        DataError: The folder holds no picture files.
    """
    root = path.resolve()
    files: list[_File] = []
    refused: list[Problem] = []
    others: list[str] = []
    for relative in _walk(root, refused):
        if not is_picture(relative):
            others.append(relative)
            continue
        problem = _check_entry(root, relative)
        if problem is not None:
            refused.append(problem.named(printable(relative)))
            continue
        files.append(_stamped(root, relative))
    if not files:
        raise DataError(_no_pictures(name, len(others), refused))
    safe = [relative for relative in others if _check_entry(root, relative) is None]
    captions = find_caption_files([relative for relative, _, _ in files], safe)
    names = [printable(relative) for relative, _, _ in files]
    classes = classify(names)
    listing = Listing(
        tuple(names), classes.labels, classes.names, tuple(refused), len(others) - len(captions),
        classes.notes,
    )  # fmt: skip
    return FolderSource(name, root, files, listing, captions)


def _stamped(root: Path, relative: str) -> _File:
    status = (root / relative).stat()
    return relative, status.st_size, status.st_mtime_ns


def _walk(root: Path, refused: list[Problem]) -> Iterator[str]:
    """Relative POSIX paths of all files that are not junk, sorted folder by folder."""

    def unreadable(error: OSError) -> None:
        refused.append(
            Problem(
                printable(str(error.filename)), "unreadable", f"cannot be listed ({error.strerror})"
            )
        )

    for folder, folders, files in os.walk(root, onerror=unreadable):
        here = Path(folder).relative_to(root)
        folders[:] = sorted(name for name in folders if not is_junk(name))
        for name in [*folders]:
            if (Path(folder) / name).is_symlink():
                reason = "a link to a folder, which is not followed: copy the folder or name it"
                refused.append(Problem(printable((here / name).as_posix()), "link", reason))
        yield from ((here / name).as_posix() for name in sorted(files) if not is_junk(name))


def _check_entry(root: Path, relative: str) -> PictureError | None:
    path = root / relative
    if path.is_symlink():
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return PictureError("link", "a link that leads nowhere")
        if not target.is_relative_to(root):
            return PictureError(
                "link", "a link that leads outside of the folder, which is not followed"
            )
    if not path.is_file():
        return PictureError("unreadable", "not a regular file")
    return None


def _no_pictures(name: str, ignored: int, refused: list[Problem]) -> str:
    if refused:
        first = "; ".join(f"{problem.name}: {problem.reason}" for problem in refused[:3])
        return f"The folder {name} holds no picture that can be used ({first})."
    if ignored:
        return (
            f"The folder {name} holds {ignored} file{'s' * (ignored > 1)}, none of them a picture "
            f"by its name ({', '.join(sorted(SUFFIXES))}). Give the folder that holds the pictures."
        )
    return f"The folder {name} is empty. Give a folder that holds pictures."
