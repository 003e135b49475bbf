"""Packs: pictures decoded once into a memory-mapped array that trains at full speed.

A pack is a folder in the cache, named after its key: a hash of what identifies the source (for
files their paths, sizes and modification times) and of the settings. It is written under a
temporary name and renamed when complete, so a folder under its final name is always whole, whoever
is killed and whoever else packs the same.
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import DataError
from ganvas.files import write_text

from .captions import complete
from .config import DataConfig
from .decoding import Problem, quiet_pillow
from .domains import Domains, open_domains
from .packing import Contents, write_arrays
from .source_types import DrawnSource, PictureSource, Source, digest
from .two_packs import write_two

FORMAT_VERSION = 1
"""Raised when the layout of a pack, or the pixels that decoding gives, change."""

_SETTINGS = {"resolution", "channels", "images", "fit", "background"}
_TARGET = "target"
_CAPTIONS = "captions.json"
_UNFINISHED = ".packing-"
_ABANDONED_AFTER = 24 * 3600  # seconds: no packing takes a day without touching its folder


@dataclass(frozen=True, eq=False)
class Pack:
    """Pictures (or points) of one form, ready for training."""

    images: NDArray[Any]
    """Read-only memory map: uint8 (N, H, W, C), or float32 (N, 2) for 2-D toys."""
    labels: NDArray[np.int64] | None
    """The class of each picture, int64 (N,), if there are classes."""
    classes: tuple[str, ...]
    """The names of the classes by label; empty without labels."""
    fingerprint: str
    """SHA-256 of pixels, labels, classes and settings: equal packs have equal ones."""
    skipped: tuple[Problem, ...]
    """Files that were left out, of both domains, by name with the reason."""
    folder: Path
    """Where it lies in the cache."""
    settings: dict[str, Any]
    """The settings that made it, with automatic ones as they were decided."""
    target: "Pack | None" = None
    """The pictures of the second domain, for models that translate."""
    paired: bool = False
    """Whether row i of this pack and row i of `target` belong together."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example as a network sees it: (C, H, W), or (2,) for points."""
        if self.images.ndim == 2:
            return (2,)
        _, height, width, channels = self.images.shape
        return (channels, height, width)

    def decided(self, config: DataConfig) -> DataConfig:
        """The configuration with what the pack decided: its resolution and channels."""
        if self.images.ndim == 2:
            return config
        _, height, width, channels = self.images.shape
        decided = {"resolution": (height, width), "channels": channels}
        if self.target is not None:
            decided["target_channels"] = self.target.shape[0]
        return config.model_copy(update=decided)

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Where each picture came from, in the order of `images`."""
        return tuple(json.loads((self.folder / "names.json").read_text(encoding="utf-8")))

    @cached_property
    def captions(self) -> tuple[str, ...] | None:
        """What each picture shows, in words; None where not every picture has a caption."""
        path = self.folder / _CAPTIONS
        return tuple(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def open_pack(
    config: DataConfig,
    *,
    cache: Path | None = None,
    progress: bool = True,
    needs_pairs: bool | None = None,
    needs_captions: bool = False,
) -> Pack:
    """Open the pack of a source from the cache, packing it now if it is not there.

    Args:
        config: What to pack and how.
        cache: Where packs lie; by default `cache_folder()`.
        progress: Whether to show a progress bar when it takes long.
        needs_pairs: Whether the model learns from pairs, so that two domains without are refused
            (`config.model.needs_pairs` of a run). The pack is the same either way.
        needs_captions: Whether the model learns from captions, so that pictures without are refused
            (`config.model.needs_captions`).

    Raises:
        DataError: The source is missing or unusable, there are no pairs or no captions, or the
            cache cannot be written.
        ConfigError: A setting makes no sense for this source.
    """
    domains = open_domains(config)
    folder = _folder(domains, config, cache or cache_folder())
    pack = _read(folder)
    unfit = pack is not None and pack.target is not None and needs_pairs and not pack.paired
    if pack is None or unfit:
        pack = _make(domains, config, folder, progress, bool(needs_pairs))  # if unfit, says why
    if needs_captions and pack.captions is None:  # not complete, or of an earlier version
        write_text(pack.folder / _CAPTIONS, json.dumps(_captions(domains.source, pack.folder)))
        pack = dataclasses.replace(pack)  # which reads them
    return pack


def find_pack(config: DataConfig, *, cache: Path | None = None) -> Pack | None:
    """Open the pack of a source if it was made before; nothing is packed."""
    return _read(_folder(open_domains(config), config, cache or cache_folder()))


def cache_folder() -> Path:
    """The folder for packs: $GANVAS_CACHE, or `ganvas` in the platform's cache folder."""
    if chosen := os.environ.get("GANVAS_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "ganvas"


def _folder(domains: Domains, config: DataConfig, cache: Path) -> Path:
    settings = config.model_dump(mode="json", include=_SETTINGS)
    if config.binarise:  # named only where it is set: other packs keep their names
        settings["binarise"] = True
    identities: list[Any] = [FORMAT_VERSION, domains.source.identity, settings]
    if domains.target is not None:
        identities += [domains.target.identity, domains.paired, config.target_channels]
    stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(config.source).name).strip("-")[:40] or "pack"
    return cache / f"{stem}-{digest(identities)[:32]}"


def _make(
    domains: Domains, config: DataConfig, folder: Path, progress: bool, needs_pairs: bool
) -> Pack:
    try:
        _write(domains, config, folder, progress, needs_pairs)
    except OSError as error:
        raise DataError(
            f"The pack of {config.source} cannot be written to {folder.parent}: "
            f"{error.strerror or error}. Free some space, or choose another folder with --cache or "
            "the environment variable GANVAS_CACHE."
        ) from error
    pack = _read(folder)
    if pack is None:
        raise DataError(f"The pack {folder} cannot be read back. Delete that folder and try again.")
    _also_under(_folder(domains, pack.decided(config), folder.parent), folder)
    return pack


def _also_under(other: Path, folder: Path) -> None:
    """Let the pack be found by the settings that it decided on, which a run's config.yaml has."""
    with contextlib.suppress(OSError):  # no links here: it is packed again when asked for
        if _read(other) is None:
            _remove(other)
            other.symlink_to(folder.name)


def _remove(folder: Path) -> None:
    """Remove a folder, or the link that stands for one."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _write(
    domains: Domains, config: DataConfig, folder: Path, progress: bool, needs_pairs: bool
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    temporary = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
    try:
        with quiet_pillow():
            _fill(domains, config, temporary, progress, needs_pairs)
        temporary.chmod(0o755)
        _publish(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(
    domains: Domains, config: DataConfig, folder: Path, progress: bool, needs_pairs: bool
) -> None:
    """Write everything of a pack; what is in the second domain into a folder of its own."""
    if domains.target is None:
        contents = write_arrays(domains.source, config, folder, progress)
        with contextlib.suppress(DataError):  # only a model that needs them need say what is wrong
            captions = _captions(domains.source, folder)
            (folder / _CAPTIONS).write_text(json.dumps(captions), encoding="utf-8")
        _write_index(folder, domains.source.name, contents, None)
        return
    inner = folder / _TARGET
    inner.mkdir()
    contents, other, paired = write_two(
        domains, config, (folder, inner), needs_pairs=needs_pairs, progress=progress
    )
    _write_index(inner, domains.target.name, other, None)
    both = digest([contents.fingerprint, other.fingerprint, paired])
    contents = dataclasses.replace(contents, fingerprint=both)
    _write_index(folder, domains.source.name, contents, "paired" if paired else "unpaired")


def _captions(source: Source, folder: Path) -> tuple[str, ...]:
    """The captions of the pictures in a pack's folder, whose names are there already.

    Raises:
        DataError: Not every picture has one, or they cannot be read.
    """
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    captions: Sequence[str | None] | None = None
    if isinstance(source, PictureSource) and (found := source.captions()) is not None:
        by_name = dict(zip(source.listing.names, found, strict=True))
        captions = [by_name[name] for name in names]
    elif isinstance(source, DrawnSource):
        captions = source.captions(range(len(names)))
    return complete(source.name, names, captions)


def _write_index(
    folder: Path, source: str, contents: Contents, target: Literal["paired", "unpaired"] | None
) -> None:
    index = {"format": FORMAT_VERSION, "source": source, **dataclasses.asdict(contents)}
    with (folder / "index.json").open("w", encoding="utf-8") as stream:
        json.dump({**index, "target": target}, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())


def _publish(temporary: Path, folder: Path) -> None:
    """Rename a complete folder into place; if another process was first, its pack stays."""
    if _read(folder) is None:  # damaged from outside
        _remove(folder)
    try:
        temporary.rename(folder)
    except OSError:
        if _read(folder) is None:
            raise


def _sweep(cache: Path) -> None:
    """Remove what packings that were killed long ago have left behind."""
    for path in cache.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
                shutil.rmtree(path, ignore_errors=True)


def _read(folder: Path) -> Pack | None:
    """Open a finished pack; None if there is none or it is damaged."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if index["format"] != FORMAT_VERSION:
            return None
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / "labels.npy", allow_pickle=False) if index["labels"] else None
        if list(images.shape) != index["shape"] or str(images.dtype) != index["dtype"]:
            return None
        second = index.get("target")  # packs of earlier versions do not say
        target = None if second is None else _read(folder / _TARGET)
        if second is not None and target is None:
            return None
        return Pack(
            images=images,
            labels=labels,
            classes=tuple(index["classes"]),
            fingerprint=index["fingerprint"],
            skipped=tuple(Problem(**problem) for problem in index["skipped"])
            + (() if target is None else target.skipped),
            folder=folder,
            settings=index["settings"],
            target=target,
            paired=second == "paired",
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
