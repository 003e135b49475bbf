"""Data sets of the Hugging Face hub."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import DataError

from .captions import tidy
from .decoding import PictureError
from .folders import read_file
from .source_types import Encoded, Listing, digest, printable
from .tables import Columns, TableSource, caption_column, classes_of, require


class HubSource(TableSource):
    """A data set of the Hugging Face hub, through its `datasets` package."""

    def __init__(self, name: str, rows: Any, columns: Columns, listing: Listing):
        super().__init__(name, {"hub": name, "fingerprint": str(rows._fingerprint)}, listing)
        self._all = rows
        self._rows = rows.select_columns([columns.image])
        self._columns = columns
        self.image_columns = tuple(column for column, _ in columns.images)

    def of_column(self, column: str) -> Self:
        """The same rows, with the pictures of another column."""
        columns = replace(self._columns, image=column)
        other = type(self)(self.name, self._all, columns, self.listing)
        other.name = f"{self.name} ({column})"
        other.identity = digest([self.identity, column])
        return other

    def read(self, indices: NDArray[np.int64]) -> Iterator[Encoded]:
        """Read these rows."""
        rows = iter(self._rows.select(indices))
        for index in indices.tolist():
            try:
                row = next(rows)
            except Exception as error:  # whatever its readers raise: this row ends the set
                raise DataError(
                    f"{self.name} cannot be read beyond row {index} ({error})."
                ) from None
            yield Encoded(index, self.listing.names[index], _hub_bytes(row[self._columns.image]))

    def captions(self) -> list[str | None] | None:
        """Of the column of texts, if there is one."""
        column = self._columns.caption
        return None if column is None else [tidy(value) for value in self._all[column]]


def _hub_bytes(value: dict[str, Any] | None) -> bytes | PictureError:
    if value and value["bytes"] is not None:
        return bytes(value["bytes"])
    if value and value["path"]:
        return _cached_file(Path(value["path"]))
    return PictureError("empty", "the row holds no picture")


def _cached_file(path: Path) -> bytes | PictureError:
    """A file of the hub's cache; a row may name none of the user's other files."""
    datasets = require("datasets.config", "A hub data set")
    hub = require("huggingface_hub.constants", "A hub data set")
    caches = (Path(datasets.HF_DATASETS_CACHE), Path(hub.HF_HUB_CACHE))
    real = path.resolve()
    if not real.is_file() or not any(real.is_relative_to(cache.resolve()) for cache in caches):
        return PictureError("link", "the row names a file outside of the hub's cache")
    return read_file(real)


def open_hub(name: str) -> HubSource:
    """Open `hf:owner/name[:split]`, downloading it when first used.

    Raises:
        DataError: It cannot be had, or it has no image column.
    """
    datasets = require("datasets", "A hub data set")
    repository, _, split = name.removeprefix("hf:").partition(":")
    split = split or "train"
    try:
        rows = datasets.load_dataset(repository, split=split)
    except Exception as error:  # the hub client raises dozens of types for one meaning
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(
            f"The hub data set {repository!r} (split {split!r}) cannot be loaded: {reason[0]} "
            "Check its name and split, and that this computer is online or has it in its cache; a "
            "downloaded Parquet file of it works offline."
        ) from None
    images = [n for n, f in rows.features.items() if isinstance(f, datasets.Image)]
    if not images:
        raise DataError(
            f"The hub data set {repository!r} has no image column. Its columns are: "
            f"{', '.join(rows.features)}."
        )
    for column in images:
        rows = rows.cast_column(column, datasets.Image(decode=False))
    kinds = {n: f for n, f in rows.features.items() if isinstance(f, datasets.ClassLabel)}
    label = next(iter(kinds), None)
    classes = tuple(map(printable, kinds[label].names)) if label else ()
    texts = [n for n, f in rows.features.items() if "string" in str(f)]
    columns = Columns(
        images[0], True, label, classes, tuple((n, True) for n in images), caption_column(texts)
    )
    values = list(rows[label]) if label else []
    codes, classes, notes = classes_of(values, columns)
    names = tuple(f"{repository}:{split}#{row}" for row in range(len(rows)))
    return HubSource(name, rows, columns, Listing(names, codes, classes, notes=notes))
