"""The folder of a run: where each thing lies.

config.yaml      complete: the run can be repeated from it alone
data.json        what the data was: count, shape, classes, fingerprint, files left out
transfer.txt     of a training with start_from: which weights it took over, tensor by tensor
log.jsonl        what happened, append-only
samples/         a sheet every so often, named by the images shown
checkpoints/     see ganvas.training.checkpoint
report.html      the run on one page
"""

import contextlib
import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ganvas.data.pack import Pack
from ganvas.data.source_types import digest
from ganvas.errors import RunError
from ganvas.files import explain_disk_errors, write_text
from ganvas.models.reading import Captions
from ganvas.training.config import RunConfig, read_config
from ganvas.training.run_log import History


class RunFolder:
    """Paths within a run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.data = path / "data.json"
        self.transfer = path / "transfer.txt"
        self.log = path / "log.jsonl"
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.report = path / "report.html"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder where needed, and keep other trainings out of it; a kill ends that too.

        Raises RunError if another process trains in it right now or it cannot be made.
        """
        with explain_disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        if os.name == "nt":  # pragma: no cover - Windows cannot lock a folder
            yield
            return
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            _lock(descriptor, self.path)
            yield
        finally:
            os.close(descriptor)

    def check_new(self) -> None:
        """Raise RunError if there is a run in the folder already."""
        if any(path.exists() for path in (self.config, self.log, self.checkpoints)):
            raise RunError(
                f"{self.path} holds a run already. Go on with it: ganvas resume {self.path}; or "
                "choose another folder with --out."
            )

    def read(self) -> RunConfig:
        """The run's configuration; RunError where this is no run folder."""
        if not self.config.is_file():
            missing = not self.path.exists()
            what = "does not exist" if missing else "is not a run folder: it has no config.yaml"
            raise RunError(
                f"{self.path} {what}. Give the folder that `ganvas train` printed "
                "(it has config.yaml, log.jsonl and checkpoints/ in it)."
            )
        return read_config(self.config)

    def is_finished(self) -> bool:
        """Whether a training here noted that it came to its end."""
        if not self.log.exists():
            return False
        end = History.read(self.log).end
        return end is not None and end.reason == "finished"

    def has_current_report(self) -> bool:
        """Whether there is a report that was written after the last line of the log."""
        if not self.report.exists():
            return False
        return self.report.stat().st_mtime_ns >= self.log.stat().st_mtime_ns

    def write_data_summary(self, pack: Pack, source: str, captions: Captions | None = None) -> None:
        """Write data.json, with what is known of the captions where the model learns from them."""
        counts: Counter[int] = Counter() if pack.labels is None else Counter(pack.labels.tolist())
        summary = {
            "source": source,
            "count": len(pack.images),
            "shape": list(pack.shape),
            "classes": list(pack.classes),
            "class_counts": [counts[i] for i in range(len(pack.classes))],
            "fingerprint": pack.fingerprint,
            "target_shape": None if pack.target is None else list(pack.target.shape),
            "target_count": None if pack.target is None else len(pack.target),
            "paired": pack.paired,
            "captions": None if captions is None else _caption_summary(captions, pack),
            "skipped": [{"name": p.name, "reason": p.reason} for p in pack.skipped],
        }
        write_text(self.data, json.dumps(summary, indent=1))

    def check_data(self, pack: Pack) -> None:
        """Raise RunError if the run was begun on other data than this."""
        if not self.data.exists():
            return
        summary, captions = self._data_summary(), pack.captions
        told = summary.captions is not None and digest(captions) != summary.captions.fingerprint
        if told or summary.fingerprint != pack.fingerprint:
            raise RunError(
                f"the data has changed since {self.path} was begun, so it cannot be resumed "
                "exactly. Put the files back as they were, or begin a new run with "
                f"ganvas train --config {self.config} --out NEW_FOLDER"
            )

    def read_data_summary(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """The data's shape and classes, as the run was trained on them."""
        summary = self._data_summary()
        return summary.shape, summary.classes

    def read_captions(self) -> Captions | None:
        """What is known of the captions that the run learns from; None where it needs none."""
        known = self._data_summary().captions
        if known is None:
            return None
        return Captions(known.vocabulary, known.longest, known.examples)

    def read_target_shape(self) -> tuple[int, ...] | None:
        """The shape of the second domain's pictures; None where the run has one domain only."""
        return self._data_summary().target_shape

    def _data_summary(self) -> "_DataSummary":
        if not self.data.is_file():
            raise RunError(
                f"{self.data} is missing. It is written when training starts: "
                f"ganvas resume {self.path}"
            )
        try:
            return _DataSummary.model_validate_json(self.data.read_bytes())
        except (OSError, ValidationError):
            raise RunError(
                f"{self.data} is damaged: it should say what the run's data was. Delete it and "
                f"run ganvas resume {self.path}, which writes it again."
            ) from None


class _DataSummary(BaseModel):
    """What is read back of data.json."""

    shape: tuple[int, ...]
    classes: tuple[str, ...]
    fingerprint: str
    target_shape: tuple[int, ...] | None = None
    captions: "_CaptionSummary | None" = None


class _CaptionSummary(BaseModel):
    """What data.json says of captions."""

    vocabulary: tuple[str, ...]
    longest: int
    examples: tuple[str, ...]
    fingerprint: str


def _caption_summary(captions: Captions, pack: Pack) -> dict[str, Any]:
    return {**dataclasses.asdict(captions), "fingerprint": digest(pack.captions)}


def _lock(descriptor: int, path: Path) -> None:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(
            f"another process is training in {path} right now. Wait for it or stop it (Ctrl-C "
            "saves); or choose another folder with --out."
        ) from None
    except OSError:  # some network file systems have no locks: go without
        return
