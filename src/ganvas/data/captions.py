"""What is said of pictures: texts beside them, tables of them, columns of a data set.

A picture file may have its caption in a text file beside it (`cat.jpg`, `cat.txt`), or in a table
in its folder or in one above: `metadata.jsonl` or `metadata.csv` as the ImageFolder of Hugging Face
`datasets` reads them, with the path of the picture under `file_name` and the caption under one of
`COLUMNS`. A text beside a picture counts more than a table, a table more than those further up.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ganvas.errors import DataError

COLUMNS = ("text", "caption", "captions", "prompt", "description")
"""The names under which data sets have captions, the first that is there being taken."""

MAX_LETTERS = 2_000
"""Longer captions are cut: no text encoder reads on beyond some hundreds."""

MAX_TABLE_BYTES = 256 * 2**20
"""The largest table of captions that is read."""

_MAX_TEXT_BYTES = 16 * MAX_LETTERS
_NAMED = 3

_DISTURBING = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no terminal and no text encoder should get: control characters, halves of letters."""

Read = Callable[[str, int], bytes]
"""The content of a file of a source, by its relative path, up to so many bytes."""


@dataclass(frozen=True)
class CaptionFiles:
    """Which files of a folder or an archive hold captions, by relative path."""

    texts: Mapping[str, str]
    """Of each picture that has one, the text beside it."""
    tables: tuple[str, ...]
    """From the outermost folder to the innermost."""

    def __len__(self) -> int:
        return len(self.texts) + len(self.tables)

    @property
    def names(self) -> tuple[str, ...]:
        """All of these files."""
        return (*self.tables, *self.texts.values())


def find_caption_files(pictures: Sequence[str], others: Sequence[str]) -> CaptionFiles:
    """Which of the files that are no pictures may hold captions.

    Args:
        pictures: Relative POSIX paths.
        others: Those of all other files.
    """
    texts = {name[:-4]: name for name in others if name.lower().endswith(".txt")}
    stems = {name: str(PurePosixPath(name).with_suffix("")) for name in pictures}
    beside = {name: texts[stem] for name, stem in stems.items() if stem in texts}
    tables = [n for n in others if PurePosixPath(n).name in ("metadata.csv", "metadata.jsonl")]
    return CaptionFiles(beside, tuple(sorted(tables, key=lambda n: (n.count("/"), n))))


def read_captions(
    source: str, files: CaptionFiles, pictures: Sequence[str], read: Read
) -> list[str | None] | None:
    """The caption of each picture, None where one has none; None where there are none at all.

    Raises:
        DataError: A file is damaged; the message names it and the line.
    """
    if not files:
        return None
    found: dict[str, Any] = {}
    for table in files.tables:
        content = read(table, MAX_TABLE_BYTES + 1)
        try:
            found |= dict(_of_table(table, content))
        except _UnreadableError as error:
            raise DataError(
                f"The captions of {source} cannot be read: {table}{error}. Mend that file, or "
                "remove it if it holds no captions."
            ) from None
    for picture, text in files.texts.items():
        found[picture] = _of_text(source, text, read(text, _MAX_TEXT_BYTES))
    captions = [tidy(found.get(picture)) for picture in pictures]
    return captions if any(captions) else None


def tidy(caption: Any) -> str | None:
    """A caption in one line, of a list the first, not too long; None for what says nothing."""
    if isinstance(caption, list):
        caption = caption[0] if caption else None
    if not isinstance(caption, str):
        return None
    line = " ".join(_DISTURBING.sub(" ", caption[: 2 * MAX_LETTERS]).split())
    return line[:MAX_LETTERS].rstrip() or None


def complete(
    source: str, names: Sequence[str], captions: Sequence[str | None] | None
) -> tuple[str, ...]:
    """The captions, one for every picture.

    Raises:
        DataError: Some pictures, or all of them, have none; the message names some.
    """
    if captions is None:
        raise DataError(
            f"{source} has no captions, which this model learns from. A folder or a ZIP has them "
            "in a .txt file beside every picture (cat.jpg, cat.txt) or in a metadata.jsonl with "
            'lines like {"file_name": "cat.jpg", "text": "a sleeping cat"}; a Parquet file or a '
            f"hub data set in a column called {' or '.join(COLUMNS)}. Without captions: --set "
            "model.condition=class, or none."
        )
    without = [name for name, text in zip(names, captions, strict=True) if text is None]
    if without:
        some = ", ".join(without[:_NAMED]) + (", ..." if len(without) > _NAMED else "")
        raise DataError(
            f"{len(without):,} of the {len(names):,} pictures of {source} have no caption ({some}),"
            " and this model learns from the caption of each. Write the missing ones, or remove "
            "those pictures; `ganvas data inspect` counts them."
        )
    return tuple(text for text in captions if text is not None)


class _UnreadableError(Exception):
    """What is wrong with a table, to be put behind its name."""


def _of_text(source: str, name: str, content: bytes) -> str:
    """A text file, whose end may have been cut off within a letter."""
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(content)
    except UnicodeDecodeError as error:
        raise DataError(
            f"The caption {name} of {source} cannot be read: it is no text in UTF-8 (byte "
            f"{error.start}). Save it as UTF-8, or remove it."
        ) from None


def _of_table(name: str, content: bytes) -> Iterator[tuple[str, Any]]:
    """The path of each picture that a table names, from where the table's paths begin."""
    if len(content) > MAX_TABLE_BYTES:
        raise _UnreadableError(f" is larger than {MAX_TABLE_BYTES >> 20} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _UnreadableError(f", line {line}: no text in UTF-8") from None
    folder = PurePosixPath(name).parent
    for line, row in _rows_of_csv(text) if name.endswith(".csv") else _rows_of_json(text):
        picture = row.get("file_name")
        if not isinstance(picture, str) or not picture:
            raise _UnreadableError(f", line {line}: no file_name, the path of the picture")
        column = next((column for column in COLUMNS if column in row), None)
        if column is not None:
            yield str(folder / picture), row[column]


def _rows_of_json(text: str) -> Iterable[tuple[int, dict[str, Any]]]:
    """The lines of a JSON Lines file, counted from 1."""
    for number, line in enumerate(_lines(text), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "no JSON"
            raise _UnreadableError(f", line {number}: {reason}") from None
        if not isinstance(row, dict):
            raise _UnreadableError(f', line {number}: not of the form {{"file_name": ...}}')
        yield number, row


def _lines(text: str) -> Iterator[str]:
    """One by one: of a bomb of empty lines, a list would fill the memory."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def _rows_of_csv(text: str) -> Iterable[tuple[int, dict[str, Any]]]:
    """The rows of a CSV file below its header, by the line on which they end."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if None in row:
                raise _UnreadableError(f", line {reader.line_num}: more fields than in its header")
            yield reader.line_num, row
    except csv.Error as error:
        raise _UnreadableError(f", line {reader.reader.line_num}: {error}") from None
