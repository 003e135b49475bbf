"""What is known about every avatar: the distribution of the attributes, and drawing from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ganvas.data.builtin.avatar_layers import PALETTE
from ganvas.data.builtin.counter import uniform
from ganvas.errors import ConfigError
from ganvas.settings import nearest

Values: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Attribute:
    """One independent property of a face.

    Attributes:
        name: Its key in the dictionaries of this module.
        kind: "discrete" (an index into `values`) or "continuous" (uniform in `limits`).
        values: The discrete values; empty for a continuous attribute.
        probabilities: Of each value.
        limits: Smallest and largest value of a continuous attribute.
        about: What it changes in the picture.
    """

    name: str
    kind: Literal["discrete", "continuous"]
    values: tuple[str, ...]
    probabilities: tuple[float, ...]
    limits: tuple[float, float]
    about: str


def _discrete(name: str, about: str, **probabilities: float) -> Attribute:
    values, shares = tuple(probabilities), tuple(probabilities.values())
    return Attribute(name, "discrete", values, shares, (0, len(values) - 1), about)


def _coloured(name: str, about: str, *probabilities: float) -> Attribute:
    return _discrete(name, about, **dict(zip(PALETTE[name], probabilities, strict=True)))


def _continuous(name: str, low: float, high: float, about: str) -> Attribute:
    return Attribute(name, "continuous", (), (), (low, high), about)


ATTRIBUTES: tuple[Attribute, ...] = (
    _coloured("background", "colour behind the head", 0.2, 0.2, 0.15, 0.15, 0.15, 0.15),
    _coloured("skin", "tone of face, ears and neck", 0.2, 0.25, 0.2, 0.2, 0.15),
    _discrete("hair_style", "shape of the hair",
              bald=0.1, short=0.25, bob=0.15, long=0.25, curly=0.15, buns=0.1),
    _coloured("hair_colour", "of hair, brows and beard", 0.22, 0.22, 0.2, 0.16, 0.1, 0.1),
    _discrete("expression", "shape of the mouth",
              smiling=0.3, serious=0.2, sad=0.15, surprised=0.15, laughing=0.2),
    _discrete("glasses", "over the eyes", none=0.55, round=0.18, square=0.15, sunglasses=0.12),
    _discrete("beard", "facial hair", none=0.6, moustache=0.13, goatee=0.12, full=0.15),
    _discrete("hat", "over the top of any hair", none=0.6, cap=0.2, beanie=0.2),
    _coloured("hat_colour", "of the hat, if any", 0.25, 0.25, 0.25, 0.25),
    _discrete("earrings", "golden, on both ears", none=0.7, studs=0.15, hoops=0.15),
    _coloured("eye_colour", "of the iris", 0.4, 0.35, 0.25),
    _coloured("shirt_colour", "of the shirt", 0.2, 0.2, 0.2, 0.2, 0.2),
    _continuous("turn", -1, 1, "head turned to the picture's left (-1) or right (1)"),
    _continuous("tilt", -9, 9, "head tilted, degrees clockwise"),
    _continuous("shift_x", -0.06, 0.06, "to the right, in halves of the shorter side"),
    _continuous("shift_y", -0.03, 0.05, "down, in halves of the shorter side"),
    _continuous("face_width", 0.88, 1.1, "relative width of head and hair"),
    _continuous("eye_size", 0.8, 1.2, "relative size of the eyes"),
    _continuous("brow_angle", -1, 1, "brows worried (-1) to angry (1)"),
)  # fmt: skip
"""The distribution of the data set, attribute by attribute."""


def draw_attributes(indices: NDArray[np.integer] | range, seed: int = 0) -> Values:
    """The attributes of some faces; those of face i depend on (seed, i) alone.

    Args:
        indices: (N,) numbers of the faces.
        seed: Any integer; another seed is another data set of the same distribution.

    Returns:
        For each of `ATTRIBUTES` an (N,) array: int64 codes into its values, or float32.
    """
    drawn: Values = {}
    for attribute in ATTRIBUTES:
        u = uniform(indices, seed, f"avatars/{attribute.name}")
        if attribute.kind == "discrete":
            edges = np.cumsum(attribute.probabilities)[:-1]
            drawn[attribute.name] = np.searchsorted(edges, u, side="right").astype(np.int64)
        else:
            low, high = attribute.limits
            drawn[attribute.name] = (low + (high - low) * u).astype(np.float32)
    return drawn


def checked(attributes: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """All attributes as float32 arrays of one length.

    Raises:
        ConfigError: If one is unknown, missing, of another length, or has a value out of its range.
    """
    known = {attribute.name: attribute for attribute in ATTRIBUTES}
    for name in attributes:
        if name not in known:
            raise ConfigError(f"Avatars have no attribute {name!r}.{nearest(name, list(known))}")
    missing = [name for name in known if name not in attributes]
    if missing:
        raise ConfigError(
            f"Avatars cannot be drawn without {', '.join(missing)}: start from draw_attributes(), "
            "which gives every attribute, and change those you want."
        )
    values = {name: np.asarray(attributes[name]) for name in known}
    shape = values[ATTRIBUTES[0].name].shape
    for name, value in values.items():
        _check_values(known[name], value, shape)
    return {name: value.astype(np.float32) for name, value in values.items()}


def _check_values(attribute: Attribute, value: NDArray[Any], shape: tuple[int, ...]) -> None:
    name, (low, high) = attribute.name, attribute.limits
    if value.ndim != 1 or value.shape != shape:
        raise ConfigError(
            f"The avatar attribute {name!r} has shape {value.shape}, not {shape}: every attribute "
            "must be one array with one value per face."
        )
    if attribute.kind == "discrete":
        wanted = "integer codes: " + ", ".join(f"{k} ({v})" for k, v in enumerate(attribute.values))
        valid = np.issubdtype(value.dtype, np.integer)
    else:
        wanted = f"numbers from {low} to {high} ({attribute.about})"
        valid = np.issubdtype(value.dtype, np.number)
    if valid:  # in float32, as drawn, so that the limits themselves are valid
        rounded, bounds = value.astype(np.float32), np.array([low, high], np.float32)
        valid = bool(np.all((rounded >= bounds[0]) & (rounded <= bounds[1])))
    if not valid:
        raise ConfigError(f"The avatar attribute {name!r} takes {wanted}.")
