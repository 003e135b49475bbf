"""The folder of a run: where each thing lies.

config.yaml      complete: the run can be repeated from it alone
data.json        what the data was: count, shape, classes, fingerprint, files left out
log.jsonl        what happened, append-only
samples/         a sheet every so often, named by the images shown
checkpoints/     see ganvas.training.checkpoint
report.html      the run on one page
"""

import json
from collections import Counter
from pathlib import Path

from ganvas.data.pack import Pack
from ganvas.errors import RunError
from ganvas.files import explain_disk_errors, write_text
from ganvas.training.config import RunConfig, read_config, write_config


class RunFolder:
    """Paths within a run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.data = path / "data.json"
        self.log = path / "log.jsonl"
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.report = path / "report.html"

    def create(self, config: RunConfig) -> None:
        """Make the folder and write the configuration.

        Raises RunError if there is a run in it already or it cannot be written.
        """
        if self.config.exists():
            raise RunError(
                f"{self.path} holds a run already. Go on with it: ganvas resume {self.path}; or "
                "choose another folder with --out."
            )
        with explain_disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            write_config(config, self.config)

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

    def write_data_summary(self, pack: Pack, source: str) -> None:
        """Write data.json."""
        counts: Counter[int] = Counter() if pack.labels is None else Counter(pack.labels.tolist())
        summary = {
            "source": source,
            "count": len(pack.images),
            "shape": list(pack.shape),
            "classes": list(pack.classes),
            "class_counts": [counts[i] for i in range(len(pack.classes))],
            "fingerprint": pack.fingerprint,
            "skipped": [{"name": p.name, "reason": p.reason} for p in pack.skipped],
        }
        write_text(self.data, json.dumps(summary, indent=1))

    def check_data(self, pack: Pack) -> None:
        """Raise RunError if the run was begun on other data than this."""
        if not self.data.exists():
            return
        began_with = json.loads(self.data.read_text())["fingerprint"]
        if began_with != pack.fingerprint:
            raise RunError(
                f"the data has changed since {self.path} was begun, so it cannot be resumed "
                "exactly. Put the files back as they were, or begin a new run with "
                f"ganvas train --config {self.config} --out NEW_FOLDER"
            )

    def read_data_summary(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """The data's shape and classes, as the run was trained on them."""
        try:
            summary = json.loads(self.data.read_text())
            return tuple(summary["shape"]), tuple(summary["classes"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{self.data} cannot be read ({error}). It is written when training starts: "
                f"ganvas resume {self.path}"
            ) from error
