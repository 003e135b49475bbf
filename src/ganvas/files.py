"""Writing files so that a kill, a crash or a full disk never leaves half of one behind."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ganvas.errors import RunError

_DISK_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "the file is larger than this process may write",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ENOENT: "no file can be made there",
    errno.ENOTDIR: "a part of that path is a file, not a folder",
    errno.EEXIST: "something that is not a folder is already there",
    errno.EISDIR: "a folder of that name is already there",
    errno.ENAMETOOLONG: "that name is too long",
}


@contextlib.contextmanager
def explain_disk_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` of writing below `path` into a `RunError` that says what to do."""
    try:
        yield
    except OSError as error:
        reason = _DISK_ERRORS.get(error.errno or 0)
        if reason is None:
            raise
        raise RunError(
            f"cannot write {path}: {reason}. Free some space or choose another "
            "folder with --out; what was written before is intact."
        ) from error


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when complete.

    The bytes go to a temporary file in the same folder, are flushed to the disk and renamed over
    `path`; on any error the temporary file is removed and an older `path` stays as it was.
    """
    with explain_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    with atomic_write(path) as stream:
        stream.write(text.encode())


def sync_folder(path: Path) -> None:
    """Ask the operating system to write the folder's own entries (names) to the disk."""
    if os.name == "nt":  # pragma: no cover - Windows has no descriptor for a folder
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """The process's umask (it can only be read by setting it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
