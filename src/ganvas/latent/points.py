"""A file of points in a model's space: what `invert` found, for `interpolate` and `edit` to use.

It is a safetensors file, which can hold numbers only, with what they are as JSON beside them. It
belongs to the weights that it was made with: among those of another model its numbers mean nothing,
so it is refused there.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from ganvas.errors import DataError
from ganvas.evaluation.features.base import digest
from ganvas.latent.files import Form
from ganvas.latent.space import Space, SpaceName, open_space
from ganvas.models.base import LatentModel


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


_FORM = Form(
    _Facts, "points", "points", "Give one that ganvas invert has written.",
    largest=2**30,  # thousands of points of the largest models fit
)  # fmt: skip


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
    _FORM.write(path, points.values, facts)


def read_points(path: Path, model: LatentModel) -> Points:
    """The points of a file, for the model that it was made with.

    Raises:
        DataError: There is no such file, it holds something else or is damaged, or its points are
            of another model.
    """
    facts, values = _FORM.read(path)
    if facts.model != fingerprint(model):
        raise DataError(
            f"the points in {path} belong to another model, or to another checkpoint of this one, "
            "and mean nothing here. Give the run that they were made with, or make new ones: "
            "ganvas invert RUN PHOTO."
        )
    space = open_space(model, facts.space)
    _check(path, facts, values, space)
    return Points(facts.space, values, facts.names, facts.labels, facts.scores)


def _check(path: Path, facts: _Facts, values: Tensor, space: Space) -> None:
    """Refuse numbers that are no points of the space, or not as many as is said of them."""
    said = [facts.names, facts.labels, *(facts.scores or {}).values()]
    if values.ndim < 2 or tuple(values.shape[1:]) != space.shape or not len(values):
        raise _FORM.refused(
            path, f"its numbers {tuple(values.shape)} are no points of {space.name}"
        )
    if values.dtype != torch.float32 or not bool(values.isfinite().all()):
        raise _FORM.refused(path, "some of its numbers are not finite")
    if any(facts_of is not None and len(facts_of) != len(values) for facts_of in said):
        raise _FORM.refused(path, "it does not say what each point is")
    if facts.labels is not None and not all(
        0 <= label < len(space.model.classes) for label in facts.labels
    ):
        raise _FORM.refused(path, "it names classes that the model does not have")
