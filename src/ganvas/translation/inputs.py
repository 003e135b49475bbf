"""What is to be translated: pictures of untrusted files, read and decoded one at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ganvas.data.config import DataConfig
from ganvas.data.decoding import PictureError, Problem, decode, is_deep, open_header, size_of
from ganvas.data.fitting import Geometry, Part
from ganvas.data.folders import read_file
from ganvas.data.source_types import Encoded, Listing, PictureSource, printable, stamp
from ganvas.models.translation import SMALLEST
from ganvas.translation.tiling import Pixels


@dataclass(frozen=True, eq=False)
class Item:
    """One picture to translate."""

    index: int
    name: str
    pixels: Pixels
    target: Pixels | str | None = None
    """What it should become, or why that cannot be had; None where it is not asked for."""


@dataclass(frozen=True)
class Form:
    """How a model takes, or makes, pictures of one domain."""

    channels: Literal[1, 3, 4]
    data: DataConfig
    """Its `fit` and `background` are used."""
    resolution: tuple[int, int] | None = None
    """(height, width) to bring them to; None leaves each picture its own size."""
    part: Part = "whole"
    """Where a stored picture holds two, side by side: which of them."""

    def decode(self, content: bytes | PictureError) -> Pixels:
        """A picture (H, W, C) in this form; raises PictureError for a file that is broken."""
        if isinstance(content, PictureError):
            raise content
        width, height = size_of(content, self.part)
        if min(width, height) < SMALLEST:
            raise PictureError(
                "unsupported",
                f"it has {width}x{height} pixels, and at least {SMALLEST} on each side are needed",
            )
        geometry = Geometry(
            self.resolution or (height, width),
            self.channels,
            self.data.fit,
            self.data.background,
            self.part,
            bits=16 if self.channels == 1 and is_deep(open_header(content)) else 8,
        )
        return decode(content, geometry)


class Inputs(ABC):
    """Pictures to translate, in order."""

    names: tuple[str, ...]
    """One per picture; relative paths, to be shown."""
    refused: tuple[Problem, ...] = ()
    """Files that were left out without being read."""
    has_targets: bool
    """Whether it is known of some what they should become."""

    @abstractmethod
    def read(self, with_target: int) -> Iterator[Item | Problem]:
        """Every picture, or why it cannot be had; the first so many with their targets."""


class Targets:
    """What pictures should become, as far as that is known.

    Args:
        source: Where the targets lie.
        form: How to read them.
        partners: The place of its target in `source` for every picture that has one.
    """

    def __init__(self, source: PictureSource, form: Form, partners: Mapping[int, int]) -> None:
        self._source, self._form, self._partners = source, form, partners

    def read(self, index: int) -> Pixels | str:
        """The target of a picture, or why it has none."""
        if index not in self._partners:
            return f"{self._source.name} holds none of that name"
        (encoded,) = self._source.read(np.array([self._partners[index]]))
        try:
            return self._form.decode(encoded.content)
        except PictureError as problem:
            return f"{encoded.name} of {self._source.name}: {problem.reason}"


class FileInputs(Inputs):
    """Picture files, wherever they lie."""

    def __init__(self, source: PictureSource, form: Form, targets: Targets | None = None) -> None:
        self.names, self.refused = source.listing.names, source.listing.refused
        self.has_targets = targets is not None
        self._source, self._form, self._targets = source, form, targets

    def read(self, with_target: int) -> Iterator[Item | Problem]:
        """See `Inputs`."""
        read = 0
        for encoded in self._source.read(np.arange(len(self.names))):
            try:
                pixels = self._form.decode(encoded.content)
            except PictureError as problem:
                yield problem.named(encoded.name)
                continue
            read += 1
            target: Pixels | str | None = None
            if self._targets is not None and read <= with_target:
                target = self._targets.read(encoded.index)
            yield Item(encoded.index, encoded.name, pixels, target)


class HeldOutInputs(Inputs):
    """Pictures of the run's own data, with their partners where it has pairs."""

    def __init__(self, names: Sequence[str], inputs: Pixels, targets: Pixels | None) -> None:
        self.names = tuple(names)
        self.has_targets = targets is not None
        self._inputs, self._targets = inputs, targets

    def read(self, with_target: int) -> Iterator[Item | Problem]:
        """See `Inputs`."""
        for index, (name, pixels) in enumerate(zip(self.names, self._inputs, strict=True)):
            target = None if self._targets is None else self._targets[index]
            yield Item(index, name, pixels, target)


class FileSource(PictureSource):
    """One picture file."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name, {"file": stamp(path)}, Listing((printable(path.name),)))
        self._path = path

    def read(self, indices: NDArray[np.int64]) -> Iterator[Encoded]:
        """Read it once for every index."""
        for index in indices.tolist():
            yield Encoded(index, self.listing.names[index], read_file(self._path))
