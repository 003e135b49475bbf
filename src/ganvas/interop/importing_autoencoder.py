"""`ganvas import FOLDER`: an `AutoencoderKL` of diffusers becomes a run of autoencoder-kl.

The run reconstructs pictures, is a first stage for latent diffusion, and can be trained on from.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from ganvas._version import __version__
from ganvas.data.sources import IMPORTED
from ganvas.errors import ConfigError
from ganvas.interop.autoencoder_folder import (
    AutoencoderSettings,
    read_settings,
    read_weights,
    weights_of,
)
from ganvas.interop.new_run import check_free, free_folder, new_folder, write_run
from ganvas.interop.official_records import printable
from ganvas.models.autoencoder_kl import AutoencoderKl, AutoencoderKlConfig
from ganvas.recipes import find_recipe
from ganvas.training.checkpoint import TrainingState
from ganvas.training.config import RunConfig
from ganvas.training.ema import Ema
from ganvas.training.step import make_optimizers

_RECIPE = "autoencoder-kl"


_LICENCE = (
    "The folder names none. Weights carry the licence of their authors: look it up where the "
    "folder comes from."
)


@dataclass(frozen=True)
class ImportedAutoencoder:
    """A run folder that was made from a folder of diffusers."""

    path: Path
    licence: str
    """Where to find whose the weights are."""
    notes: tuple[str, ...]
    """What the run is, and what it does without."""


def import_autoencoder(
    folder: str | Path, out: str | Path | None = None, resolution: str | int | None = None
) -> ImportedAutoencoder:
    """Make a run of autoencoder-kl from a folder of an `AutoencoderKL`.

    Args:
        folder: With config.json and diffusion_pytorch_model.safetensors.
        out: The run folder to make (default: runs/NAME OF THE FOLDER, numbered if that exists).
        resolution: Of the pictures that the run is for, one number or HEIGHTxWIDTH (default: what
            config.json says). The weights are for any.

    Raises:
        RunError: It is no such folder, damaged, or of networks that this package does not have; or
            `out` cannot be written. Nothing is left behind.
        ConfigError: The resolution is none.
    """
    folder = Path(folder)
    target = free_folder(folder.resolve().name) if out is None else Path(out)
    check_free(target)
    settings = read_settings(folder)
    config = _config(folder, settings, resolution)
    model = _model(folder, settings, config)
    state = TrainingState(model, Ema(model), make_optimizers(model))
    notes = _notes(config)
    origin = {
        "folder": folder.resolve().name,
        "licence": _LICENCE,
        "settings": settings.model_dump(mode="json"),
        "notes": notes,
        "ganvas": __version__,
    }
    with new_folder(target) as path:
        write_run(path, config, state, (), origin)
    return ImportedAutoencoder(target, _LICENCE, notes)


def _config(folder: Path, settings: AutoencoderSettings, resolution: str | int | None) -> RunConfig:
    """The recipe's configuration with the folder's networks, without a discriminator."""
    values = find_recipe(_RECIPE).config.model_dump(mode="json")
    values["name"] = f"{_RECIPE} from {printable(folder.resolve().name)}"
    values["model"] |= {
        "width": settings.block_out_channels[0],
        "blocks": settings.layers_per_block,
        "downsampling": settings.factor,
        "latent_channels": settings.latent_channels,
        "adversarial_weight": 0.0,
    }
    size = settings.sample_size if resolution is None else resolution
    values["data"] |= {"source": IMPORTED, "resolution": size, "channels": settings.in_channels}
    try:
        return RunConfig.parse(values)
    except ConfigError as error:
        given = "its sample_size" if resolution is None else "--resolution"
        raise ConfigError(
            f"{given} {printable(str(size))} is no size of pictures ({error}). Give one: "
            "--resolution 256, or HEIGHTxWIDTH."
        ) from None


def _model(folder: Path, settings: AutoencoderSettings, config: RunConfig) -> AutoencoderKl:
    """The model with the folder's weights in place."""
    assert isinstance(config.model, AutoencoderKlConfig)
    assert config.data.resolution is not None
    shape = (settings.in_channels, *config.data.resolution)
    with torch.device("meta"):  # whether all fits is known before memory is taken for it
        plan = AutoencoderKl(config.model, shape)
    shapes = {name: tuple(tensor.shape) for name, tensor in weights_of(plan).items()}
    weights = read_weights(folder, settings, shapes)
    model = AutoencoderKl(config.model, shape)
    model.load_state_dict(weights)
    return model


def _notes(config: RunConfig) -> tuple[str, ...]:
    assert isinstance(config.model, AutoencoderKlConfig)
    assert config.data.resolution is not None
    height, width = config.data.resolution
    factor, channels = config.model.downsampling, config.model.latent_channels
    return (
        f"It is a first stage for pictures of {width}x{height} pixels (another size: "
        f"--resolution), which it makes {factor} times smaller, with {channels} channels.",
        "The folder has no discriminator: to train on with one, add "
        "--set model.adversarial_weight=0.5.",
    )
