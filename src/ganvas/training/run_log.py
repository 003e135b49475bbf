"""`log.jsonl`: what happened in a run, one JSON object a line.

Records are only ever appended. A run that was killed and resumed from its checkpoint repeats what
came after that checkpoint, and says so with a `resume` record; the reader drops what was repeated,
so that the history reads as that of a run which was never interrupted.

The events and their fields, beside `event` and `images` (images shown so far):

    start       time, command, versions, device, precision, parameters, and with start_from transfer
    progress    step, seconds, images_per_second, losses, gradient_norms
    samples     path
    score       name, value, seconds, note
    checkpoint  path
    resume      time, note
    end         seconds, reason: "finished", "interrupted" or "stopped"
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ganvas.errors import RunError
from ganvas.files import explain_disk_errors

Record: TypeAlias = dict[str, Any]

_REPEATED = {"progress", "samples", "score", "checkpoint"}  # what a resumed run writes once more


class RunLog:
    """Appends records to a log; each is in the file when `write` returns.

    Args:
        path: The log; it and its folder are made by the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: str, *, images: int, **fields: object) -> None:
        """Append one record.

        Args:
            event: What happened.
            images: Images shown so far.
            **fields: Plain values; a float that is NaN or infinite becomes null, because JSON
                has no such numbers.

        Raises:
            RunError: The disk is full or the log cannot be written.
        """
        record = _plain({"event": event, "images": images, **fields})
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        line = text.encode(errors="replace") + b"\n"  # a file name may hold what is no character
        with explain_disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as stream:
                stream.write(b"\n" + line if _torn(stream) else line)


def read_log(path: Path) -> list[Record]:
    """Read a log as the history of one uninterrupted run.

    A line that a kill or a full disk left incomplete is skipped. A `resume` record at k images
    drops the earlier `progress`, `samples`, `score` and `checkpoint` records beyond k (at 0: all of
    them), which the run then went through again.

    Args:
        path: The log.

    Returns:
        The records in order, each with `event` (a string) and `images` (a whole number).

    Raises:
        FileNotFoundError: There is no such file.
    """
    history: list[Record] = []
    with path.open("rb") as stream:
        for line in stream:
            record = _parse(line)
            if record is None:
                continue
            if record["event"] == "resume":
                history = [old for old in history if not _undone(old, record["images"])]
            history.append(record)
    return history


class _Fields(BaseModel):
    """A record's fields; unknown ones are left alone so that newer logs stay readable."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    images: int = Field(ge=0, le=10**15)


class Start(_Fields):
    """How a run began."""

    time: str
    command: str
    versions: dict[str, str]
    device: str
    precision: str
    parameters: dict[str, int]


class Progress(_Fields):
    """Measurements at one moment; None stands for a value that was not finite."""

    step: int
    seconds: FiniteFloat | None
    """Training time so far, over all resumes."""
    images_per_second: FiniteFloat | None
    losses: dict[str, float | None]
    """By `phase/name`."""
    gradient_norms: dict[str, float | None]
    """By phase."""


class Samples(_Fields):
    """A sheet of samples that was drawn."""

    path: str
    """Relative to the run folder."""


class ScoreRecord(_Fields):
    """How good the averaged weights were; lower is better."""

    model_config = ConfigDict(title="Score")

    name: str
    """What was measured; only scores of one name can be compared."""
    value: FiniteFloat | None
    """None where it was not finite or could not be measured."""
    seconds: FiniteFloat | None
    """Time that measuring took, which is not part of the training time."""
    note: str | None = None
    """Why it could not be measured."""


class End(_Fields):
    """How a run, or the part of it before a resume, ended."""

    seconds: FiniteFloat | None
    reason: Literal["finished", "interrupted", "stopped"]


@dataclass(frozen=True)
class History:
    """A log's records by kind, with typed fields."""

    start: Start | None
    progress: list[Progress]
    samples: list[Samples]
    scores: list[ScoreRecord]
    resumes: int
    end: End | None
    """None while the run goes on, and after a kill."""
    images: int
    """Images shown by the last record."""

    @property
    def scoring_seconds(self) -> float:
        """Time spent on scores; what was repeated after a kill is counted once."""
        return sum(score.seconds or 0.0 for score in self.scores)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a log (see `read_log`).

        Raises:
            FileNotFoundError: There is no such file.
            RunError: A record has not the fields it should have.
        """
        records = read_log(path)
        kinds = ("start", "progress", "samples", "score")
        of = {event: [r for r in records if r["event"] == event] for event in kinds}
        parts = [r for r in records if r["event"] in {"start", "resume", "end"}]
        ended = parts[-1:] if parts and parts[-1]["event"] == "end" else []
        try:
            return cls(
                start=Start.model_validate(of["start"][0]) if of["start"] else None,
                progress=[Progress.model_validate(r) for r in of["progress"]],
                samples=[Samples.model_validate(r) for r in of["samples"]],
                scores=[ScoreRecord.model_validate(r) for r in of["score"]],
                resumes=sum(r["event"] == "resume" for r in records),
                end=End.model_validate(ended[0]) if ended else None,
                images=records[-1]["images"] if records else 0,
            )
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise RunError(
                f"{path} holds a {error.title.lower()} record that ganvas cannot read: {where}: "
                f"{problem['msg']}. The log was edited or written by another version; move it "
                "away to go on without it, or use the version that wrote it."
            ) from None


def _plain(value: object) -> object:
    """The value with every float that is not finite replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _torn(stream: BinaryIO) -> bool:
    """Whether the file ends in the middle of a line, as a kill or a full disk leaves it."""
    if stream.seek(0, os.SEEK_END) == 0:
        return False
    stream.seek(-1, os.SEEK_END)
    return stream.read(1) != b"\n"


def _parse(line: bytes) -> Record | None:
    """The record on a line, or None where there is no whole one."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("event"), str):
        return None
    return record if type(record.get("images")) is int else None


def _undone(record: Record, images: int) -> bool:
    again = record["images"] > images or images == 0  # at 0 there is no checkpoint, only a sheet
    return again and record["event"] in _REPEATED
