"""Directions of a latent space, found once and kept as files: RUN/directions/NAME.safetensors.

A direction is one spread long (`ganvas.latent.metric`), so that strength 2 means the same for each.
A file holds numbers and JSON, and belongs to the weights that it was found with: among those of
another model it means nothing, so it is refused there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ganvas.errors import ConfigError, DataError
from ganvas.files import atomic_write
from ganvas.latent.points import SUFFIX, fingerprint
from ganvas.latent.space import SpaceName, open_space
from ganvas.models.base import LatentModel
from ganvas.settings import nearest

Method = Literal["pca", "sefa", "boundary"]
METHODS: tuple[Method, ...] = ("pca", "sefa", "boundary")

_FOLDER = "directions"
_LARGEST = 2**24
"""Bytes; a direction has a few thousand numbers."""


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction of one space of one model.

    Attributes:
        name: What it is kept and asked for as.
        space: z or w.
        method: How it was found.
        vector: (D,) float32, one spread long.
        about: What it is, in words.
        explained: The share of the variance along it (pca), or of the squared response (sefa).
        accuracy: The share of other pictures that the boundary tells rightly, counting those with
            and those without alike (boundary): 0.5 is chance.
    """

    name: str
    space: SpaceName
    method: Method
    vector: Tensor
    about: str
    explained: float | None = None
    accuracy: float | None = None

    @property
    def quality(self) -> str:
        """What is known of it, in a word or two."""
        if self.accuracy is not None:
            return f"tells {self.accuracy:.1%}"
        return "" if self.explained is None else f"explains {self.explained:.1%}"


class _Facts(BaseModel):
    """What is written beside the numbers."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["direction"] = "direction"
    model: str
    name: str
    space: SpaceName
    method: Method
    about: str
    explained: FiniteFloat | None
    accuracy: FiniteFloat | None


def save_directions(run: Path, directions: Sequence[Direction], model: LatentModel) -> list[Path]:
    """Write each to its file in a run, in place of one of the same name; returns where they are.

    Raises:
        RunError: The place cannot be written.
    """
    owner, paths = fingerprint(model), []
    for direction in directions:
        facts = _Facts(
            model=owner, name=direction.name, space=direction.space, method=direction.method,
            about=direction.about, explained=direction.explained, accuracy=direction.accuracy,
        )  # fmt: skip
        vector = direction.vector.detach().float().cpu().contiguous()
        paths.append(run / _FOLDER / f"{direction.name}{SUFFIX}")
        with atomic_write(paths[-1]) as stream:
            stream.write(save({"direction": vector}, {"ganvas": facts.model_dump_json()}))
    return paths


def find_direction(run: Path, name: str, model: LatentModel) -> Direction:
    """The direction of a name in a run, or in the file of that path.

    Raises:
        ConfigError: There is none; the message lists those there are.
        DataError: The file is damaged, or of another model.
    """
    path = run / _FOLDER / f"{name}{SUFFIX}"
    if name.endswith(SUFFIX):
        path = Path(name)
    known = [other.stem for other in kept(run)]
    if path.is_file():
        return read_direction(path, model)
    if not known:
        raise ConfigError(
            f"there is no direction {name!r}: {run} has none yet. Find some: "
            f"ganvas directions {run} --find pca."
        )
    raise ConfigError(f"there is no direction {name!r} in {run}.{nearest(name, known)}")


def kept(run: Path) -> list[Path]:
    """The files of the directions of a run, by name."""
    return sorted((run / _FOLDER).glob(f"*{SUFFIX}"))


def read_direction(path: Path, model: LatentModel) -> Direction:
    """The direction of a file, for the model that it was found with.

    Raises:
        DataError: The file is no direction, damaged, or of another model.
    """
    facts, vector = _read(path)
    if facts.model != fingerprint(model):
        raise DataError(
            f"the direction in {path} belongs to another model, or to another checkpoint of this "
            f"one, and means nothing here. Find it anew: ganvas directions RUN --find "
            f"{facts.method}."
        )
    if vector.dtype != torch.float32 or tuple(vector.shape) != open_space(model, facts.space).shape:
        raise _refused(path, f"its numbers {tuple(vector.shape)} are no direction")
    if not bool(vector.isfinite().all()):
        raise _refused(path, "some of its numbers are not finite")
    return Direction(
        facts.name, facts.space, facts.method, vector.to(model.device), facts.about,
        facts.explained, facts.accuracy,
    )  # fmt: skip


def _read(path: Path) -> tuple[_Facts, Tensor]:
    """The parts of a file, not yet compared with a model."""
    try:
        if path.stat().st_size > _LARGEST:
            raise _refused(path, "it is larger than any direction")
        with safe_open(path, framework="pt") as file:
            written = (file.metadata() or {})["ganvas"]
            return _Facts.model_validate_json(written), file.get_tensor("direction")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (SafetensorError, ValidationError, KeyError, UnicodeDecodeError):
        raise _refused(path, "its content is another") from None


def _refused(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is no file of a direction, or a damaged one: {why}. Find it anew: "
        "ganvas directions RUN --find pca, sefa or boundary."
    )
