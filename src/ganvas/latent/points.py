"""A file of points in a model's space: what `invert` found, for `interpolate` and `edit` to use.

It is a safetensors file, which can hold numbers only, with what they are as JSON beside them. It
belongs to the weights that it was made with: among those of another model its numbers mean nothing,
so it is refused there.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ganvas.errors import DataError
from ganvas.evaluation.features.base import digest
from ganvas.files import atomic_write
from ganvas.latent.space import Space, SpaceName, open_space
from ganvas.models.base import LatentModel

SUFFIX = ".safetensors"
_LARGEST = 2**30
"""Bytes; thousands of points of the largest models fit."""


@dataclass(frozen=True, eq=False)
class Points:
    """Points of one space of one model.

    Attributes:
        space: z, w or w+.
        values: (N, *shape of the space) float32.
        names: What each is of, such as the name of a photo.
        labels: The class of each, for a model with classes.
        scores: Numbers about each, by the name of what they measure.
    """

    space: SpaceName
    values: Tensor
    names: tuple[str, ...]
    labels: tuple[int, ...] | None = None
    scores: dict[str, tuple[float, ...]] | None = None

    def __len__(self) -> int:
        return len(self.values)


class _Facts(BaseModel):
    """What is written beside the numbers."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

    kind: Literal["points"] = "points"
    model: str
    space: SpaceName
    names: tuple[str, ...]
    labels: tuple[int, ...] | None
    scores: dict[str, tuple[float, ...]] | None


def fingerprint(model: LatentModel) -> str:
    """SHA-256 of what was trained: what files of points and directions belong to.

    The same for a run whenever it is loaded, on every device; another after more training.
    """
    return digest(dict(model.named_parameters()))


def save_points(path: Path, points: Points, model: LatentModel) -> None:
    """Write points of a model to a file, atomically.

    Raises:
        RunError: The place cannot be written.
    """
    facts = _Facts(
        model=fingerprint(model), space=points.space, names=points.names,
        labels=points.labels, scores=points.scores,
    )  # fmt: skip
    values = points.values.detach().float().cpu().contiguous()
    with atomic_write(path) as stream:
        stream.write(save({"points": values}, {"ganvas": facts.model_dump_json()}))


def read_points(path: Path, model: LatentModel) -> Points:
    """The points of a file, for the model that it was made with.

    Raises:
        DataError: There is no such file, it holds something else or is damaged, or its points are
            of another model.
    """
    facts, values = _read(path)
    if facts.model != fingerprint(model):
        raise DataError(
            f"the points in {path} belong to another model, or to another checkpoint of this one, "
            "and mean nothing here. Give the run that they were made with, or make new ones: "
            "ganvas invert RUN PHOTO."
        )
    space = open_space(model, facts.space)
    _check(path, facts, values, space)
    return Points(facts.space, values, facts.names, facts.labels, facts.scores)


def _read(path: Path) -> tuple[_Facts, Tensor]:
    """The parts of a file, not yet compared with a model."""
    if not path.is_file():
        raise DataError(f"there is no file {path}: give one that ganvas invert has written.")
    if path.stat().st_size > _LARGEST:
        raise _refused(path, "it is larger than a gibibyte")
    try:
        with safe_open(path, framework="pt") as file:
            written = (file.metadata() or {})["ganvas"]
            return _Facts.model_validate_json(written), file.get_tensor("points")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (SafetensorError, ValidationError, KeyError, UnicodeDecodeError):
        raise _refused(path, "its content is another") from None


def _check(path: Path, facts: _Facts, values: Tensor, space: Space) -> None:
    """Refuse numbers that are no points of the space, or not as many as is said of them."""
    said = [facts.names, facts.labels, *(facts.scores or {}).values()]
    if values.ndim < 2 or tuple(values.shape[1:]) != space.shape or not len(values):
        raise _refused(path, f"its numbers {tuple(values.shape)} are no points of {space.name}")
    if values.dtype != torch.float32 or not bool(values.isfinite().all()):
        raise _refused(path, "some of its numbers are not finite")
    if any(facts_of is not None and len(facts_of) != len(values) for facts_of in said):
        raise _refused(path, "it does not say what each point is")
    if facts.labels is not None and not all(
        0 <= label < len(space.model.classes) for label in facts.labels
    ):
        raise _refused(path, "it names classes that the model does not have")


def _refused(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is no file of points, or a damaged one: {why}. Give one that ganvas invert has "
        "written."
    )
