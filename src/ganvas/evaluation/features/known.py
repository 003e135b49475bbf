"""What is known about the pictures of a data set: their classes, or every attribute of avatars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data.builtin.avatars import ATTRIBUTES, draw_attributes
from ganvas.data.config import DataConfig
from ganvas.data.generated import AVATAR_CLASSES
from ganvas.data.pack import Pack
from ganvas.errors import DataError
from ganvas.models.classifier import Head
from ganvas.networks.classifier import SMALLEST

_ATTRIBUTES = {attribute.name: attribute for attribute in ATTRIBUTES}

_HIDDEN_WHERE: dict[str, tuple[str, str]] = {
    "hat_colour": ("hat", "none"),
    "hair_colour": ("hair_style", "bald"),
    "eye_colour": ("glasses", "sunglasses"),
}
"""What hardly shows where another attribute has some value: see `ganvas.data.builtin.avatars`."""


@dataclass(frozen=True)
class Task:
    """What there is to tell about the pictures of a data set."""

    shape: tuple[int, int, int]
    heads: tuple[Head, ...]
    classes: str
    """The head whose logits serve as those of the data's classes."""
    is_avatars: bool


def find_task(pack: Pack, config: DataConfig) -> Task:
    """What a classifier can learn to tell: every attribute of avatars, or the classes.

    Raises:
        DataError: There is nothing to tell, or the pictures are too small.
    """
    if len(pack.shape) != 3 or min(pack.shape[1:]) < SMALLEST:
        raise DataError(
            f"The features of a classifier need pictures of at least {SMALLEST}x{SMALLEST} pixels, "
            f"but {config.source} has {form(pack.shape)}: use --features random."
        )
    channels, height, width = pack.shape
    shape = (channels, height, width)
    base, _, attribute = config.source.partition(":")
    if base == "avatars":
        heads = tuple(Head(a.name, len(a.values)) for a in ATTRIBUTES)
        return Task(shape, heads, attribute or AVATAR_CLASSES, is_avatars=True)
    if pack.labels is None or len(pack.classes) < 2:
        raise DataError(
            f"The features of a classifier need labels, and {config.source} has "
            f"{'only one class' if pack.classes else 'none'}: put the pictures into one sub-folder "
            "per class, or use --features random."
        )
    return Task(shape, (Head("class", len(pack.classes)),), "class", is_avatars=False)


def truth_of(task: Task, labels: NDArray[np.int64] | None, indices: NDArray[np.int64]) -> Tensor:
    """What is to be told of some pictures.

    Args:
        task: What there is to tell.
        labels: The classes of these pictures, int64 (N,); not used for avatars.
        indices: Their numbers, int64 (N,): of avatars, the number of the face.

    Returns:
        (N, heads) float32: codes, and numbers brought to mean 0 and variance 1.
    """
    if not task.is_avatars:
        return torch.from_numpy(np.asarray(labels, np.float32))[:, None]
    drawn = draw_attributes(indices)  # row i of a pack of avatars is face i
    columns = [torch.from_numpy(drawn[head.name].astype(np.float32)) for head in task.heads]
    for i, head in enumerate(task.heads):
        if not head.values:
            middle, spread = _moments(head.name)
            columns[i] = (columns[i] - middle) / spread
    return torch.stack(columns, 1)


def _moments(name: str) -> tuple[float, float]:
    """Mean and standard deviation of a continuous attribute, which is uniform."""
    low, high = _ATTRIBUTES[name].limits
    return (low + high) / 2, (high - low) / 12**0.5


def told(head: Head, output: Tensor) -> Tensor:
    """The code (N,) int64, or the value (N,) float32, that a head's output stands for."""
    if head.values:
        return output.argmax(1)
    middle, spread = _moments(head.name)
    return output[:, 0] * spread + middle


def visible(name: str, codes: Mapping[str, Tensor]) -> Tensor:
    """On which faces an attribute of avatars shows.

    Attributes are independent of each other, so among these faces, too, each value has its known
    probability.

    Args:
        name: Of the attribute.
        codes: Of all attributes, (N,) each.

    Returns:
        bool (N,): False where another attribute hides this one, such as the colour of a hat on
        those who wear none.
    """
    if name not in _HIDDEN_WHERE:
        return torch.ones(len(codes[name]), dtype=torch.bool)
    other, hiding = _HIDDEN_WHERE[name]
    return codes[other] != _ATTRIBUTES[other].values.index(hiding)


def form(shape: Sequence[int]) -> str:
    """The shape (C, H, W) in words."""
    if len(shape) != 3:
        return "points" if len(shape) == 1 else f"arrays of shape {tuple(shape)}"
    channels, height, width = shape
    return f"{height}x{width} pictures of {channels} channel{'s' if channels > 1 else ''}"
