"""Pictures of untrusted files, brought to the form of a model."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor

from ganvas.data.config import DataConfig
from ganvas.data.decoding import (
    Geometry,
    PictureError,
    Problem,
    decode,
    is_grey,
    open_header,
    size_of,
)
from ganvas.data.folders import read_file
from ganvas.data.loader import to_model_range
from ganvas.data.source_types import DrawnSource, Encoded, PictureSource, printable
from ganvas.data.sources import open_source
from ganvas.errors import DataError


@dataclass(frozen=True, eq=False)
class Photos:
    """Pictures as a model takes them.

    Attributes:
        images: (N, C, H, W) float32 in [-1, 1].
        names: Of the files.
        fitted: What was changed of each to make it fit, in words; "" for nothing.
        problems: Files that cannot be used.
        left: So many more pictures were there.
    """

    images: Tensor
    names: tuple[str, ...]
    fitted: tuple[str, ...]
    problems: tuple[Problem, ...]
    left: int


def read_photos(name: str, n: int, shape: tuple[int, ...], data: DataConfig) -> Photos:
    """The first n pictures of a source, fitted as those that the model was trained on.

    Args:
        name: A picture file, a folder or a ZIP of them, Parquet, or the name of a built-in.
        n: How many, at most.
        shape: (C, H, W) of the model's pictures.
        data: What it was trained with: its `fit` and `background` are used.

    Raises:
        DataError: There are no such pictures, or none of them can be read.
    """
    channels, height, width = cast(tuple[Literal[1, 3, 4], int, int], shape)
    geometry = Geometry(
        (height, width), channels, data.fit, data.background, binarised=data.binarise
    )
    path = _picture_file(name)
    if path is not None:
        return _decoded([Encoded(0, printable(path.name), read_file(path))], geometry, 0, name)
    source = open_source(name)
    if isinstance(source, DrawnSource) and source.channels == channels:
        images = source.draw(range(n), (height, width))
        names = tuple(f"{name}-{index:06d}" for index in range(n))
        return Photos(_floats([*images]), names, ("",) * n, (), 0)
    if not isinstance(source, PictureSource):
        raise DataError(
            f"{name} holds no pictures like those of the run: give a photo or a folder."
        )
    chosen = np.arange(min(n, len(source)))
    return _decoded(source.read(chosen), geometry, len(source) - len(chosen), name)


def _picture_file(name: str) -> Path | None:
    """The file of a single picture; None for any other source."""
    try:
        path = Path(name).expanduser()
        single = path.is_file() and path.suffix.lower() not in (".zip", ".parquet")
    except (OSError, RuntimeError, ValueError):  # `open_source` says what is wrong with the name
        return None
    return path if single else None


def _decoded(
    files: list[Encoded] | Iterator[Encoded], geometry: Geometry, left: int, source: str
) -> Photos:
    pictures, names, fitted, problems = [], [], [], []
    for file in files:
        try:
            if isinstance(file.content, PictureError):
                raise file.content
            pictures.append(decode(file.content, geometry))
            fitted.append(_changes(file.content, geometry))
            names.append(file.name)
        except PictureError as problem:
            problems.append(problem.named(file.name))
    if not pictures:
        first = f" {problems[0].name}: {problems[0].reason}." if problems else ""
        raise DataError(f"{source} holds no picture that can be read.{first} Give another.")
    return Photos(_floats(pictures), tuple(names), tuple(fitted), tuple(problems), left)


def _changes(content: bytes, geometry: Geometry) -> str:
    """What is done to a picture to make it fit, in words."""
    (height, width), (had_width, had_height) = geometry.resolution, size_of(content)
    done = []
    if (had_width, had_height) != (width, height):
        how = {"crop": "cropped", "pad": "padded", "stretch": "stretched"}[geometry.fit]
        same = had_width * height == had_height * width
        how = "resized" if same else f"{how} and resized"
        done.append(f"{how} from {had_width}x{had_height} to {width}x{height}")
    header = open_header(content)
    if geometry.channels == 1 and not is_grey(header):
        done.append("made grey")
    if geometry.channels == 3 and is_grey(header):
        done.append("grey, as colour")
    if geometry.channels != 4 and header.has_transparency_data:
        done.append(f"laid on {geometry.background}")
    return ", ".join(done)


def _floats(pictures: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> Tensor:
    return to_model_range(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2))
