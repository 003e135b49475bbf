"""`ganvas import`: an authors' file becomes a run folder, without anything in it being executed.

The run has a config.yaml and one checkpoint at 0 images: the file's G_ema as the averaged
generator, its G and D as the networks in training, and optimisers that have not moved (the files do
not have their state). It can be drawn from, measured and trained on from (`ganvas train --from`).
Where the weights come from, whose they are and what was left out stands in import.json.
"""

import contextlib
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor, nn

from ganvas._version import __version__
from ganvas.data.progress import progress_bar
from ganvas.data.sources import IMPORTED
from ganvas.errors import ConfigError, RunError
from ganvas.interop.new_run import check_free, free_folder, new_folder, write_run
from ganvas.interop.official import Official, Weights, understand
from ganvas.interop.official_records import printable, read_official
from ganvas.interop.pickles import RefusedError, Stream
from ganvas.models import build_model
from ganvas.models.base import Model
from ganvas.recipes import find_recipe
from ganvas.training.checkpoint import TrainingState
from ganvas.training.config import RunConfig
from ganvas.training.ema import Ema
from ganvas.training.run_folder import RunFolder
from ganvas.training.step import make_optimizers

Advance = Callable[[int], None]

_MOST_BYTES = 4 * 2**30
"""Ten times the authors' largest file."""
_CHUNK = 2**20

_OTHER_FILES = {
    b"\x89PNG": "it is a PNG picture",
    b"\xff\xd8\xff": "it is a JPEG picture",
    b"GIF8": "it is a GIF picture",
    b"PK\x03\x04": "it is a ZIP, as torch.save and archives of pictures are",
    b"\x1f\x8b": "it is packed with gzip: unpack it first",
    b"version https://git-lfs": "it is a pointer of Git LFS, not the file itself: git lfs pull",
    b"\x89HDF": "it is an HDF5 file",
    b"\x93NUMPY": "it is an array of NumPy",
}
_NO_LICENCE = (
    "The file names none. Weights carry the licence of their authors, which for NVIDIA's and many "
    "others forbids commercial use: look it up where the file comes from."
)


@dataclass(frozen=True)
class Imported:
    """A run folder that was made from a file."""

    path: Path
    licence: str
    """What the file says of rights, or that it says nothing."""
    notes: tuple[str, ...]
    """What was left out, and why."""


def import_official(
    file: str | Path, out: str | Path | None = None, *, progress: bool = True
) -> Imported:
    """Make a run folder from a pickle of StyleGAN2(-ADA), StyleGAN3 or R3GAN (PyTorch).

    Args:
        file: The authors' .pkl; it is read, never run.
        out: The run folder to make (default: runs/NAME OF THE FILE, numbered if that exists).
        progress: Whether to show a bar where it takes long.

    Returns:
        Where the run is, whose the weights are, and what of the file was left out.

    Raises:
        RunError: The file is not one of these, damaged, or names anything that they do not; or
            `out` cannot be written. Nothing is left behind.
    """
    file = Path(file)
    target = free_folder(file.stem) if out is None else Path(out)
    check_free(target)
    with _explained(file), _opened(file) as stream:
        size = _size(stream)
        with progress_bar("Importing", 4 * size // _CHUNK + 1, show=progress) as in_chunks:
            advance = _counting(in_chunks)
            digest = _digest(stream, advance)
            official = understand(read_official(Stream(stream, size, advance)))
            config = _config(file, official)
            state, notes = _state(config, official)
            advance(size)
            origin = {
                "file": file.name,
                "bytes": size,
                "sha256": digest,
                "licence": official.licence or _NO_LICENCE,
                "training_set": official.training_set,
                "notes": notes,
                "ganvas": __version__,
            }
            classes = tuple(str(i) for i in range(official.classes))
            with new_folder(target) as folder:
                write_run(folder, config, state, classes, origin)
            advance(size)
    return Imported(target, official.licence or _NO_LICENCE, notes)


def _size(stream: BinaryIO) -> int:
    """Bytes of a file. Raises RefusedError for what is no pickle, or too large for one of these."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(64)
    stream.seek(0)
    if not size:
        raise RefusedError("it is empty: fetch it again")
    for magic, what in _OTHER_FILES.items():
        if head.startswith(magic):
            raise RefusedError(what)
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise RefusedError("it is a web page: the download gave a page instead of the file")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size:
        raise RefusedError("it is a safetensors file, which has weights but not whose they are")
    if size > _MOST_BYTES:
        raise RefusedError(f"it has {size:,} bytes, ten times as many as the largest of these")
    return size


def _digest(stream: BinaryIO, advance: Advance) -> str:
    """The SHA-256 of a file, which is then at its start again."""
    digest = hashlib.sha256()
    while block := stream.read(_CHUNK):
        digest.update(block)
        advance(len(block))
    stream.seek(0)
    return digest.hexdigest()


def _counting(in_chunks: Advance) -> Advance:
    """What counts bytes, of what counts mebibytes."""
    pending = 0

    def advance(size: int) -> None:
        nonlocal pending
        done, pending = divmod(pending + size, _CHUNK)
        if done:
            in_chunks(done)

    return advance


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if not file.is_file():
        raise RunError(
            f"{file} {_no_file(file)}. Give the .pkl of a StyleGAN2, StyleGAN3 or R3GAN."
        )
    try:
        stream = file.open("rb")
    except OSError as error:
        raise RunError(f"{file} cannot be read: {error.strerror or error}.") from error
    with stream:
        yield stream


def _no_file(path: Path) -> str:
    """What is there instead of a file."""
    if re.match(r"(https?|ftp):/", str(path)):
        return "is an address, not a file: download it first"
    if path.is_dir():
        is_run = RunFolder(path).config.is_file()
        return "is a run of ganvas already" if is_run else "is a folder"
    return "is a device or a pipe, not a file" if path.exists() else "does not exist"


@contextlib.contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Turn what is wrong with the file into a `RunError` that names it."""
    try:
        yield
    except (RefusedError, ConfigError) as error:  # sizes that no network here can have
        reason = str(error).removesuffix(".")
        raise RunError(
            f"{file} was not imported: {reason}. What can be imported: the .pkl of "
            "StyleGAN2(-ADA), StyleGAN3 and R3GAN by their authors' PyTorch trainings."
        ) from None


def _config(file: Path, official: Official) -> RunConfig:
    """The configuration of the recipe that the file is nearest to, with the file's networks."""
    values = find_recipe(official.recipe).config.model_dump(mode="json")
    values["name"] = f"{official.recipe} from {printable(file.name)}"
    values["model"] |= official.model
    channels, *resolution = official.shape
    values["data"] |= {"source": IMPORTED, "resolution": resolution, "channels": channels}
    return RunConfig.parse(values)


def _state(config: RunConfig, official: Official) -> tuple[TrainingState, tuple[str, ...]]:
    """The networks with the file's weights in place, and what was left out."""
    classes = tuple(str(i) for i in range(official.classes))
    with torch.device("meta"):  # whether all fits is known before memory is taken for it
        plan = build_model(config.model, official.shape, classes)
    averaged = _fitting(official.averaged, plan, "generator")
    raw = _fitting(official.generator, plan, "generator") if official.generator else averaged
    notes = official.notes
    judge: dict[str, Tensor] | None = None
    if official.discriminator is not None:
        try:
            judge = _fitting(official.discriminator, plan, "discriminator")
        except RefusedError as reason:
            notes = (*notes, f"The discriminator was left out: {reason}.")
    elif not notes:
        notes = ("The file has no discriminator.",)
    model = build_model(config.model, official.shape, classes)
    model.get_submodule("generator").load_state_dict(raw)
    if judge is not None:
        model.get_submodule("discriminator").load_state_dict(judge)
    ema = Ema(model)
    ema.networks["generator"].load_state_dict(averaged)
    return TrainingState(model, ema, make_optimizers(model)), notes


def _fitting(weights: Weights, plan: Model, name: str) -> dict[str, Tensor]:
    """A network's weights under this package's names, checked against the network's shapes.

    Raises RefusedError naming the first that does not fit.
    """
    try:
        state = weights.state()
    except RunError as error:
        raise RefusedError(str(error)) from None
    except (ArithmeticError, LookupError, RuntimeError, ValueError):  # by sizes of no network
        raise RefusedError(f"its {name} has constants of other shapes than the authors'") from None
    network: nn.Module = plan.get_submodule(name)
    expected: Mapping[str, Tensor] = network.state_dict()
    for key in sorted(expected.keys() | state.keys()):
        here = tuple(expected[key].shape) if key in expected else "no such weight"
        there = tuple(state[key].shape) if key in state else "no such weight"
        if here != there:
            raise RefusedError(
                f"its {name} is not built like the one here: {key} has {there} in the file, {here} "
                "in the network of its size"
            )
    return state
