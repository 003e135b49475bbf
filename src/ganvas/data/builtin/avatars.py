"""`avatars`: cartoon faces that the package draws itself, every attribute of them known.

Because the truth is known, mode coverage, disentanglement, latent arithmetic and translation can
be measured on this set. `ATTRIBUTES` is the whole distribution: the attributes are independent of
each other, and the picture is a function of them alone. What one attribute can hide of another:

- `hat_colour` shows only on those who wear a hat;
- the `hair_colour` of the bald shows only in their eyebrows and beard;
- sunglasses let a fifth of the eyes' colour through.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ganvas.data.builtin.avatar_attributes import (
    ATTRIBUTES,
    Attribute,
    checked,
    draw_attributes,
)
from ganvas.data.builtin.avatar_canvas import Faces, View, draw
from ganvas.data.builtin.avatar_captions import captions
from ganvas.data.builtin.avatar_layers import CLASSES, LAYERS, rgb
from ganvas.errors import ConfigError

__all__ = [
    "ATTRIBUTES",
    "CLASSES",
    "Attribute",
    "View",
    "captions",
    "draw_attributes",
    "generate",
    "render",
    "segment",
]

_THREADS = 2
_CHUNK = 2**17
"""Pixels that a thread draws at once: few enough that its arrays stay in the cache."""


def render(
    attributes: Mapping[str, NDArray[Any]],
    resolution: tuple[int, int] = (64, 64),
    view: View = "image",
) -> NDArray[np.uint8]:
    """Draw faces; the pixels of each depend on its own attributes only.

    Args:
        attributes: All of `ATTRIBUTES`, as `draw_attributes` gives them, edited as you like.
        resolution: Height and width, 16 to 256 each. The face is fitted to the shorter side.
        view: "image", "lines" (black on white) or "segmentation" (in the colours of `CLASSES`).

    Returns:
        (N, H, W, C) uint8 with C = 3, or 1 for "lines".

    Raises:
        ConfigError: For a resolution, a view or attributes that cannot be drawn.
    """
    if view == "segmentation":
        palette = rgb(list(CLASSES.values())).astype(np.uint8)
        return palette[segment(attributes, resolution)]
    return _draw_in_chunks(attributes, resolution, view)


def segment(
    attributes: Mapping[str, NDArray[Any]], resolution: tuple[int, int] = (64, 64)
) -> NDArray[np.uint8]:
    """The segmentation map as (N, H, W) indices into the keys of `CLASSES`; else like `render`."""
    return _draw_in_chunks(attributes, resolution, "segmentation")[..., 0]


def generate(
    indices: range,
    resolution: tuple[int, int] = (64, 64),
    seed: int = 0,
    view: View = "image",
) -> NDArray[np.uint8]:
    """`render` the faces `indices` of the data set `seed`."""
    return render(draw_attributes(indices, seed), resolution, view)


def _draw_in_chunks(
    attributes: Mapping[str, NDArray[Any]], resolution: tuple[int, int], view: View
) -> NDArray[np.uint8]:
    values = checked(attributes)
    height, width = _checked_resolution(resolution)
    if view not in get_args(View):
        raise ConfigError(f"Avatars have no view {view!r}. Valid: {', '.join(get_args(View))}.")
    count = len(values["tilt"])
    out = np.empty((count, height, width, 3 if view == "image" else 1), np.uint8)
    size = max(8, _CHUNK // (height * width))
    names = {attribute.name: attribute.values for attribute in ATTRIBUTES}

    def fill(start: int) -> None:
        part = slice(start, start + size)
        faces = Faces({name: value[part] for name, value in values.items()}, names)
        out[part] = draw(LAYERS, faces, (height, width), view, tuple(CLASSES))

    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(fill, range(0, count, size)):
            pass  # a failure in a thread is raised here
    return out


def _checked_resolution(resolution: tuple[int, int]) -> tuple[int, int]:
    height, width = resolution
    if not (16 <= height <= 256 and 16 <= width <= 256):
        raise ConfigError(
            f"Avatars cannot be drawn at {height}x{width}: height and width must be 16 to 256 "
            "pixels each."
        )
    return height, width
