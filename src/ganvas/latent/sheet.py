"""Contact sheets in parts, and with a caption."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ganvas.pictures import Bytes, grid

_GREY = 128  # legible on white, and on whatever a transparent sheet lies on
_TEXT = 14


def parted(images: Sequence[Bytes], columns: int, *, first_row: bool) -> Image.Image:
    """A contact sheet with a gap after the first column, and after the first row if so asked.

    Args:
        images: (H, W, C) uint8 each, row by row.
        columns: Images in a row, the first one included.
        first_row: Whether the first row stands apart, too.
    """
    padding = 2
    whole = grid(np.stack(images), columns=columns, padding=padding)
    rows = -(-len(images) // columns)
    step_x, step_y = (whole.width - padding) // columns, (whole.height - padding) // rows
    gap = max(step_x, step_y) // 8
    background = whole.getpixel((0, 0))
    sheet = Image.new(whole.mode, (whole.width + gap, whole.height + gap * first_row), background)
    cut_y = step_y + padding // 2 if first_row else 0
    for left, right, x in ((0, step_x + padding, 0), (step_x, whole.width, step_x + gap)):
        for top, bottom, y in ((0, cut_y, 0), (cut_y, whole.height, cut_y + gap * first_row)):
            sheet.paste(whole.crop((left, top, right, bottom)), (x, y))
    return sheet


def blank(like: Bytes) -> Bytes:
    """A place on the sheet without a picture, (H, W, C): white, or nothing at all for RGBA."""
    return np.full_like(like, 0 if like.shape[2] == 4 else 255)


def with_caption(sheet: Image.Image, text: str) -> Image.Image:
    """The sheet with a line of text below it."""
    background = sheet.getpixel((0, 0))
    result = Image.new(sheet.mode, (sheet.width, sheet.height + 2 * _TEXT), background)
    result.paste(sheet, (0, 0))
    colour = {"L": (_GREY,), "RGB": (_GREY,) * 3, "RGBA": (_GREY,) * 3 + (255,)}[sheet.mode]
    place = (4, sheet.height + _TEXT // 4)
    ImageDraw.Draw(result).text(place, text, fill=colour, font=ImageFont.load_default(_TEXT))
    return result
