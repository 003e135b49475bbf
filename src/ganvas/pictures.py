"""From arrays to pictures: bytes, contact sheets, scatter plots, PNG files and data URIs.

Everything that ganvas shows of a model goes through here, so that previews during training,
`ganvas sample` and the report agree to the pixel. Importing this module loads neither torch nor
matplotlib.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ganvas.errors import RunError
from ganvas.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.floating[Any]]

_SHEET_SIDE = 800  # pixels; fills a laptop's window or a page without scrolling
_SCATTER_SIDE = 800
_SCATTER_LIMIT = 1.5  # the 2-D toys live in about [-1, 1]
_ENCODINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("PNG", {}),
    ("JPEG", {"quality": 90, "subsampling": 0}),
    ("JPEG", {"quality": 80}),
)
_BACKGROUND = {1: (255,), 3: (255, 255, 255), 4: (0, 0, 0, 0)}  # white paper, or nothing at all


def to_uint8(images: Tensor | Floats) -> Bytes:
    """Turn model output into bytes, the inverse of `x / 127.5 - 1`.

    Args:
        images: (N, C, H, W) in [-1, 1], any float type and device; values beyond are clipped.

    Returns:
        (N, H, W, C) uint8, rounded to the nearest.

    Raises:
        RunError: A value is NaN or infinite, which no picture can show.
    """
    values = _floats(images)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).any(axis=(1, 2, 3)).sum())
        raise RunError(
            f"{bad} of {len(values)} generated images hold values that are not finite numbers, "
            "because the weights have diverged. Use an earlier checkpoint of the run, or train "
            "again with a lower learning rate."
        )
    scaled = np.rint((values + 1) * 127.5).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(scaled.transpose(0, 2, 3, 1))


def grid(
    images: Bytes,
    columns: int | None = None,
    padding: int = 2,
    scale: int | None = None,
    together: int = 1,
) -> Image.Image:
    """Lay images out on one contact sheet, row by row.

    Args:
        images: (N, H, W, C) uint8 with N >= 1 and 1 (grey), 3 (RGB) or 4 (RGBA) channels.
        columns: Images in a row; by default what makes the sheet nearly square.
        together: So many images in a row belong together, such as a picture and its
            reconstruction, and the default number of columns does not part them.
        padding: Gap around every image, in pixels of the sheet. It is white, or transparent
            for RGBA.
        scale: Whole factor by which each image is enlarged, every pixel becoming a block; by
            default what brings the sheet's longer side nearest to 800 pixels, and never below 1.

    Returns:
        A picture of mode L, RGB or RGBA.

    Raises:
        ValueError: The array is not of the shape and type above, or a number is out of range.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in _BACKGROUND:
        raise ValueError(
            "a grid takes uint8 images (N, H, W, C) with 1, 3 or 4 channels, "
            f"not {images.dtype} {images.shape}"
        )
    count, height, width, channels = images.shape
    if count == 0 or height == 0 or width == 0:
        raise ValueError(f"a grid needs at least one image with pixels, not {images.shape}")
    if columns is None:
        columns = together * _near_square(count // together, height, width * together)
    if columns < 1 or padding < 0:
        raise ValueError(f"a grid needs columns >= 1 and padding >= 0, not {columns}, {padding}")
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    scale = _enlargement(max(columns * width, rows * height)) if scale is None else scale
    if scale < 1:
        raise ValueError(f"a grid enlarges by a factor of at least 1, not {scale}")
    step_y, step_x = height * scale + padding, width * scale + padding
    sheet = np.empty((rows * step_y + padding, columns * step_x + padding, channels), np.uint8)
    sheet[:] = _BACKGROUND[channels]
    for index, image in enumerate(images):
        top, left = padding + index // columns * step_y, padding + index % columns * step_x
        block = image.repeat(scale, axis=0).repeat(scale, axis=1)
        sheet[top : top + height * scale, left : left + width * scale] = block
    return Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet)


def scatter(points: Tensor | Floats, real: Tensor | Floats | None = None) -> Image.Image:
    """Draw generated points of a 2-D toy over the real ones.

    The limits are fixed at [-1.5, 1.5] on both axes, so that pictures of one run can be compared;
    how many points fall outside is written in the corner.

    Args:
        points: (N, 2) generated points.
        real: (M, 2) real points, drawn faintly behind.

    Returns:
        A square RGB picture, 800 pixels wide.
    """
    from matplotlib.figure import Figure

    inches = 6.0
    figure = Figure(figsize=(inches, inches), facecolor="white")
    axes = figure.add_axes((0.06, 0.05, 0.91, 0.91))
    if real is not None:
        _dots(axes, _floats(real), color="#b9b4a8", alpha=0.35)
    generated = _floats(points)
    _dots(axes, generated, color="#1f5f8b", alpha=0.7)
    axes.set(xlim=(-_SCATTER_LIMIT, _SCATTER_LIMIT), ylim=(-_SCATTER_LIMIT, _SCATTER_LIMIT))
    axes.set_aspect("equal")
    axes.tick_params(colors="#6b675f", labelsize=8, length=3)
    for spine in axes.spines.values():
        spine.set_color("#d8d4ca")
    outside = int((~(np.abs(generated) <= _SCATTER_LIMIT)).any(axis=1).sum())
    if outside:
        text = f"{outside:,} of {len(generated):,} points lie outside"
        axes.text(0.015, 0.015, text, transform=axes.transAxes, fontsize=9, color="#a33b20")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_SCATTER_SIDE / inches)
    return Image.open(stream).convert("RGB")


def save_png(image: Image.Image, path: Path, description: Mapping[str, str] | None = None) -> None:
    """Write `image` to `path` as PNG, atomically.

    Args:
        image: Any picture.
        path: Where to; missing folders are made.
        description: Text stored inside the file as PNG text chunks, such as the run and the seed;
            a key has 1 to 79 Latin characters.

    Raises:
        RunError: The disk is full or the place cannot be written.
    """
    chunks = PngInfo()
    for key, text in (description or {}).items():
        chunks.add_text(key, text)
    with atomic_write(path) as stream:
        image.save(stream, "PNG", pnginfo=chunks)


def data_uri(image: Image.Image, side: int, limit: int) -> str:
    """Encode a picture for use inside a web page.

    It is a PNG when that fits the limit, else a JPEG of falling quality, else ever smaller.

    Args:
        image: A picture of mode L, RGB or RGBA.
        side: A longer side than this is reduced to it, in pixels.
        limit: Most bytes that the encoded picture may have, at least 2,000.

    Returns:
        A `data:` URI; its text is a third longer than the encoded picture.
    """
    while True:
        if max(image.size) > side:
            image = image.copy()
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
        for kind, options in _ENCODINGS:
            if kind == "JPEG" and image.mode == "RGBA":
                continue  # it has no transparency
            stream = io.BytesIO()
            image.save(stream, kind, **options)
            if stream.tell() <= limit:
                text = base64.b64encode(stream.getvalue()).decode()
                return f"data:image/{kind.lower()};base64,{text}"
        side = max(image.size) * 3 // 4


def _floats(values: Tensor | Floats) -> Floats:
    """The values as a NumPy array of at least float32, wherever they are."""
    if isinstance(values, np.ndarray):
        return values.astype(np.promote_types(values.dtype, np.float32), copy=False)
    array: Floats = values.detach().float().cpu().numpy()
    return array


def _near_square(count: int, height: int, width: int) -> int:
    """Columns that make a sheet of `count` images about as wide as it is high."""
    return min(count, math.ceil(math.sqrt(count * height / width)))


def _enlargement(side: int) -> int:
    """The whole factor that brings `side` pixels nearest to a comfortable size."""
    return max(1, round(_SHEET_SIDE / side))


def _dots(axes: Axes, points: Floats, color: str, alpha: float) -> None:
    size = 12 if len(points) <= 2000 else 4  # many points would run together
    axes.scatter(points[:, 0], points[:, 1], s=size, color=color, alpha=alpha, linewidths=0)
