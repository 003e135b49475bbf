"""Painting a chunk of faces at once: distance functions, shapes, and the three views.

Coordinates: the face is centred at (0, 0); 1 is half the picture's shorter side; x to the right, y
down. Arrays keep the faces on the *last* axis, (H, W, N): a bounding box is then a plain slice, a
parameter of a face broadcasts as (N,), and the inner loops are long. Everything is float32 and
elementwise (no transcendental function per pixel), so that a face's pixels do not depend on the
chunk it is drawn in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[Any]
"""float32; numpy's stubs take the product of that and a Python float for float64."""
Number: TypeAlias = Floats | float
View: TypeAlias = Literal["image", "lines", "segmentation"]

LINE_WIDTH = 0.026
"""Width of the strokes of a line drawing; never less than 0.6 pixels."""
NECK = 0.6
"""Height of the point about which the head tilts."""


class Faces:
    """The attributes of N faces, as (N,) arrays by name."""

    def __init__(self, values: Mapping[str, Floats], names: Mapping[str, Sequence[str]]):
        self._values = values
        self._names = names

    def __getitem__(self, name: str) -> Floats:
        """A continuous attribute."""
        return self._values[name]

    def __len__(self) -> int:
        """How many faces."""
        return len(self._values["tilt"])

    def code(self, name: str) -> NDArray[np.intp]:
        """The index into its values of a discrete attribute."""
        return self._values[name].astype(np.intp)

    def has(self, name: str, *values: str) -> NDArray[np.bool_]:
        """Which faces have one of these values of a discrete attribute."""
        return np.isin(self.code(name), [self._names[name].index(value) for value in values])

    def take(self, rows: NDArray[np.intp]) -> "Faces":
        """Some of the faces."""
        return Faces({name: v[rows] for name, v in self._values.items()}, self._names)


@dataclass(frozen=True)
class Shape:
    """One layer of paint, for all faces that have it.

    Attributes:
        part: Its class in the segmentation map; None for shading, which only the image shows.
        colour: Gives (3, N) RGB in 0..255.
        distance: Gives the signed distance to the edge at (x, y), negative inside.
        box: x0, y0, x1, y1 that hold the shape with whatever any attribute makes of it.
        who: Which faces have it; None for all.
        body: In the frame of the shoulders, which do not tilt, instead of the head's.
        edge: Width over which a soft edge fades; 0 for a crisp one.
        opacity: Of the paint, 0..1, in the image.
        line: In a line drawing: its outline around white, solid black, or not at all.
    """

    part: str | None
    colour: Callable[[Faces], Floats]
    distance: Callable[[Floats, Floats, Faces], Floats]
    box: tuple[float, float, float, float]
    who: Callable[[Faces], NDArray[np.bool_]] | None = None
    body: bool = False
    edge: float = 0.0
    opacity: float = 1.0
    line: Literal["outline", "solid", "none"] = "outline"


class Canvas:
    """The pixels of N faces and the coordinates at which each sees its own head and body."""

    def __init__(self, faces: Faces, resolution: tuple[int, int], channels: int):
        height, width = resolution
        self.pixel = 2.0 / min(resolution)
        self.paint = np.zeros((channels, height, width, len(faces)), np.float32)
        self.faces = faces
        x = ((np.arange(width) + 0.5 - width / 2) * self.pixel).astype(np.float32)
        y = ((np.arange(height) + 0.5 - height / 2) * self.pixel).astype(np.float32)
        self._body = x[:, None] - faces["shift_x"], y[:, None] - faces["shift_y"]
        angle = np.deg2rad(faces["tilt"].astype(np.float64))
        self._cos, self._sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)

    def window(self, shape: Shape) -> tuple[slice, slice]:
        """The rows and columns of pixels that hold a shape of every face of the chunk."""
        x0, y0, x1, y1 = shape.box
        x = np.array([x0, x1, x0, x1], np.float32)[:, None]
        y = np.array([y0, y0, y1, y1], np.float32)[:, None]
        if not shape.body:
            x, y = self._turned(x, y, self._sin)
        _, height, width, _ = self.paint.shape
        margin = max(shape.edge, LINE_WIDTH) / 2 + 1.5 * self.pixel
        columns = _span(x + self.faces["shift_x"], margin, self.pixel, width)
        rows = _span(y + self.faces["shift_y"], margin, self.pixel, height)
        return rows, columns

    def coordinates(self, shape: Shape, window: tuple[slice, slice]) -> tuple[Floats, Floats]:
        """(h, w, N) coordinates of the window's pixels in the shape's frame."""
        x, y = self._body[0][None, window[1]], self._body[1][window[0], None]
        return (x, y) if shape.body else self._turned(x, y, -self._sin)

    def _turned(self, x: Floats, y: Floats, sin: Floats) -> tuple[Floats, Floats]:
        """Rotate about the neck, so that a tilted head stays on its shoulders."""
        y = y - NECK
        return self._cos * x - sin * y, sin * x + self._cos * y + NECK


def _span(positions: Floats, margin: float, pixel: float, size: int) -> slice:
    first = np.floor((positions.min() - margin) / pixel + size / 2)
    last = np.ceil((positions.max() + margin) / pixel + size / 2)
    return slice(int(np.clip(first, 0, size)), int(np.clip(last, 0, size)))


def draw(
    shapes: Sequence[Shape],
    faces: Faces,
    resolution: tuple[int, int],
    view: View,
    classes: Sequence[str],
) -> NDArray[np.uint8]:
    """Paint the shapes one over the other.

    Returns:
        (N, H, W, C) uint8: RGB for "image", grey for "lines", the index of the class for
        "segmentation".
    """
    canvas = Canvas(faces, resolution, channels=3 if view == "image" else 1)
    canvas.paint[:] = 255 if view == "lines" else 0
    for shape in shapes:
        if view == "image" or shape.part is not None:
            _paint(canvas, shape, view, classes)
    return np.rint(canvas.paint).astype(np.uint8).transpose(3, 1, 2, 0)


def _paint(canvas: Canvas, shape: Shape, view: View, classes: Sequence[str]) -> None:
    faces, window = canvas.faces, canvas.window(shape)
    x, y = canvas.coordinates(shape, window)
    rows: NDArray[np.intp] | None = None
    if shape.who is not None:
        rows = np.flatnonzero(shape.who(faces))
        if rows.size == 0:
            return
        faces, x, y = faces.take(rows), x[..., rows], y[..., rows]
    below = canvas.paint[:, window[0], window[1]]
    patch = below if rows is None else below[..., rows]
    distance = shape.distance(x, y, faces)
    if view == "image":
        edge = max(shape.edge, canvas.pixel)
        _blend(patch, shape.colour(faces)[:, None, None], _cover(distance, edge) * shape.opacity)
    elif view == "lines":
        _ink(patch, shape, distance, canvas.pixel)
    elif shape.part is not None:
        np.copyto(patch, np.float32(classes.index(shape.part)), where=distance < 0)
    if rows is not None:
        below[..., rows] = patch


def _cover(distance: Floats, edge: float) -> Floats:
    """The share of a pixel (or of a soft edge) that is inside, from the distance at its centre."""
    alpha: Floats = np.clip(0.5 - distance * np.float32(1 / edge), 0, 1)
    return alpha


def _blend(patch: Floats, colour: Number, alpha: Floats) -> None:
    values = np.broadcast_to(colour, (len(patch), 1, 1, patch.shape[-1]))
    for channel, value in zip(patch, values, strict=True):
        channel += alpha * (value - channel)


def _ink(patch: Floats, shape: Shape, distance: Floats, pixel: float) -> None:
    if shape.line == "solid":
        _blend(patch, 0.0, _cover(distance, pixel))
    elif shape.line == "outline":
        half = np.float32(max(LINE_WIDTH, 0.6 * pixel) / 2)
        stroke = _cover(distance - half, pixel) - _cover(distance + half, pixel)
        _blend(patch, 255.0, _cover(distance, pixel))
        _blend(patch, 0.0, stroke)


def ellipse(x: Floats, y: Floats, rx: Number, ry: Number) -> Floats:
    """First-order signed distance f / |grad f| to an ellipse; exact for a circle."""
    u, v = x / rx, y / ry
    k = _length(u, v)
    distance: Floats = k * (k - 1) / (_length(u / rx, v / ry) + np.float32(1e-9))
    return distance


def circle(x: Floats, y: Floats, radius: Number) -> Floats:
    """Signed distance to a circle."""
    return _length(x, y) - radius


def box(x: Floats, y: Floats, half_width: Number, half_height: Number, radius: Number) -> Floats:
    """Signed distance to a box with rounded corners."""
    qx, qy = np.abs(x) - (half_width - radius), np.abs(y) - (half_height - radius)
    outside = _length(np.maximum(qx, 0), np.maximum(qy, 0))
    return outside + np.minimum(np.maximum(qx, qy), 0) - radius


def segment(x: Floats, y: Floats, dx: Number, dy: Number, radius: Number) -> Floats:
    """Signed distance to a thick line with round ends from (-dx, -dy) to (dx, dy)."""
    t = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), -1, 1)
    return _length(x - t * dx, y - t * dy) - radius


def bow(x: Floats, y: Floats, bend: Number, half_width: Number, radius: Number) -> Floats:
    """First-order signed distance to a thick parabola y = bend * x**2 with round ends."""
    inside = np.clip(x, -half_width, half_width)
    slope = 2 * bend * inside
    across = (y - bend * inside * inside) / np.sqrt(1 + slope * slope)
    return _length(across, x - inside) - radius


def _length(u: Floats, v: Floats) -> Floats:
    length: Floats = np.sqrt(u * u + v * v)
    return length
