"""What a source of pictures is: listed at once, read in order, never held in memory as a whole."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .decoding import Part, PictureError, Problem


@dataclass(frozen=True)
class Encoded:
    """One picture file as bytes, or why its bytes could not be had."""

    index: int
    name: str
    content: bytes | PictureError


@dataclass(frozen=True)
class Listing:
    """What a source knows about its pictures before reading one."""

    names: tuple[str, ...]
    """One per picture, in the order of reading; to be shown, not to be opened."""
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    refused: tuple[Problem, ...] = ()
    """Entries that are left out without being read."""
    ignored: int = 0
    """Files that are no pictures, such as texts."""
    notes: tuple[str, ...] = ()
    """Sentences for the user about how the source was understood."""


class PictureSource(ABC):
    """Pictures stored as encoded files (PNG, JPEG, ...)."""

    def __init__(self, name: str, identity: dict[str, Any], listing: Listing):
        self.name = name
        """As the user wrote it."""
        self.identity = digest(identity)
        """Changes whenever the source may have changed."""
        self.listing = listing
        self.part: Part = "whole"
        """Which part of every stored picture this source is about."""

    def __len__(self) -> int:
        return len(self.listing.names)

    @abstractmethod
    def read(self, indices: NDArray[np.int64]) -> Iterator[Encoded]:
        """Read the pictures at these ascending indices, one after the other."""

    def captions(self) -> list[str | None] | None:
        """The caption of each picture, None where one has none; None where there are none at all.

        Raises:
            DataError: There are some, but they cannot be read.
        """
        return None


class DrawnSource(ABC):
    """Pictures that the package draws itself, any number of them at any resolution."""

    def __init__(
        self,
        name: str,
        identity: dict[str, Any],
        classes: tuple[str, ...],
        resolution: tuple[int, int],
        channels: Literal[1, 3] = 3,
    ):
        self.name = name
        self.identity = digest(identity)
        self.classes = classes
        self.resolution = resolution
        """(height, width) unless the user says otherwise."""
        self.channels: Literal[1, 3] = channels
        """What it draws: grey or colour."""

    @abstractmethod
    def draw(self, indices: range, resolution: tuple[int, int]) -> NDArray[np.uint8]:
        """Draw these pictures: uint8 (N, H, W, channels) at resolution (H, W)."""

    @abstractmethod
    def labels(self, indices: range) -> NDArray[np.int64] | None:
        """The class of each of these pictures; None where there are no classes."""

    def captions(self, indices: range) -> list[str] | None:
        """What each of these pictures shows, in words; None where there are none."""
        return None


class PointSource(ABC):
    """Points of the plane: 2-D toys."""

    def __init__(self, name: str, identity: dict[str, Any]):
        self.name = name
        self.identity = digest(identity)

    @abstractmethod
    def sample(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Points, float32 (count, 2), and the mode that each belongs to, int64 (count,)."""


Source = PictureSource | DrawnSource | PointSource


def printable(name: str) -> str:
    """A file's name without what could disturb a terminal (control characters, broken UTF-8)."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name)


def digest(value: Any) -> str:
    """SHA-256 of a JSON-able value, as hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def stamp(path: Path) -> list[Any]:
    """What identifies the content of a file without reading it: path, size, modification time."""
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]
