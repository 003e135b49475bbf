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
from pydantic import BaseModel, ConfigDict, FiniteFloat
from torch import Tensor

from ganvas.data.source_types import printable
from ganvas.errors import ConfigError, DataError
from ganvas.latent.files import SUFFIX, Form, slug
from ganvas.latent.points import fingerprint
from ganvas.latent.space import SpaceName, open_space
from ganvas.models.base import LatentModel
from ganvas.settings import nearest

Method = Literal["pca", "sefa", "boundary"]
METHODS: tuple[Method, ...] = ("pca", "sefa", "boundary")

_FOLDER = "directions"


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
    space: Literal["z", "w"]
    method: Method
    about: str
    explained: FiniteFloat | None
    accuracy: FiniteFloat | None


_FORM = Form(
    _Facts, "direction", "a direction",
    "Find it anew: ganvas directions RUN --find pca, sefa or boundary.",
    largest=2**24,  # a direction has a few thousand numbers
)  # fmt: skip


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
        paths.append(run / _FOLDER / f"{slug(direction.name)}{SUFFIX}")
        _FORM.write(paths[-1], direction.vector, facts)
    return paths


def find_direction(run: Path, name: str, model: LatentModel) -> Direction:
    """The direction of a name in a run, or in the file of that path.

    Raises:
        ConfigError: There is none; the message lists those there are.
        DataError: The file is damaged, or of another model.
    """
    if name.endswith(SUFFIX):
        return read_direction(Path(name), model)
    known = {path.stem: path for path in kept(run)}
    if name in known:
        return read_direction(known[name], model)
    if not known:
        raise ConfigError(
            f"there is no direction {name!r}: {run} has none yet. Find some: "
            f"ganvas directions {run} --find pca."
        )
    raise ConfigError(f"there is no direction {name!r} in {run}.{nearest(name, [*known])}")


def kept(run: Path) -> list[Path]:
    """The files of the directions of a run, by name."""
    return sorted((run / _FOLDER).glob(f"*{SUFFIX}"))


def read_direction(path: Path, model: LatentModel) -> Direction:
    """The direction of a file, for the model that it was found with.

    Raises:
        DataError: The file is no direction, damaged, or of another model.
    """
    facts, vector = _FORM.read(path)
    if facts.model != fingerprint(model):
        raise DataError(
            f"the direction in {path} belongs to another model, or to another checkpoint of this "
            f"one, and means nothing here. Find it anew: ganvas directions RUN --find "
            f"{facts.method}."
        )
    if vector.dtype != torch.float32 or tuple(vector.shape) != open_space(model, facts.space).shape:
        raise _FORM.refused(path, f"its numbers {tuple(vector.shape)} are no direction")
    if not bool(vector.isfinite().all()):
        raise _FORM.refused(path, "some of its numbers are not finite")
    return Direction(
        printable(facts.name), facts.space, facts.method, vector.to(model.device),
        printable(facts.about), facts.explained, facts.accuracy,
    )  # fmt: skip
