"""The first stage of latent diffusion: the run of an autoencoder that a training begins with.

Its averaged weights become a part of the new model, which needs that run no more once its training
has begun. Mean and deviation of its latents are measured over pictures of the training.
"""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data.held_out import training_rows
from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack
from ganvas.errors import ConfigError, GanvasError, RunError
from ganvas.models.autoencoder_kl import AutoencoderKlConfig
from ganvas.models.diffusion_config import FirstStageOf, LatentDiffusionConfig
from ganvas.models.latent_diffusion import LatentDiffusion
from ganvas.models.phase import derive_seed
from ganvas.models.vqvae import VqVaeConfig
from ganvas.training.checkpoint import LAST, TrainingState, find_checkpoint, read_networks
from ganvas.training.config import RunConfig
from ganvas.training.run_folder import RunFolder

MEASURED = 2048
"""Pictures over which the scale of the latents is measured, at most."""

_AT_ONCE = 64


def with_first_stage(config: RunConfig) -> RunConfig:
    """The configuration, in which the first stage's networks are noted, and its resolution.

    Raises:
        RunError: The run that is named is none.
        ConfigError: None is named, it holds another kind of model, or other pictures are asked for
            than it was trained on.
    """
    model = config.model
    if not isinstance(model, LatentDiffusionConfig):
        return config
    if model.first_stage.run is None:
        raise ConfigError(_missing(config))
    folder = RunFolder(Path(model.first_stage.run))
    try:
        found, (shape, _) = folder.read().model, folder.read_data_summary()
    except GanvasError as error:
        raise RunError(f"there is no first stage to begin with (--first-stage): {error}") from error
    if not isinstance(found, AutoencoderKlConfig | VqVaeConfig):
        raise ConfigError(
            f"--first-stage {folder.path} holds a {found.name}, whose latents are no small maps "
            "that could be drawn anew. Give the run of an autoencoder-kl or of a vqvae."
        )
    data = config.data
    if data.resolution is None:
        data = data.model_copy(update={"resolution": shape[1:]})
    first_stage = FirstStageOf(run=model.first_stage.run, model=found)
    model = model.model_copy(update={"first_stage": first_stage})
    return config.model_copy(update={"model": model, "data": data})


def check_first_stage(config: RunConfig, pack: Pack) -> None:
    """Raise ConfigError if the first stage is of other pictures than those to train on."""
    model = config.model
    if not isinstance(model, LatentDiffusionConfig) or model.first_stage.run is None:
        return
    shape, _ = RunFolder(Path(model.first_stage.run)).read_data_summary()
    if shape == pack.shape:
        return
    mend = []
    if shape[1:] != pack.shape[1:]:
        mend.append(f"--resolution {'x'.join(map(str, shape[1:]))}")
    if shape[0] != pack.shape[0]:
        mend.append(f"--set data.channels={shape[0]}")
    first, these = ("x".join(map(str, sizes)) for sizes in (shape, pack.shape))
    raise ConfigError(
        f"the first stage {model.first_stage.run} was trained on pictures of {first} (channels x "
        f"height x width), but those of {config.data.source} are {these}. Bring these to the form "
        f"of the first stage ({' '.join(mend)}), or train a first stage on pictures like these."
    )


def begin_with_first_stage(
    state: TrainingState, config: RunConfig, pack: Pack, say: Callable[[str], None]
) -> None:
    """Give a fresh model the weights of its first stage, and measure the scale of its latents.

    Raises:
        RunError: That run has no whole checkpoint.
        ConfigError: Its weights do not fit, or its latents are not finite.
    """
    model = state.model
    if not isinstance(model, LatentDiffusion) or model.config.first_stage.run is None:
        return
    folder, notes = RunFolder(Path(model.config.first_stage.run)), list[str]()
    path = find_checkpoint(folder.checkpoints, LAST, notes)
    raw, averaged = read_networks(path)
    model.take_first_stage({**raw, **averaged})
    rows = _some_rows(pack, config)
    model.measure_scale(_batches(pack, rows))
    low, high = (float(value) for value in model.latent_std.aminmax())
    for note in notes:
        say(note)
    say(
        f"First stage: {path}; its latents, which deviate by {low:.3g} to {high:.3g} over "
        f"{len(rows):,} pictures, are brought to 1."
    )


def _some_rows(pack: Pack, config: RunConfig) -> NDArray[np.int64]:
    """Rows of the training, ascending, at random by the seed."""
    rows = training_rows(pack, config.data)
    rows = np.arange(len(pack)) if rows is None else rows
    chance = np.random.default_rng(derive_seed(config.training.seed, "latent scale"))
    return np.sort(chance.permutation(rows)[:MEASURED])


def _batches(pack: Pack, rows: NDArray[np.int64]) -> Iterator[Tensor]:
    """These pictures (N, C, H, W) in [-1, 1]."""
    for start in range(0, len(rows), _AT_ONCE):
        images = torch.from_numpy(pack.images[rows[start : start + _AT_ONCE]])
        yield to_model_range(images.permute(0, 3, 1, 2))


def _missing(config: RunConfig) -> str:
    data = config.data
    size = "" if data.resolution is None else f" --resolution {'x'.join(map(str, data.resolution))}"
    command = f"ganvas train autoencoder-kl-tiny --data {shlex.quote(data.source)}{size}"
    return (
        f"{config.name} draws in the latents of an autoencoder, its first stage, which is trained "
        f"before: `{command}` (autoencoder-kl for pictures of 128 pixels and more). Then give the "
        "folder of that run: --first-stage runs/..."
    )
