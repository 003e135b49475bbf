"""Parquet files as Hugging Face `datasets` writes them."""

import contextlib
import importlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import DataError

from .archives import MAX_RATIO
from .captions import COLUMNS, tidy
from .decoding import MAX_BYTES, PictureError
from .source_types import Encoded, Listing, PictureSource, digest, printable, stamp

_BATCH = 64  # rows held in memory at a time, fewer where they could be large:
_BYTES_AT_ONCE = 512 * 2**20
_TEXTS = 4096  # the same of captions


def require(module: str, purpose: str) -> ModuleType:
    """An optional module; a DataError says how to install one that is missing."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise DataError(
            f"{purpose} needs the package {module.partition('.')[0]}, which is not installed. "
            f"Install it with: pip install {module.partition('.')[0]}"
        ) from None


@dataclass(frozen=True)
class Columns:
    """Which columns matter; paths of field names."""

    image: str
    nested: bool  # struct{bytes, path} rather than plain binary
    label: str | None
    classes: tuple[str, ...]
    images: tuple[tuple[str, bool], ...]  # all columns that could be `image`, and their `nested`
    caption: str | None


class TableSource(PictureSource):
    """Rows of a table, which may hold more than one picture each."""

    image_columns: tuple[str, ...]
    """The columns that hold pictures."""

    @abstractmethod
    def of_column(self, column: str) -> Self:
        """The same rows, with the pictures of one of `image_columns`."""


def parquet_shards(folder: Path) -> list[Path]:
    """The Parquet files directly in a folder, by name."""
    return sorted(p for p in folder.glob("*.parquet") if p.is_file() and p.name[0] not in "._")


class ParquetSource(TableSource):
    """Picture bytes in one or several Parquet files of the same schema."""

    def __init__(self, name: str, shards: list[Path], columns: Columns, listing: Listing):
        super().__init__(name, {"parquet": [stamp(path) for path in shards]}, listing)
        self._shards = shards
        self._columns = columns
        self.image_columns = tuple(column for column, _ in columns.images)

    def of_column(self, column: str) -> Self:
        """The same rows, with the pictures of another column."""
        columns = replace(self._columns, image=column, nested=dict(self._columns.images)[column])
        other = type(self)(f"{self.name} ({column})", self._shards, columns, self.listing)
        other.identity = digest([self.identity, column])
        return other

    def read(self, indices: NDArray[np.int64]) -> Iterator[Encoded]:
        """Read these rows, streaming and skipping row groups that hold none of them."""
        start = 0
        for path in self._shards:
            with _open_file(path) as file:
                rows = file.metadata.num_rows
                wanted = _within(indices, start, start + rows) - start
                for row, content in _read_rows(file, wanted, self._columns):
                    yield Encoded(start + row, self.listing.names[start + row], content)
                start += rows

    def captions(self) -> list[str | None] | None:
        """Of the column of texts, if there is one."""
        column = self._columns.caption
        if column is None:
            return None
        captions: list[str | None] = []
        for path in self._shards:
            with _open_file(path) as file:
                captions += _read_captions(file, column)
        return captions


@contextlib.contextmanager
def _open_file(path: Path) -> Iterator[Any]:
    """A `pyarrow.parquet.ParquetFile`; what goes wrong while reading from it is a `DataError`."""
    parquet = require("pyarrow.parquet", "Reading Parquet")
    arrow = require("pyarrow", "Reading Parquet")
    try:
        with parquet.ParquetFile(path) as file:
            if file.metadata.num_rows > path.stat().st_size:  # each picture takes some bytes
                raise ValueError(f"it claims to hold {file.metadata.num_rows} rows")
            yield file
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path} cannot be read as Parquet ({reason}). It is damaged, cut short or of another "
            "format: copy or download it again."
        ) from None


def _within(indices: NDArray[np.int64], start: int, stop: int) -> NDArray[np.int64]:
    low, high = np.searchsorted(indices, [start, stop])
    return indices[low:high]


def _read_rows(
    file: Any, wanted: NDArray[np.int64], columns: Columns
) -> Iterator[tuple[int, bytes | PictureError]]:
    start = 0
    for group in range(file.num_row_groups):
        stop = start + file.metadata.row_group(group).num_rows
        rows = _within(wanted, start, stop)
        if len(rows):
            size = _rows_at_once(file.metadata.row_group(group), columns.image)
            batches = file.iter_batches(size, row_groups=[group], columns=[columns.image])
            for batch in batches:
                chosen = _within(rows, start, start + batch.num_rows) - start
                for row in chosen.tolist():
                    yield start + row, _cell(batch.column(0)[row], columns.nested)
                start += batch.num_rows
        start = stop


def _read_captions(file: Any, column: str) -> Iterator[str | None]:
    """The texts of a column, each cut as soon as it is read."""
    for group in range(file.num_row_groups):
        size = _rows_at_once(file.metadata.row_group(group), column, _TEXTS)
        for batch in file.iter_batches(size, row_groups=[group], columns=[column]):
            yield from (tidy(value.as_py()) for value in batch.column(0))


def _rows_at_once(group: Any, name: str, most: int = _BATCH) -> int:
    """Rows to read at a time, such that they cannot fill the memory.

    Any row may hold the column's largest value, which a dictionary stores once, and that value may
    be as large as the whole column is.

    Raises:
        ValueError: The column grows as only a decompression bomb does.
    """
    parts = [group.column(i) for i in range(group.num_columns)]
    mine = [part for part in parts if part.path_in_schema.split(".")[0] == name]
    size = int(sum(part.total_uncompressed_size for part in mine))
    if size > MAX_BYTES and size > MAX_RATIO * sum(part.total_compressed_size for part in mine):
        raise ValueError(f"its column {name!r} would grow to {size >> 20:,} MiB, as bombs do")
    return max(1, min(most, _BYTES_AT_ONCE // max(1, size)))


def _cell(value: Any, nested: bool) -> bytes | PictureError:
    data = value.get("bytes") if nested and value.is_valid else value
    if data is None or not data.is_valid:
        return PictureError("empty", "the row holds no picture bytes (only a path, or nothing)")
    buffer = data.as_buffer()
    if buffer.size > MAX_BYTES:
        return PictureError("too large", f"the picture is larger than {MAX_BYTES >> 20} MiB")
    return bytes(buffer)


def open_parquet(name: str, shards: list[Path]) -> ParquetSource:
    """List Parquet files: their number of rows and the labels; no picture is read.

    Raises:
        DataError: Damaged, without an image column, of different schemas, or pyarrow is missing.
    """
    names: list[str] = []
    labels: list[Any] = []
    columns: Columns | None = None
    for path in shards:
        with _open_file(path) as file:
            found = _find_columns(path, file.schema_arrow)
            columns = columns or found
            if found != columns:
                raise DataError(
                    f"The Parquet files of {name} differ in their columns ({shards[0].name} and "
                    f"{path.name}). Put only the shards of one data set into a folder."
                )
            names += [f"{printable(path.name)}#{row}" for row in range(file.metadata.num_rows)]
            if columns.label:
                labels += file.read(columns=[columns.label]).column(0).to_pylist()
    if columns is None or not names:
        raise DataError(f"{name} holds no rows: there are no pictures in it.")
    codes, classes, notes = classes_of(labels, columns)
    if len(shards) > 1:
        some = ", ".join(path.name for path in shards[:3]) + (", ..." if len(shards) > 3 else "")
        notes = (f"{len(shards)} Parquet files are used together: {some}.", *notes)
    listing = Listing(tuple(names), codes, classes, notes=notes)
    return ParquetSource(name, shards, columns, listing)


def _find_columns(path: Path, schema: Any) -> Columns:
    """The image column and the label column, by the Hugging Face metadata or else by type."""
    features = _features(schema)
    of_type = {name: feature.get("_type") for name, feature in features.items()}
    images = [
        field
        for field in schema
        if _holds_bytes(field.type) and of_type.get(field.name) in (None, "Image", "Value")
    ]
    if not images:
        present = ", ".join(f"{field.name} ({field.type})" for field in schema) or "none"
        raise DataError(
            f"{path} has no image column. Its columns are: {present}. An image column holds "
            "picture files as bytes: type binary, or struct of bytes and path, as Hugging Face "
            "datasets writes it."
        )
    image = next((field for field in images if of_type.get(field.name) == "Image"), images[0])
    nested = {field.name: field.type.num_fields > 0 for field in images}
    label, classes = _label_column(schema, features)
    texts = [field.name for field in schema if _holds_texts(field.type)]
    return Columns(
        image.name, nested[image.name], label, classes, tuple(sorted(nested.items())),
        caption_column(texts),
    )  # fmt: skip


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """The features that Hugging Face stored in the schema; empty if there are none."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return {
            name: f for name, f in features.items() if isinstance(f, dict) and name in schema.names
        }
    except (TypeError, KeyError, ValueError, AttributeError):
        return {}


def _holds_bytes(kind: Any) -> bool:
    binary = ("binary", "large_binary")
    inner = [kind.field(i) for i in range(kind.num_fields)]  # of a struct
    return str(kind) in binary or any(f.name == "bytes" and str(f.type) in binary for f in inner)


def _holds_texts(kind: Any) -> bool:
    """Whether a column holds a text in each row, or a list of them."""
    texts = ("string", "large_string", "string_view")
    values = getattr(kind, "value_type", kind)  # of a list or a dictionary
    return str(values) in texts


def caption_column(texts: Sequence[str]) -> str | None:
    """The column with captions, of those with texts."""
    return next((name for name in COLUMNS if name in texts), None)


def _label_column(
    schema: Any, features: dict[str, dict[str, Any]]
) -> tuple[str | None, tuple[str, ...]]:
    for name, feature in features.items():
        if feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list):
            return name, tuple(printable(str(n)) for n in feature["names"])
    for name in ("label", "labels", "class"):
        if name in schema.names and str(schema.field(name).type) in (
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "string",
        ):
            return name, ()
    return None, ()


def classes_of(
    values: list[Any], columns: Columns
) -> tuple[NDArray[np.int64] | None, tuple[str, ...], tuple[str, ...]]:
    """Labels as codes, the names of the classes, and what to tell the user."""
    if columns.label is None:
        return None, (), ()
    known = range(len(columns.classes))
    if any(value is None or (columns.classes and value not in known) for value in values):
        return None, (), (f"Some rows of the column {columns.label!r} have no class: not used.",)
    if columns.classes:
        return np.array(values, np.int64), columns.classes, ()
    unique, codes = np.unique(np.array(values), return_inverse=True)
    return codes.astype(np.int64), tuple(printable(str(value)) for value in unique), ()
