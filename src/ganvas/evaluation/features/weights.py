"""Published weights: from a local file, the cache or the net, and never used unchecked."""

import hashlib
import os
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError

from ganvas.data.pack import cache_folder
from ganvas.data.progress import progress_bar
from ganvas.errors import ConfigError, DataError, RunError
from ganvas.files import atomic_write

TIMEOUT = 30.0
"""Seconds without a byte after which a download is given up."""

MAX_BYTES = 2**30
"""No published weights are larger: more than this is not what was asked for."""

_CHUNK = 2**20


def fetch(url: str, name: str, sha256_prefix: str, local: Path | None = None) -> Path:
    """Find a file of published weights, downloading it if it is nowhere, and check its hash.

    Looked for in this order: `local`, the folder $GANVAS_WEIGHTS, the folder `weights` of the
    cache, `url`.

    Args:
        url: Where it is published.
        name: Its file name.
        sha256_prefix: Its SHA-256 in hexadecimal, or the first digits of it.
        local: The file itself, or a folder that holds it under its name.

    Raises:
        ConfigError: There is no file `local`.
        DataError: The file is another one, or cannot be downloaded or kept.
    """
    found = _kept(name) if local is None else _given(local, name)
    if found is None:
        return _download(url, _cache() / name, sha256_prefix)
    actual = _sha256(found)
    if not actual.startswith(sha256_prefix):
        raise DataError(
            f"{found} is not the published {name}: its SHA-256 is {actual}, but must begin with "
            f"{sha256_prefix}. It is damaged or another file, and scores from it would not be "
            f"comparable. Delete it, and get it from {url}."
        )
    return found


def _cache() -> Path:
    return cache_folder() / "weights"


def _kept(name: str) -> Path | None:
    chosen = os.environ.get("GANVAS_WEIGHTS")
    folders = [Path(chosen).expanduser(), _cache()] if chosen else [_cache()]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _given(path: Path, name: str) -> Path:
    for found in (path, path / name):
        if found.is_file():
            return found
    raise ConfigError(
        f"There are no weights at {path}. Give the path of {name}, or of a folder that holds it, "
        "or leave the setting out to download it."
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"The weights {path} cannot be read: {error.strerror or error}. Check who may read it, "
            "or give another copy."
        ) from None


def _download(url: str, path: Path, sha256_prefix: str) -> Path:
    by_hand = (
        f"Without a connection, get {url} on another machine and put the file into {path.parent}, "
        "or into a folder named by the environment variable GANVAS_WEIGHTS."
    )
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response, atomic_write(path) as out:
            actual = _copy(response, out, path.name, int(response.headers["Content-Length"] or 0))
            if not actual.startswith(sha256_prefix):
                raise DataError(
                    f"What {url} sent is not the published {path.name}: its SHA-256 is {actual}, "
                    f"but must begin with {sha256_prefix}. The download broke off, or something "
                    f"between here and there changed it; it was not kept. Try again. {by_hand}"
                )
    except RunError as error:  # of atomic_write
        raise DataError(
            f"The weights {path.name} cannot be kept in {path.parent}: {error.__cause__}. Free "
            "some space, or choose another cache with the environment variable GANVAS_CACHE."
        ) from None
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        raise DataError(
            f"The weights {path.name} could not be downloaded ({error or type(error).__name__}). "
            f"{by_hand}"
        ) from None
    return path


def _copy(source: BinaryIO, out: BinaryIO, name: str, size: int) -> str:
    """Copy all bytes; their SHA-256."""
    total, done = hashlib.sha256(), 0
    with progress_bar(f"Downloading {name} (MiB)", -(-size // _CHUNK)) as advance:
        while chunk := source.read(_CHUNK):
            done += len(chunk)
            if done > MAX_BYTES:
                raise OSError(f"it is larger than {MAX_BYTES >> 20} MiB")
            total.update(chunk)
            out.write(chunk)
            advance(1)
    return total.hexdigest()
