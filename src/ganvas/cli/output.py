"""Where pictures that a verb made go: one sheet, or a folder of single pictures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from ganvas.errors import ConfigError
from ganvas.files import write_text
from ganvas.pictures import grid, save_png, scatter, to_uint8

if TYPE_CHECKING:
    from torch import Tensor


def save_images(
    images: "Tensor",
    out: Path,
    names: Sequence[str],
    columns: int | None = None,
    together: int = 1,
    captions: Sequence[str] = (),
) -> str:
    """Save images (N, C, H, W), or points (N, 2), and say where.

    Args:
        images: In [-1, 1].
        out: A .png for one sheet, anything without a suffix for a folder.
        names: Of the single pictures.
        columns: Of the sheet.
        together: So many of them stay side by side on the sheet.
        captions: What each was drawn from, where that was text. A sheet has them as text chunks
            of the PNG; a folder as metadata.jsonl, by which it is a source of captioned pictures.
    """
    if out.suffix.lower() not in ("", ".png"):
        raise ConfigError(f"--out {out}: pictures are saved as .png, or into a folder (no suffix).")
    if images.ndim == 2:
        save_png(scatter(images), out.with_suffix(".png"))
        return f"{len(images)} points in {out.with_suffix('.png')}"
    pixels = to_uint8(images)
    if out.suffix:
        about = {"captions": "\n".join(captions)} if captions else None
        save_png(grid(pixels, columns=columns, together=together), out, about)
        return f"{len(pixels)} pictures on {out}"
    for name, picture in zip(names, pixels, strict=True):
        save_png(Image.fromarray(picture.squeeze(2) if picture.shape[2] == 1 else picture),
                 out / f"{name}.png")  # fmt: skip
    if captions:
        lines = [
            json.dumps({"file_name": f"{name}.png", "text": caption}, ensure_ascii=False)
            for name, caption in zip(names, captions, strict=True)
        ]
        write_text(out / "metadata.jsonl", "\n".join([*lines, ""]))
    return f"{len(pixels)} pictures in {out}/"


def save_sheet(sheet: Image.Image, out: Path) -> None:
    """Save a picture that is one sheet."""
    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out {out}: this is saved as one sheet, a .png.")
    save_png(sheet, out)
