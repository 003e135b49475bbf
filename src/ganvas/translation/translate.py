"""From files to files: what `ganvas translate` does once the model is there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ganvas.data.decoding import Problem, quiet_pillow
from ganvas.data.progress import progress_bar
from ganvas.errors import ConfigError, DataError, RunError
from ganvas.models.translation import Direction, TranslationModel
from ganvas.pictures import Bytes, save_png
from ganvas.training.announce import Say
from ganvas.training.memory import is_out_of_memory
from ganvas.translation.inputs import Inputs, Item
from ganvas.translation.naming import DESCRIPTION, SHEET, check_free, output_names
from ganvas.translation.sheet import ROWS, cell, contact_sheet
from ganvas.translation.tiling import SMALLEST_TILE, TILE, translate_pixels

_NAMED = 10
_OTHER_SCALE = 1.5
"""A picture of so many times the training's size, or so many times less, is worth a word."""
_SAME_SHAPE = 0.02


@dataclass(frozen=True)
class How:
    """What can be asked for besides the pictures."""

    direction: Direction = "AB"
    seed: int = 0
    """Of the first picture's noise; the next ones have seed + 1, seed + 2, ..."""
    tile: int = TILE
    """Pictures of more pixels than its square are translated in tiles of this side."""

    def check(self, model: TranslationModel) -> None:
        """Raise ConfigError for what this model cannot do, before anything is read."""
        if self.direction not in model.directions:
            raise ConfigError(
                f"--direction {self.direction}: a {model.config.name} translates "
                f"{' and '.join(model.directions)} only. To go both ways, train a cyclegan; or "
                "train with the domains swapped."
            )
        if self.tile < SMALLEST_TILE:
            raise ConfigError(
                f"--tile {self.tile} is too small to see anything in: at least {SMALLEST_TILE}."
            )


@dataclass(frozen=True)
class Translation:
    """What came of it."""

    written: tuple[Path, ...]
    """The outputs, in the order of the inputs."""
    skipped: tuple[Problem, ...]
    """Inputs that could not be used, by name with the reason."""
    sheet: Path
    """The contact sheet: input, output and, where known, target of the first 12."""


def translate_all(
    model: TranslationModel, inputs: Inputs, out: Path, how: How, say: Say
) -> Translation:
    """Translate pictures one after the other into PNG files; the memory it takes is bounded.

    Args:
        model: What `ganvas.load_translator` returns.
        inputs: The pictures.
        out: A folder, made where needed; sub-folders and names are those of the inputs.
        how: Which way, and so on.
        say: Gets what a user should know, one line at a time.

    Raises:
        ConfigError: The model cannot do what is asked for.
        DataError: No picture can be used.
        RunError: Something else lies where the results would, the disk is full, the memory does not
            suffice, or the model's weights have diverged.
    """
    how.check(model)
    names = output_names(inputs.names)
    if replaced := check_free(out, names):
        say(f"Replacing {replaced:,} results of an earlier translation in {out}/.")
    written: list[Path] = []
    skipped = list(inputs.refused)
    rows: list[list[Image.Image | None]] = []
    noted = False
    with quiet_pillow(), progress_bar("Translating", len(names)) as advance:
        for item in inputs.read(with_target=ROWS):
            if isinstance(item, Problem):
                skipped.append(item)
                advance(1)
                continue
            note = None if noted else size_note(model, how.direction, item.pixels.shape)
            if note is not None:
                say(f"{item.name} {note}")
                noted = True
            result = _translate_one(model, item, how, advance)
            path = out / names[item.index]
            save_png(
                Image.fromarray(result.squeeze()),
                path,
                {**DESCRIPTION, "direction": how.direction, "seed": str(how.seed + item.index)},
            )
            written.append(path)
            if len(rows) < ROWS:
                rows.append(_row(item, result, inputs.has_targets))
            if isinstance(item.target, str):
                say(f"  no target of {item.name} on the sheet: {item.target}")
    if not written:
        first = "; ".join(f"{p.name}: {p.reason}" for p in skipped[:3])
        raise DataError(f"There is no picture to translate ({first}).")
    save_png(contact_sheet(rows), out / SHEET, DESCRIPTION)
    _say_skipped(skipped, say)
    return Translation(tuple(written), tuple(skipped), out / SHEET)


def size_note(model: TranslationModel, direction: Direction, size: tuple[int, ...]) -> str | None:
    """What to tell about a picture of (height, width) if the model learned from others."""
    height, width = (model.shape if direction == "AB" else model.target_shape)[1:]
    learned = f"but the model learned from pictures of {width}x{height}"
    if abs(size[1] / size[0] * height / width - 2) < _SAME_SHAPE:
        return (
            f"is twice as wide as it should be ({size[1]}x{size[0]} pixels, {learned}). If such "
            "pictures hold input and target side by side, add --pair AB (input on the left) or BA."
        )
    scale = ((size[0] * size[1]) / (height * width)) ** 0.5
    if 1 / _OTHER_SCALE < scale < _OTHER_SCALE:
        return None
    return (
        f"has {size[1]}x{size[0]} pixels, {learned}, so what it shows may be "
        f"{'larger' if scale > 1 else 'smaller'} than what the model knows. --resize brings every "
        "picture to that size."
    )


def _translate_one(
    model: TranslationModel, item: Item, how: How, advance: Callable[[float], None]
) -> Bytes:
    with _explain_memory(item, how):
        return translate_pixels(
            model, item.pixels, how.direction, how.seed + item.index, how.tile, advance
        )


def _row(item: Item, result: Bytes, has_targets: bool) -> list[Image.Image | None]:
    row: list[Image.Image | None] = [cell(item.pixels), cell(result)]
    if has_targets:
        row.append(cell(item.target) if isinstance(item.target, np.ndarray) else None)
    return row


def _say_skipped(skipped: list[Problem], say: Say) -> None:
    for problem in skipped[:_NAMED]:
        say(f"  left out {problem.name}: {problem.reason}")
    if len(skipped) > _NAMED:
        say(f"  and {len(skipped) - _NAMED:,} more: ganvas data inspect names them all")


@contextlib.contextmanager
def _explain_memory(item: Item, how: How) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        height, width = item.pixels.shape[:2]
        raise RunError(
            f"translating {item.name} ({width}x{height} pixels) does not fit into memory. Use "
            f"smaller tiles: --tile {max(SMALLEST_TILE, how.tile // 2)}; or smaller pictures: "
            "--resize."
        ) from error
