"""The contact sheet of a translation: input, output and, where it is known, target."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganvas.pictures import Bytes, grid
from ganvas.translation.tiling import Pixels

ROWS = 12
"""The first so many pictures are on it, which fill its lines in twos and threes."""

SIDE = 256
"""Pixels of a cell's longer side; larger pictures are reduced to it."""


def cell(pixels: Pixels) -> Image.Image:
    """A picture (H, W, C) as the sheet shows it: RGB, transparent parts on white, of small size."""
    image = Image.fromarray(_as_bytes(pixels).squeeze())
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    if max(image.size) > SIDE:
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return image


def contact_sheet(rows: Sequence[Sequence[Image.Image | None]]) -> Image.Image:
    """Lay out rows of pictures that belong together; None stays blank.

    Args:
        rows: At least one, of equally many cells; each cell gets the size of the largest.
    """
    size = np.max([image.size for row in rows for image in row if image is not None], axis=0)
    cells: list[NDArray[np.uint8]] = []
    for row in rows:
        for image in row:
            blank = Image.new("RGB", (int(size[0]), int(size[1])), "white")
            if image is not None:
                place = ((blank.width - image.width) // 2, (blank.height - image.height) // 2)
                blank.paste(image, place)
            cells.append(np.asarray(blank))
    return grid(np.stack(cells), together=len(rows[0]))


def _as_bytes(pixels: Pixels) -> Bytes:
    """The upper 8 bits of what has 16."""
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels.astype(np.uint8)
