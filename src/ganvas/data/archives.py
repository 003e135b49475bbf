"""A ZIP of picture files, read in place: nothing is ever extracted to the disk."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import DataError

from .captions import CaptionFiles, find_caption_files, read_captions
from .decoding import MAX_BYTES, PictureError, Problem
from .folders import classify, is_junk, is_picture
from .source_types import Encoded, Listing, PictureSource, printable, stamp

MAX_RATIO = 200
"""Pictures hardly compress: an entry (or archive) that would grow more than this is a bomb ..."""

SMALL = 16 * 2**20
"""... unless it stays below this many bytes (a blank bitmap compresses a thousandfold) ..."""

SMALL_TOTAL = 2**30
"""... or the whole archive below this many."""

_ENCRYPTED = 0x1
# bzip2 and LZMA are left out: zipfile inflates them without a bound on memory.
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


class ArchiveSource(PictureSource):
    """The picture files in a ZIP."""

    def __init__(
        self,
        name: str,
        path: Path,
        entries: list[zipfile.ZipInfo],
        listing: Listing,
        captions: CaptionFiles,
    ):
        super().__init__(name, {"zip": stamp(path)}, listing)
        self._path = path
        self._entries = entries
        self._captions = captions

    def read(self, indices: NDArray[np.int64]) -> Iterator[Encoded]:
        """Read these entries."""
        with _open_zip(self.name, self._path) as archive:
            for index in indices.tolist():
                content = _read_entry(archive, self._entries[index], MAX_BYTES + 1)
                yield Encoded(index, self.listing.names[index], content)

    def captions(self) -> list[str | None] | None:
        """Of texts beside the pictures, and of tables."""
        pictures = [entry.filename for entry in self._entries]
        with _open_zip(self.name, self._path) as archive:

            def read(entry: str, most: int) -> bytes:
                content = _read_entry(archive, archive.getinfo(entry), most)
                if isinstance(content, PictureError):
                    raise DataError(
                        f"The captions {entry} of {self.name} cannot be read: {content.reason}. "
                        "Pack the ZIP anew, without it if it holds no captions."
                    )
                return content

            return read_captions(self.name, self._captions, pictures, read)


def _open_zip(name: str, path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(
            f"{name} cannot be read as a ZIP ({error}). It is damaged or cut short: copy or "
            "download it again."
        ) from None


def _read_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int
) -> bytes | PictureError:
    """The first bytes of an entry, which may be no larger than a picture may be."""
    try:
        with archive.open(entry) as stream:
            content = stream.read(most)  # whatever the header says
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        return PictureError("truncated", f"its entry in the ZIP is damaged ({error})")
    if len(content) > MAX_BYTES:
        return PictureError("too large", f"the file is larger than {MAX_BYTES >> 20} MiB")
    return content


def open_archive(name: str, path: Path) -> ArchiveSource:
    """List a ZIP.

    Raises:
        DataError: It is damaged, encrypted, a bomb, has names that lead outside, or no pictures.
    """
    with _open_zip(name, path) as archive:
        everything = archive.infolist()
    for entry in everything:
        _check_name(name, entry)
    files = [e for e in everything if not e.is_dir() and not is_junk(e.filename)]
    pictures = sorted((e for e in files if is_picture(e.filename)), key=lambda e: e.filename)
    if not pictures:
        raise DataError(
            f"The ZIP {name} holds no pictures ({len(files)} other files; ZIPs in it are not "
            "opened). Give a ZIP of picture files, with a folder per class if there are classes."
        )
    _check_safety(name, path, pictures)
    refused = tuple(
        Problem(
            printable(e.filename),
            "unsupported",
            f"compression method {e.compress_type} is not read",
        )
        for e in pictures
        if e.compress_type not in _METHODS
    )
    usable = [e for e in pictures if e.compress_type in _METHODS]
    names = tuple(printable(e.filename) for e in usable)
    classes = classify(names)
    readable = [e.filename for e in files if e.compress_type in _METHODS]
    others = [other for other in readable if not is_picture(other)]
    captions = find_caption_files([e.filename for e in usable], others)
    listing = Listing(
        names,
        classes.labels,
        classes.names,
        refused,
        len(files) - len(pictures) - len(captions),
        classes.notes,
    )
    return ArchiveSource(name, path, usable, listing, captions)


def _check_name(name: str, entry: zipfile.ZipInfo) -> None:
    written = entry.orig_filename.replace("\\", "/")
    parts = PurePosixPath(written).parts
    absolute = written.startswith("/") or (len(written) > 1 and written[1] == ":")
    if absolute or ".." in parts or "\0" in written:
        raise DataError(
            f"The ZIP {name} holds an entry named {entry.orig_filename!r}, which leads outside of "
            "the archive. No honest tool writes such names, so nothing in it is read: unpack it "
            "with care, look at what it holds, and pack the pictures anew."
        )


def _check_safety(name: str, path: Path, pictures: list[zipfile.ZipInfo]) -> None:
    for entry in pictures:
        if entry.flag_bits & _ENCRYPTED:
            raise DataError(
                f"The ZIP {name} is encrypted ({entry.filename!r} asks for a password). Unpack it "
                "with the password and give the folder instead."
            )
        if _explodes(entry.file_size, entry.compress_size, SMALL):
            raise DataError(_bomb(name, f"its entry {entry.filename!r}", entry.file_size))
    total = sum(entry.file_size for entry in pictures)
    if _explodes(total, path.stat().st_size, SMALL_TOTAL):
        raise DataError(_bomb(name, "it", total))


def _explodes(size: int, compressed: int, harmless: int) -> bool:
    return size > harmless and size > MAX_RATIO * max(1, compressed)


def _bomb(name: str, what: str, size: int) -> str:
    return (
        f"The ZIP {name} looks like a decompression bomb: {what} would grow to "
        f"{size / 2**20:,.0f} MiB, more than {MAX_RATIO} times its size in the archive, which "
        "pictures never do. Nothing in it is read; remove that entry if you trust the rest."
    )
