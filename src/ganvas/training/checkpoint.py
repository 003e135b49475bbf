"""Checkpoints: everything that a training needs to go on, bit for bit.

A checkpoint is a folder named by the images shown:

    checkpoints/000050000/weights.safetensors   the networks to use (the averaged weights)
                          state.pt              the networks to train, optimisers, position
                          manifest.json         size and SHA-256 of both

Beside them lies the one with the best score so far, to use but not to go on from:

    checkpoints/best/weights.safetensors
                     score.json                 what was measured, its value, at how many images
                     manifest.json

Each is written beside and renamed, so it is whole or not there; the manifest finds later damage.
There is no random state to keep: every random number of a step is drawn from a generator seeded by
(seed, step), and the order of the data by (seed, epoch).
"""

import contextlib
import hashlib
import io
import json
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ganvas.errors import RunError
from ganvas.files import atomic_write, explain_disk_errors, sync_folder, write_text
from ganvas.models.base import Model
from ganvas.training.ema import Ema

BEST = "best"
"""The name of the checkpoint with the best score."""

LAST = "last"
"""What stands for the newest whole checkpoint."""

_FORMAT = 1
_WEIGHTS, _STATE, _SCORE = "weights.safetensors", "state.pt", "score.json"

_MISFITS = (
    *(RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError),
    *(pickle.UnpicklingError, SafetensorError),
)
"""What goes wrong with whole files of other content."""


@dataclass
class TrainingState:
    """What changes while training."""

    model: Model
    ema: Ema
    optimizers: dict[tuple[str, ...], torch.optim.Optimizer]
    """By the names of the networks that they train."""
    images: int = 0
    """Images shown so far: the position in the data, too."""
    step: int = 0
    seconds: float = 0.0
    """Time spent training, over all resumes."""
    notes: list[str] = field(default_factory=list)
    """What was odd about loading this state, for the user."""


class KeptScore(BaseModel):
    """Why the best checkpoint is the best: `score.json`."""

    model_config = ConfigDict(frozen=True)

    name: str
    """What was measured; lower is better."""
    value: FiniteFloat
    images: int = Field(ge=0, le=10**15)
    """Images shown when it was measured."""


def checkpoint_name(images: int) -> str:
    """The name of the folder of the checkpoint at so many images."""
    return f"{images:09d}"


def save_checkpoint(state: TrainingState, folder: Path, keep: int) -> Path:
    """Write a checkpoint below `folder`; remove all but the newest `keep`.

    Newer ones than this are removed, too: they are damaged, or the run would not be back here.
    """
    final = folder / checkpoint_name(state.images)
    _write_folder(final, {_WEIGHTS: lambda: _weights(state), _STATE: lambda: _everything(state)})
    saved = list_checkpoints(folder)
    place = saved.index(final)
    for other in saved[:place] + saved[place + keep :]:
        shutil.rmtree(other, ignore_errors=True)
    return final


def save_best(state: TrainingState, folder: Path, score: KeptScore) -> None:
    """Write the averaged weights as the best ones, in place of those that were."""
    text = score.model_dump_json().encode()
    _write_folder(folder / BEST, {_WEIGHTS: lambda: _weights(state), _SCORE: lambda: text})


def read_best(folder: Path) -> KeptScore | None:
    """The score of the best checkpoint below `folder`; None where none is kept."""
    try:
        return KeptScore.model_validate_json((folder / BEST / _SCORE).read_bytes())
    except (OSError, ValidationError):
        return None


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints to go on from below `folder`, newest first; the best one is none of them."""
    found = [path for path in folder.glob("[0-9]*") if path.is_dir() and path.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name), reverse=True)


def load_training_state(state: TrainingState, folder: Path) -> bool:
    """Fill `state` from the newest whole checkpoint; False where there is none yet.

    A damaged one is passed over, and `state.notes` says so. Raises RunError where there are
    checkpoints but none is whole.
    """
    path = newest_whole_checkpoint(folder, state.notes)
    if path is None:
        return False
    with _explain_misfit(path):
        _restore(state, torch.load(path / _STATE, map_location="cpu", weights_only=True))
    return True


def load_weights(model: Model, folder: Path, which: str = LAST) -> list[str]:
    """Load the averaged weights of a checkpoint (see `find_checkpoint`); return notes for the user.

    Raises RunError where there is no such checkpoint.
    """
    notes: list[str] = []
    path = find_checkpoint(folder, which, notes)
    with _explain_misfit(path):
        others = {name: t for name, t in model.state_dict().items() if not _is_used(model, name)}
        model.load_state_dict({**others, **load_file(path / _WEIGHTS)})
    return notes


def read_networks(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of an undamaged checkpoint, on the CPU: raw ones, and those that are averaged.

    Both by their names in the model's state_dict. The best checkpoint holds the averaged weights
    only, which then stand for the raw ones, too.

    Raises RunError where the files hold something else.
    """
    try:
        if not (path / _STATE).exists():
            return load_file(path / _WEIGHTS), {}
        saved = torch.load(path / _STATE, map_location="cpu", weights_only=True)
        networks = {**saved["model"]}, {**saved["ema"]}
    except (*_MISFITS, OSError) as error:
        raise RunError(f"the checkpoint {path} cannot be read. Choose another one.") from error
    if not all(isinstance(t, Tensor) for tensors in networks for t in tensors.values()):
        raise RunError(f"the checkpoint {path} holds no weights. Choose another one.")
    return networks


def weights_digest(path: Path) -> str:
    """The SHA-256 of a checkpoint's weights."""
    return _digest(path / _WEIGHTS)


def find_checkpoint(folder: Path, which: str, notes: list[str]) -> Path:
    """The checkpoint of a name below `folder`, undamaged.

    Args:
        folder: A run's `checkpoints`.
        which: "last" (the newest whole one), "best", or the images shown, such as "000050000".
        notes: Gets what is odd about it, for the user.

    Raises:
        RunError: There is no such checkpoint, or it is damaged; the message lists those there are.
    """
    if which == LAST:
        newest = newest_whole_checkpoint(folder, notes)
        if newest is None:
            raise RunError(
                f"{folder.parent} has no checkpoint yet: its training ended before the first one. "
                f"Go on with: ganvas resume {folder.parent}"
            )
        return newest
    paths = [*list_checkpoints(folder), folder / BEST]
    saved = {path.name: path for path in paths if path.is_dir()}
    there = f"There are: {', '.join([LAST, *saved] if saved else ['none yet'])}."
    path = saved.get(which) or saved.get(which.zfill(len(checkpoint_name(0))))
    if path is None:
        why = " (kept by trainings with training.score_every above 0)" if which == BEST else ""
        raise RunError(f"{folder.parent} has no checkpoint {which!r}{why}. {there}")
    if reason := _damage(path):
        raise RunError(f"the checkpoint {path} is damaged ({reason}). Choose another. {there}")
    return path


def checkpoint_images(path: Path) -> int:
    """Images that had been shown at a checkpoint that `find_checkpoint` gave.

    Raises RunError where the best one does not say.
    """
    if path.name != BEST:
        return int(path.name)
    score = read_best(path.parent)
    if score is None:
        raise RunError(f"{path / _SCORE} cannot be read. Choose another checkpoint, such as last.")
    return score.images


@contextlib.contextmanager
def _explain_misfit(path: Path) -> Iterator[None]:
    """Turn what goes wrong with whole files of other content into a `RunError`."""
    try:
        yield
    except _MISFITS as error:
        reason = str(error).strip().partition("\n")[0]
        raise RunError(
            f"the checkpoint {path} does not fit the run's config.yaml ({reason}). Put back the "
            "config.yaml that the run was begun with, or begin a new run."
        ) from error


def _write_folder(final: Path, contents: Mapping[str, Callable[[], bytes | memoryview]]) -> None:
    """Write files and their manifest into a new folder beside its place, then rename it to there.

    Args:
        final: The folder; one that is there already is replaced.
        contents: Functions that give the files' bytes, by name.
    """
    folder = final.parent
    temporary, replaced = folder / f".{final.name}.partial", folder / f".{final.name}-old.partial"
    with explain_disk_errors(folder):
        for left_over in folder.glob(".*.partial"):  # of a kill
            shutil.rmtree(left_over, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            _write_files(contents, temporary)
            if final.exists():
                final.rename(replaced)
            temporary.rename(final)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(folder)
    shutil.rmtree(replaced, ignore_errors=True)


def _write_files(contents: Mapping[str, Callable[[], bytes | memoryview]], folder: Path) -> None:
    for name, content in contents.items():
        data = content()
        with atomic_write(folder / name) as stream:
            stream.write(data)
    manifest = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": _digest(folder / name)}
        for name in contents
    }
    write_text(folder / "manifest.json", json.dumps({"format": _FORMAT, "files": manifest}))


def _weights(state: TrainingState) -> bytes:
    """The networks to use, as safetensors."""
    with state.ema.applied(state.model) as averaged:
        tensors = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in averaged.state_dict().items()
            if _is_used(averaged, name)
        }
    return save(tensors)


def _is_used(model: Model, name: str) -> bool:
    """Whether the tensor of that name is of use after the training, too."""
    return name.partition(".")[0] not in model.only_for_training


def _everything(state: TrainingState) -> memoryview:
    """What it takes to go on training."""
    optimizers = [state.optimizers[key].state_dict() for key in sorted(state.optimizers)]
    saved = {
        "format": _FORMAT,
        "model": state.model.state_dict(),
        "ema": state.ema.networks.state_dict(),
        "optimizers": optimizers,
        "images": state.images,
        "step": state.step,
        "seconds": state.seconds,
    }
    buffer = io.BytesIO()  # torch.save hides what the operating system says of a full disk
    torch.save(saved, buffer)
    return buffer.getbuffer()


def _restore(state: TrainingState, saved: dict[str, Any]) -> None:
    state.model.load_state_dict(saved["model"])
    state.ema.networks.load_state_dict(saved["ema"])
    for key, values in zip(sorted(state.optimizers), saved["optimizers"], strict=True):
        optimizer = state.optimizers[key]
        configured = [dict(group) for group in optimizer.param_groups]
        optimizer.load_state_dict(values)
        for group, settings in zip(optimizer.param_groups, configured, strict=True):
            group.update({name: settings[name] for name in ("lr", "betas", "eps")})
    state.images, state.step = saved["images"], saved["step"]
    state.seconds = saved["seconds"]


def newest_whole_checkpoint(folder: Path, notes: list[str]) -> Path | None:
    """The newest undamaged checkpoint below `folder`, None where there is none at all.

    Damaged newer ones are passed over and named in `notes`. Raises RunError if all are damaged.
    """
    damaged: list[str] = []
    for path in list_checkpoints(folder):
        reason = _damage(path)
        if reason is None:
            if damaged:
                notes.append(f"Went back to {path.name}: " + "; ".join(damaged))
            return path
        damaged.append(f"checkpoint {path} is damaged ({reason})")
    if damaged:
        raise RunError(
            "; ".join(damaged) + ". No whole checkpoint is left: start again with "
            f"ganvas train --config {folder.parent / 'config.yaml'} --out NEW_FOLDER"
        )
    return None


def _damage(path: Path) -> str | None:
    """What is wrong with a checkpoint's files, or None."""
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        for name in (_WEIGHTS, _SCORE if path.name == BEST else _STATE):
            file, expected = path / name, manifest["files"][name]
            if file.stat().st_size != expected["bytes"]:
                return f"{name} has {file.stat().st_size:,} of {expected['bytes']:,} bytes"
            if _digest(file) != expected["sha256"]:
                return f"the content of {name} has changed"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "manifest.json cannot be read"
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
