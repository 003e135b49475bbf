"""Folders that appear under their name only when they are complete, and runs made of weights."""

import contextlib
import itertools
import json
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from ganvas._version import __version__
from ganvas.data.sources import IMPORTED
from ganvas.errors import RunError
from ganvas.files import explain_disk_errors, write_text
from ganvas.training.checkpoint import TrainingState, save_checkpoint
from ganvas.training.config import RunConfig, write_config
from ganvas.training.prepare import parameter_counts
from ganvas.training.run_folder import RunFolder
from ganvas.training.run_log import RunLog


def check_free(target: Path) -> None:
    """Raise RunError where a folder cannot be made because something is there."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RunError(
            f"{target} is there already and not an empty folder. Choose another with --out."
        )


def free_folder(name: str) -> Path:
    """runs/NAME, with the first free number behind it."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-") or "imported"
    candidates = (Path("runs") / (name if i == 1 else f"{name}-{i}") for i in itertools.count(1))
    return next(path for path in candidates if not path.exists())


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """An empty folder to write into, which becomes `target` when nothing went wrong."""
    with explain_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            if target.exists():
                target.rmdir()
            temporary.rename(target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def write_run(
    path: Path,
    config: RunConfig,
    state: TrainingState,
    classes: Sequence[str],
    origin: Mapping[str, object],
) -> None:
    """Write a run at 0 images, which can be used and trained on from, but not resumed.

    Args:
        path: An empty folder.
        config: The run's; its data is `IMPORTED`.
        state: Model, averages and fresh optimisers.
        classes: Names of the classes that the model knows.
        origin: Where the weights are from, for import.json.
    """
    folder = RunFolder(path)
    write_config(config, folder.config)
    write_text(path / "import.json", json.dumps(origin, indent=1))
    summary = {
        "source": IMPORTED, "count": 0, "shape": list(state.model.shape), "classes": list(classes),
        "class_counts": [0] * len(classes), "fingerprint": "", "skipped": [],
    }  # fmt: skip
    write_text(folder.data, json.dumps(summary, indent=1))
    save_checkpoint(state, folder.checkpoints, keep=1)
    RunLog(folder.log).write(
        "start",
        images=0,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join(["ganvas", *sys.argv[1:]]),
        versions={"ganvas": __version__, "torch": torch.__version__},
        device="imported",
        precision="float32",
        parameters=parameter_counts(state.model),
    )
