"""Some pictures of a source, in another order, or a half of each: still a source."""

import dataclasses
from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .decoding import Part
from .source_types import Encoded, PictureSource


class Selection(PictureSource):
    """Pictures of another source.

    Args:
        inner: That source.
        name: What to call them.
        rows: Their places in it, int64 (N,); for a source that is read in order, ascending.
        part: Which part of each is meant.
        keep_classes: Whether its classes are theirs.
    """

    def __init__(
        self,
        inner: PictureSource,
        name: str,
        rows: NDArray[np.int64],
        part: Part = "whole",
        *,
        keep_classes: bool = True,
    ):
        listing = inner.listing
        labels = None if listing.labels is None or not keep_classes else listing.labels[rows]
        identity = {"inner": inner.identity, "rows": rows.tolist(), "part": part}
        super().__init__(
            name,
            identity,
            dataclasses.replace(
                listing,
                names=tuple(listing.names[row] for row in rows.tolist()),
                labels=labels,
                classes=listing.classes if keep_classes else (),
            ),
        )
        self.part = part
        self._inner = inner
        self._rows = rows

    def read(self, indices: NDArray[np.int64]) -> Iterator[Encoded]:
        """Read these of them."""
        items = self._inner.read(self._rows[indices])
        for index, item in zip(indices.tolist(), items, strict=True):
            yield dataclasses.replace(item, index=index)

    @classmethod
    def half(cls, inner: PictureSource, part: Part) -> Self:
        """One half of every picture."""
        return cls(inner, f"{inner.name} ({part} halves)", np.arange(len(inner)), part)

    @classmethod
    def of_class(cls, inner: PictureSource, name: str) -> Self:
        """Only the pictures of a class, of which they are then no longer said to be."""
        labels, code = inner.listing.labels, inner.listing.classes.index(name)
        rows = np.flatnonzero(labels == code)
        return cls(inner, f"{inner.name} (class {name})", rows, keep_classes=False)
