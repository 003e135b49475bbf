"""Bringing a decoded picture to the form of a pack: cutting, resizing, padding, channels.

Resampling is Pillow's antialiased Lanczos (support of 3 output pixels, both directions), done in
8 bits on premultiplied alpha, and in floats where grey values have 16 bits. For strong reductions
JPEG files are first decoded at 1/2, 1/4 or 1/8 and others box-averaged by a whole factor, to no
less than 3 times the wanted size. The filter is part of the protocol of every score computed on
these pixels: FID changes with it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from .config import Fit

REDUCING_GAP = 3.0
"""How many times the wanted size a picture keeps, at least, until the Lanczos filter."""

Part = Literal["whole", "left", "right"]
"""Which part of a stored picture is meant: all of it, or one of two that lie side by side."""


@dataclass(frozen=True)
class Geometry:
    """The form that all pictures of a pack get."""

    resolution: tuple[int, int]
    """(height, width) in pixels."""
    channels: Literal[1, 3, 4]
    fit: Fit
    background: str
    part: Part = "whole"
    bits: Literal[8, 16] = 8
    """Of every value; 16 for grey only."""
    binarised: bool = False
    """Every value black or white, drawn with its grey level as the probability of white."""


def crop_box(size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest centred box (left, top, right, bottom) of the target's aspect ratio.

    Args:
        size: (width, height) of the picture.
        target: (width, height) wanted.
    """
    width, height = size
    scale = min(width / target[0], height / target[1])
    left = max(0.0, (width - target[0] * scale) / 2)
    top = max(0.0, (height - target[1] * scale) / 2)
    return left, top, width - left, height - top


def pad_size(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """The largest (width, height) of the picture's aspect ratio inside the target."""
    scale = min(target[0] / size[0], target[1] / size[1])
    return (
        min(target[0], max(1, round(size[0] * scale))),
        min(target[1], max(1, round(size[1] * scale))),
    )


def fit_image(image: Image.Image, geometry: Geometry) -> NDArray[np.uint8]:
    """Resize a picture of mode L, LA, RGB or RGBA to the geometry.

    Returns:
        uint8 array of shape (height, width, channels).
    """
    height, width = geometry.resolution
    target = (width, height)
    if geometry.fit == "pad":
        inside = pad_size(image.size, target)
        resized = _to_channels(_resize(image, inside, None), geometry)
        canvas = Image.new(resized.mode, target, _background(geometry, resized.mode))
        canvas.paste(resized, ((width - inside[0]) // 2, (height - inside[1]) // 2))
        image = canvas
    else:
        box = crop_box(image.size, target) if geometry.fit == "crop" else None
        image = _to_channels(_resize(image, target, box), geometry)
    return np.asarray(image).reshape(height, width, geometry.channels)


def fit_deep(image: Image.Image, geometry: Geometry) -> NDArray[np.uint16]:
    """Resize grey values from 0 to 65535, of mode F, to the geometry: `fit_image` in 16 bits.

    Returns:
        uint16 array of shape (height, width, 1).
    """
    height, width = geometry.resolution
    target = (width, height)
    if geometry.fit == "pad":
        inside = pad_size(image.size, target)
        plain = Image.new("L", target, _background(geometry, "L"))
        canvas = Image.fromarray(np.asarray(plain).astype(np.float32) * 257)
        place = ((width - inside[0]) // 2, (height - inside[1]) // 2)
        canvas.paste(_resize(image, inside, None), place)
        image = canvas
    else:
        image = _resize(
            image, target, crop_box(image.size, target) if geometry.fit == "crop" else None
        )
    values: NDArray[np.uint16] = np.rint(np.asarray(image)).clip(0, 65535).astype(np.uint16)
    return values.reshape(height, width, 1)


def _resize(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None
) -> Image.Image:
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=REDUCING_GAP)


def _to_channels(image: Image.Image, geometry: Geometry) -> Image.Image:
    if geometry.channels == 4:
        return image.convert("RGBA")
    if image.mode in ("LA", "RGBA"):
        base = Image.new("RGBA", image.size, _background(geometry, "RGBA"))
        image = Image.alpha_composite(base, image.convert("RGBA"))
    return image.convert("L" if geometry.channels == 1 else "RGB")


def _background(geometry: Geometry, mode: str) -> tuple[int, ...] | int:
    return ImageColor.getcolor(geometry.background, mode)
