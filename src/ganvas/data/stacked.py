"""Three digits in one picture: a thousand modes that can be counted.

Srivastava et al. 2017 (VEEGAN, arXiv:1705.07761, section 5.1), after Metz et al. 2017, put three
random MNIST digits into the red, green and blue channel of one picture. Each of the 1,000 triples
is a mode, about equally likely, and a classifier of single digits tells which of them a drawn
picture shows (`ganvas.evaluation.stacked`).
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import DataError

from .builtin.counter import uniform
from .decoding import Geometry, NotGreyError, PictureError, decode, quiet_pillow
from .source_types import DrawnSource, PictureSource, Source
from .survey import select

PREFIX = "stacked"
"""`stacked:SOURCE` is this source."""

DIGITS = 10
"""Classes of the pictures that are stacked."""

CHANNELS = 3

SIDE = 28
"""Pixels of a side unless `resolution` says otherwise: MNIST's."""

_MOST = 70_000  # single pictures in memory: all of MNIST, 55 MB
_SEED = 0
_VERSION = 1  # raised when other triples are drawn


class StackedSource(DrawnSource):
    """Any number of triples of digits; triple i depends on the digits and i alone."""

    def __init__(self, name: str, digits: PictureSource, labels: NDArray[np.int64]):
        classes = digits.listing.classes
        super().__init__(
            name,
            {"stacked": digits.identity, "seed": _SEED, "version": _VERSION},
            tuple("-".join(triple) for triple in product(classes, repeat=CHANNELS)),
            (SIDE, SIDE),
        )
        self._digits = digits
        self._chosen = select(digits, _MOST)
        self._labels = labels[self._chosen]
        self._decoded: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def draw(self, indices: range, resolution: tuple[int, int]) -> NDArray[np.uint8]:
        """These triples, uint8 (N, H, W, 3), one digit a channel.

        Raises:
            DataError: One of the digits cannot be read, or is in colour.
        """
        if resolution not in self._decoded:
            self._decoded = {resolution: self._decode(resolution)}
        digits = self._decoded[resolution]
        return np.stack([digits[rows] for rows in self._triples(indices)], axis=-1)

    def labels(self, indices: range) -> NDArray[np.int64]:
        """The number 100 a + 10 b + c of the digits in channels 0, 1 and 2, int64 (N,)."""
        first, second, third = (self._labels[rows] for rows in self._triples(indices))
        numbers: NDArray[np.int64] = (first * DIGITS + second) * DIGITS + third
        return numbers

    def _triples(self, indices: range) -> list[NDArray[np.int64]]:
        """Which digit goes into each channel, (N,) each: by chance, with replacement."""
        return [
            (uniform(indices, _SEED, f"stacked/{channel}") * len(self._labels)).astype(np.int64)
            for channel in range(CHANNELS)
        ]

    def _decode(self, resolution: tuple[int, int]) -> NDArray[np.uint8]:
        """Every digit, (N, H, W)."""
        geometry = Geometry(resolution, 1, "crop", "white")
        digits = np.empty((len(self._chosen), *resolution), np.uint8)
        with quiet_pillow():
            for row, item in enumerate(self._digits.read(self._chosen)):
                try:
                    if isinstance(item.content, PictureError):
                        raise item.content
                    digits[row] = decode(item.content, geometry, only_grey=True)[..., 0]
                except PictureError as error:
                    raise DataError(
                        f"{self.name} cannot be stacked, for {item.name} cannot be used: "
                        f"{error.reason}. Mend or remove it."
                    ) from None
                except NotGreyError:
                    raise DataError(
                        f"{self.name} cannot be stacked, for {item.name} is in colour: three grey "
                        "digits make the three channels of one picture. Give a source such as "
                        "mnist, whose pictures are stored as grey."
                    ) from None
        return digits


def stack(name: str, digits: Source) -> StackedSource:
    """The source `name`, which stacks the pictures of another one.

    Raises:
        DataError: Those are no pictures in ten classes.
    """
    if not isinstance(digits, PictureSource):
        raise DataError(
            f"{name} cannot be stacked: {digits.name!r} is drawn by ganvas itself. Give a source "
            "of grey digits in ten classes: stacked:mnist, stacked:digits, or a Parquet file."
        )
    labels, classes = digits.listing.labels, digits.listing.classes
    if labels is None or len(classes) != DIGITS:
        found = f"{len(classes)} classes" if classes else "no labels"
        raise DataError(
            f"{name} cannot be stacked: {digits.name} has {found}, and the modes are counted by "
            f"{DIGITS} labelled digits. Give a source such as stacked:mnist, stacked:digits, or a "
            "Parquet file or a folder with ten classes."
        )
    return StackedSource(name, digits, labels)
