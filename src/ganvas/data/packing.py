"""Decoding a whole source into the arrays of a pack: bounded memory, several threads."""

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import ConfigError, DataError

from .array_writer import ArrayWriter
from .binarising import binarise
from .chunks import Row, chunks, map_chunks
from .config import DataConfig
from .decoding import Geometry, NotGreyError, PictureError, Problem, decode, size_of
from .domains import different_sizes
from .generated import DEFAULT_COUNT
from .progress import progress_bar
from .source_types import DrawnSource, Encoded, PictureSource, PointSource, Source
from .survey import choose_geometry, select

_DRAWN_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Contents:
    """What was written into a pack's folder, besides the arrays."""

    shape: tuple[int, ...]
    dtype: str
    labels: bool
    classes: tuple[str, ...]
    settings: dict[str, Any]
    skipped: tuple[Problem, ...]
    fingerprint: str


class UnequalError(DataError):
    """Pictures that should be pairs, or hold one, differ in size or cannot be halved."""


def write_arrays(source: Source, config: DataConfig, folder: Path, progress: bool) -> Contents:
    """Bring every picture to one form and write `images.npy`, `labels.npy`, `names.json`.

    Raises:
        DataError: Fewer than two pictures, or fewer than half of them, can be used.
        ConfigError: A setting that makes no sense for this source.
    """
    if isinstance(source, PointSource):
        return _write_points(source, config, folder)
    if isinstance(source, DrawnSource):
        return _write_drawn(source, config, folder, progress)
    return write_pictures([source], [config], [folder], progress)[0]


def write_pictures(
    sources: Sequence[PictureSource],
    configs: Sequence[DataConfig],
    folders: Sequence[Path],
    progress: bool,
) -> list[Contents]:
    """`write_arrays` for one source, or for two whose pictures of equal index are pairs.

    A row of which one picture cannot be used is left out. All get the resolution of the first.

    Raises:
        DataError: As `write_arrays`.
        UnequalError: The pictures of a pair differ in size, or one has no halves.
    """
    selected = select(sources[0], configs[0].images)
    first = choose_geometry(sources[0], selected, configs[0])
    geometries = [first]
    for source, config in zip(sources[1:], configs[1:], strict=True):
        alike = config.model_copy(update={"resolution": first.resolution})
        geometries.append(choose_geometry(source, selected, alike))
    while True:
        sides = [
            _Side(source, geometry, folder, config.channels == "auto" and geometry.channels == 1)
            for source, geometry, folder, config in zip(
                sources, geometries, folders, configs, strict=True
            )
        ]
        try:
            return _pack_rows(sides, selected, progress)
        except _InColourError as error:  # a picture that the survey had missed
            geometries[error.side] = dataclasses.replace(geometries[error.side], channels=3, bits=8)


@dataclass(frozen=True)
class _Side:
    """A source, and what is made of it."""

    source: PictureSource
    geometry: Geometry
    folder: Path
    only_grey: bool

    def writer(self) -> ArrayWriter:
        row = (*self.geometry.resolution, self.geometry.channels)
        kind = np.uint16 if self.geometry.bits == 16 else np.uint8
        return ArrayWriter(self.folder / "images.npy", row, kind)


class _InColourError(Exception):
    """A side in which only grey pictures were expected has one in colour."""

    def __init__(self, side: int):
        super().__init__(side)
        self.side = side


_Pixels = tuple[NDArray[Any], ...]


def _pack_rows(
    sides: Sequence[_Side], selected: NDArray[np.int64], progress: bool
) -> list[Contents]:
    name = sides[0].source.name
    skipped = [problem for side in sides for problem in side.source.listing.refused]
    total = len(selected) + len(skipped)
    kept: list[int] = []

    def work(chunk: Sequence[Row]) -> list[tuple[int, _Pixels | Problem]]:
        return [(row[0].index, _decode_row(row, sides)) for row in chunk]

    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(side.writer()) for side in sides]
        advance = stack.enter_context(progress_bar("Packing", len(selected), progress))
        rows = zip(*(side.source.read(selected) for side in sides), strict=True)
        for results in map_chunks(work, chunks(rows, sum(writer.row_bytes for writer in writers))):
            good = [(index, pixels) for index, pixels in results if isinstance(pixels, tuple)]
            skipped += [problem for _, problem in results if isinstance(problem, Problem)]
            kept += [index for index, _ in good]
            for place, writer in enumerate(writers):
                if good:
                    writer.append(np.stack([pixels[place] for _, pixels in good]))
            _check_equal(skipped, name)
            if 2 * len(skipped) > total:
                raise DataError(_unusable(name, skipped, total))
            advance(len(results))
    if len(kept) < 2:
        raise DataError(_too_few(name, len(kept), skipped))
    left_out = [skipped, *([] for _ in sides[1:])]  # named once
    return [_finish_pictures(*it, kept) for it in zip(sides, writers, left_out, strict=True)]


def _finish_pictures(
    side: _Side, images: ArrayWriter, skipped: list[Problem], kept: list[int]
) -> Contents:
    listing = side.source.listing
    labels = None if listing.labels is None else listing.labels[kept]
    names = [listing.names[index] for index in kept]
    settings = _settings(side.geometry)
    return _finish(side.folder, images, labels, listing.classes, names, skipped, settings)


def _decode_row(row: Row, sides: Sequence[_Side]) -> _Pixels | Problem:
    pixels: list[NDArray[Any]] = []
    for place, (item, side) in enumerate(zip(row, sides, strict=True)):
        try:
            if isinstance(item.content, PictureError):
                raise item.content
            pixels.append(decode(item.content, side.geometry, only_grey=side.only_grey))
        except PictureError as problem:
            return problem.named(_name(item, side, sides))
        except NotGreyError:
            raise _InColourError(place) from None
    return _unequal(row, sides) or tuple(pixels)


def _unequal(row: Row, sides: Sequence[_Side]) -> Problem | None:
    """What is wrong with a pair whose pictures differ in size."""
    if len(sides) == 1 or sides[0].geometry.part != "whole":  # halves are of one size
        return None
    sizes = [
        size_of(item.content)
        for item, side in zip(row, sides, strict=True)
        if isinstance(item.content, bytes)
    ]
    if len({*sizes}) == 1:
        return None
    name = _name(row[0], sides[0], sides)
    return Problem(name, "sizes differ", different_sizes(sizes[0], sizes[1]))


def _name(item: Encoded, side: _Side, sides: Sequence[_Side]) -> str:
    """The name of a picture, which of a pair may be the same in both sources."""
    names = {other.source.name for other in sides} if side.geometry.part == "whole" else set()
    return f"{side.source.name}/{item.name}" if len(names) > 1 else item.name


def _write_drawn(source: DrawnSource, config: DataConfig, folder: Path, progress: bool) -> Contents:
    count = config.images or DEFAULT_COUNT
    resolution = config.resolution or source.resolution
    channels = source.channels if config.channels == "auto" else config.channels
    geometry = Geometry(
        resolution, channels, config.fit, config.background, binarised=config.binarise
    )
    step = max(1, _DRAWN_BYTES // (3 * resolution[0] * resolution[1]))
    with (
        ArrayWriter(folder / "images.npy", (*resolution, channels), np.uint8) as images,
        progress_bar("Drawing", count, progress) as advance,
    ):
        for start in range(0, count, step):
            pixels = source.draw(range(start, min(start + step, count)), resolution)
            images.append(drawn_form(pixels, channels, config))
            advance(len(pixels))
    labels = source.labels(range(count))
    names = [f"{source.name}#{index}" for index in range(count)]
    return _finish(folder, images, labels, source.classes, names, [], _settings(geometry))


def drawn_form(pixels: NDArray[np.uint8], channels: int, config: DataConfig) -> NDArray[np.uint8]:
    """Pictures (N, H, W, C) that were drawn, with the channels and the values of a pack."""
    changed = change_channels(pixels, channels)
    return np.stack([binarise(picture) for picture in changed]) if config.binarise else changed


def change_channels(pixels: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """(N, H, W, 1 or 3) as grey (ITU-R 601 luma), as colour, or as opaque colour with alpha."""
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 1:
        luma: NDArray[np.float64] = pixels @ np.array([0.299, 0.587, 0.114])
        return np.rint(luma)[..., None].astype(np.uint8)
    colour = np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels
    if channels == 3:
        return colour
    return np.concatenate([colour, np.full_like(colour[..., :1], 255)], axis=-1)


def _write_points(source: PointSource, config: DataConfig, folder: Path) -> Contents:
    if config.resolution is not None or config.channels != "auto" or config.binarise:
        raise ConfigError(
            "data.resolution, data.channels and data.binarise do not apply to "
            f"{source.name!r}, whose data are points of the plane: leave them out."
        )
    points, modes = source.sample(config.images or DEFAULT_COUNT)
    names = [f"{source.name}#{index}" for index in range(len(points))]
    count = int(modes.max()) + 1
    labels = modes if count > 1 else None
    classes = tuple(str(mode) for mode in range(count)) if count > 1 else ()
    with ArrayWriter(folder / "images.npy", (2,), np.float32) as images:
        images.append(points)
    return _finish(folder, images, labels, classes, names, [], {})


def _finish(
    folder: Path,
    images: ArrayWriter,
    labels: NDArray[np.int64] | None,
    classes: tuple[str, ...],
    names: list[str],
    skipped: list[Problem],
    settings: dict[str, Any],
) -> Contents:
    (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")
    if labels is not None:
        np.save(folder / "labels.npy", labels)
    tags = None if labels is None else sha256(labels.astype("<i8").tobytes()).hexdigest()
    return Contents(
        images.shape,
        images.dtype,
        labels is not None,
        classes,
        settings,
        tuple(skipped),
        images.fingerprint(settings, classes, tags),
    )


def _settings(geometry: Geometry) -> dict[str, Any]:
    height, width = geometry.resolution
    settings: dict[str, Any] = {
        "resolution": [height, width],
        "channels": geometry.channels,
        "fit": geometry.fit,
        "background": geometry.background,
    }
    return {**settings, "binarise": True} if geometry.binarised else settings


def _check_equal(problems: list[Problem], name: str) -> None:
    """Raise for pairs that are none: that all others fit is no reason to go on without them."""
    unequal = [p for p in problems if p.kind in ("odd width", "sizes differ")]
    if unequal:
        first = "; ".join(f"{problem.name}: {problem.reason}" for problem in unequal[:3])
        how = (
            "Bring the two pictures of each pair to the same size"
            if unequal[0].kind == "sizes differ"
            else "Crop such pictures to an even width, with the seam in the middle"
        )
        raise UnequalError(
            f"{len(unequal)} of the pairs of {name} seen so far cannot be used: {first}. {how}, or "
            "remove them; ganvas data inspect, with the same options, names all of them."
        )


def _unusable(name: str, skipped: list[Problem], total: int) -> str:
    first = "; ".join(f"{problem.name}: {problem.reason}" for problem in skipped[:3])
    return (
        f"More than half of the {total} pictures in {name} cannot be used ({len(skipped)} so far; "
        f"{first}). Run `ganvas data inspect`, with the same source and options, for the whole "
        "list, then mend or remove them."
    )


def _too_few(name: str, usable: int, skipped: list[Problem]) -> str:
    found = "only one picture" if usable == 1 else "no picture"
    left = "".join(f"; {problem.name} is left out: {problem.reason}" for problem in skipped[:3])
    return (
        f"{name} holds {found} that can be used{left}. At least 2 are needed to learn anything, "
        "and in practice some hundreds."
    )
