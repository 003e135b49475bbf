"""Decoding a whole source into the arrays of a pack: bounded memory, several threads."""

import dataclasses
import functools
import json
import math
import os
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import ConfigError, DataError

from .array_writer import ArrayWriter
from .config import DataConfig
from .decoding import Geometry, NotGreyError, PictureError, Problem, decode, is_grey, open_header
from .generated import DEFAULT_COUNT
from .progress import progress_bar
from .source_types import DrawnSource, Encoded, PictureSource, PointSource, Source

USUAL_SIDES = (16, 20, 24, 28, 32, 40, 48, 56, 64)
"""What an automatic resolution is chosen from, in pixels."""

SURVEY = 1000
"""How many pictures, evenly spaced over the source, an automatic choice looks at."""

_SUBSET_SEED = 0
_CHUNK_PICTURES = 64
_CHUNK_BYTES = 16 * 2**20
_TINY = 4096  # bytes of an encoded picture of about 64x64

R = TypeVar("R")


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
    return _write_pictures(source, config, folder, progress)


def select(source: PictureSource, images: int | None) -> NDArray[np.int64]:
    """The ascending indices of the pictures to use: all, or always the same random subset."""
    count = len(source)
    if images is None or images >= count:
        return np.arange(count)
    chosen = np.random.default_rng(_SUBSET_SEED).permutation(count)[:images]
    return np.sort(chosen)


@dataclass(frozen=True)
class Survey:
    """What a sample of a source looks like by its headers."""

    sizes: tuple[tuple[int, int], ...]
    """(width, height) as stored."""
    grey: bool
    """Whether all of them are stored as grey."""

    def resolution(self) -> tuple[int, int]:
        """The largest usual square that the median picture fills, at least 16x16."""
        side = statistics.median(min(size) for size in self.sizes) if self.sizes else 0
        best = max((usual for usual in USUAL_SIDES if usual <= side), default=USUAL_SIDES[0])
        return best, best


def survey(source: PictureSource, selected: NDArray[np.int64]) -> Survey:
    """Look at the headers of up to `SURVEY` of the selected pictures; bad ones are passed over."""
    step = -(-len(selected) // SURVEY)
    sizes: list[tuple[int, int]] = []
    grey = True
    for encoded in source.read(selected[:: max(1, step)]):
        if isinstance(encoded.content, PictureError):
            continue
        try:
            header = open_header(encoded.content)
        except PictureError:
            continue
        sizes.append(header.size)
        grey = grey and is_grey(header)
    return Survey(tuple(sizes), grey)


def _write_pictures(
    source: PictureSource, config: DataConfig, folder: Path, progress: bool
) -> Contents:
    selected = select(source, config.images)
    geometry = _choose(source, selected, config)
    try:
        return _pack_pictures(source, selected, geometry, config, folder, progress)
    except NotGreyError:  # a colour picture that the survey had missed
        geometry = dataclasses.replace(geometry, channels=3)
        return _pack_pictures(source, selected, geometry, config, folder, progress)


def _choose(source: PictureSource, selected: NDArray[np.int64], config: DataConfig) -> Geometry:
    resolution, channels = config.resolution, config.channels
    if resolution is None or channels == "auto":
        seen = survey(source, selected)
        resolution = resolution or seen.resolution()
        if channels == "auto":
            channels = 1 if seen.grey else 3
    return Geometry(resolution, channels, config.fit, config.background)


def _pack_pictures(
    source: PictureSource,
    selected: NDArray[np.int64],
    geometry: Geometry,
    config: DataConfig,
    folder: Path,
    progress: bool,
) -> Contents:
    refused = source.listing.refused
    total = len(selected) + len(refused)
    skipped: list[Problem] = list(refused)
    kept: list[int] = []
    only_grey = config.channels == "auto" and geometry.channels == 1

    def work(chunk: Sequence[Encoded]) -> list[tuple[Encoded, NDArray[np.uint8] | Problem]]:
        return [(item, _decode_one(item, geometry, only_grey)) for item in chunk]

    row = (*geometry.resolution, geometry.channels)
    with (
        ArrayWriter(folder / "images.npy", row, np.uint8) as images,
        progress_bar("Packing", len(selected), progress) as advance,
    ):
        for results in map_chunks(work, chunks(source.read(selected), math.prod(row))):
            good = [(item, pixels) for item, pixels in results if not isinstance(pixels, Problem)]
            skipped += [problem for _, problem in results if isinstance(problem, Problem)]
            kept += [item.index for item, _ in good]
            if good:
                images.append(np.stack([pixels for _, pixels in good]))
            if 2 * len(skipped) > total:
                raise DataError(_unusable(source.name, skipped, total))
            advance(len(results))
    if len(kept) < 2:
        raise DataError(_too_few(source.name, len(kept), skipped))
    listing = source.listing
    labels = None if listing.labels is None else listing.labels[kept]
    names = [listing.names[index] for index in kept]
    return _finish(folder, images, labels, listing.classes, names, skipped, _settings(geometry))


def _decode_one(item: Encoded, geometry: Geometry, only_grey: bool) -> NDArray[np.uint8] | Problem:
    if isinstance(item.content, PictureError):
        return item.content.named(item.name)
    try:
        return decode(item.content, geometry, only_grey=only_grey)
    except PictureError as problem:
        return problem.named(item.name)


def _write_drawn(source: DrawnSource, config: DataConfig, folder: Path, progress: bool) -> Contents:
    count = config.images or DEFAULT_COUNT
    resolution = config.resolution or source.resolution
    channels: Literal[1, 3, 4] = 3 if config.channels == "auto" else config.channels
    geometry = Geometry(resolution, channels, config.fit, config.background)
    step = max(1, _CHUNK_BYTES // (3 * resolution[0] * resolution[1]))
    with (
        ArrayWriter(folder / "images.npy", (*resolution, channels), np.uint8) as images,
        progress_bar("Drawing", count, progress) as advance,
    ):
        for start in range(0, count, step):
            pixels = source.draw(range(start, min(start + step, count)), resolution)
            images.append(change_channels(pixels, channels))
            advance(len(pixels))
    labels = source.labels(range(count))
    names = [f"{source.name}#{index}" for index in range(count)]
    return _finish(folder, images, labels, source.classes, names, [], _settings(geometry))


def change_channels(pixels: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """(N, H, W, 3) as colour, as opaque colour with alpha, or as ITU-R 601 luma."""
    if channels == 4:
        return np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=-1)
    if channels == 1:
        luma: NDArray[np.float64] = pixels @ np.array([0.299, 0.587, 0.114])
        return np.rint(luma)[..., None].astype(np.uint8)
    return pixels


def _write_points(source: PointSource, config: DataConfig, folder: Path) -> Contents:
    if config.resolution is not None or config.channels != "auto":
        raise ConfigError(
            f"data.resolution and data.channels do not apply to {source.name!r}, whose data are "
            "points of the plane: leave them out."
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
        "float32" if len(images.shape) == 2 else "uint8",
        labels is not None,
        classes,
        settings,
        tuple(skipped),
        images.fingerprint(settings, classes, tags),
    )


def _settings(geometry: Geometry) -> dict[str, Any]:
    height, width = geometry.resolution
    return {
        "resolution": [height, width],
        "channels": geometry.channels,
        "fit": geometry.fit,
        "background": geometry.background,
    }


def chunks(items: Iterable[Encoded], pixels: int = 0) -> Iterator[list[Encoded]]:
    """Group pictures so that neither their number nor their bytes grow large.

    Args:
        items: The pictures.
        pixels: Bytes that each of them takes when decoded, if that is kept.
    """
    chunk: list[Encoded] = []
    size = 0
    for item in items:
        chunk.append(item)
        size += pixels + (0 if isinstance(item.content, PictureError) else len(item.content))
        if len(chunk) >= _CHUNK_PICTURES or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def map_chunks(work: Callable[[list[Encoded]], R], groups: Iterable[list[Encoded]]) -> Iterator[R]:
    """Map over chunks in order, a few ahead on threads: Pillow decodes outside of the GIL.

    Chunks of tiny pictures stay on this thread: what Python does for each outweighs the decoding,
    and threads then only fight for the GIL (measured on CIFAR-10: a quarter slower).
    """
    workers = min(8, os.cpu_count() or 1)
    pending: deque[Callable[[], R]] = deque()
    with ThreadPoolExecutor(workers, "ganvas-decode") as pool:
        try:
            for group in groups:
                if _is_tiny(group):
                    pending.append(functools.partial(work, group))
                else:
                    pending.append(pool.submit(work, group).result)
                if len(pending) > 2 * workers:
                    yield pending.popleft()()
            while pending:
                yield pending.popleft()()
        finally:
            pool.shutdown(cancel_futures=True)


def _is_tiny(group: list[Encoded]) -> bool:
    sizes = [len(item.content) for item in group if isinstance(item.content, bytes)]
    return sum(sizes) < _TINY * len(group)


def _unusable(name: str, skipped: list[Problem], total: int) -> str:
    first = "; ".join(f"{problem.name}: {problem.reason}" for problem in skipped[:3])
    return (
        f"More than half of the {total} pictures in {name} cannot be used ({len(skipped)} so far; "
        f"{first}). Run `ganvas data inspect {name}` for the whole list, then mend or remove them."
    )


def _too_few(name: str, usable: int, skipped: list[Problem]) -> str:
    found = "only one picture" if usable == 1 else "no picture"
    left = "".join(f"; {problem.name} is left out: {problem.reason}" for problem in skipped[:3])
    return (
        f"{name} holds {found} that can be used{left}. At least 2 are needed to learn anything, "
        "and in practice some hundreds."
    )
