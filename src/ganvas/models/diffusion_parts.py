"""What latent diffusion is put together from: its first stage, and the libraries it needs."""

from collections.abc import Mapping
from importlib.util import find_spec

from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.models.autoencoder_kl import AutoencoderKl, AutoencoderKlConfig
from ganvas.models.diffusion_config import LatentDiffusionConfig
from ganvas.models.first_stage import FirstStage
from ganvas.models.vqvae import VqVae, VqVaeConfig


def bare_first_stage(config: LatentDiffusionConfig, shape: tuple[int, ...]) -> FirstStage:
    """The networks that make maps of pictures and pictures of maps, without what trains them.

    Raises:
        ConfigError: No first stage is given.
    """
    model = config.first_stage.model
    if isinstance(model, VqVaeConfig):
        return VqVae(model, shape)
    if isinstance(model, AutoencoderKlConfig):
        bare = {"adversarial_weight": 0.0, "perceptual": "none", "lpips_weights": None}
        return AutoencoderKl(model.model_copy(update=bare), shape)
    raise ConfigError(
        "latent diffusion takes place in the latents of an autoencoder, and there is none yet. "
        "Train one on the same pictures, `ganvas train autoencoder-kl-tiny --data ...`, then give "
        "its run: --first-stage runs/..."
    )


def fitting_weights(stage: FirstStage, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of the weights of a run that are of its first stage.

    Raises:
        ConfigError: Some are missing, or are of other shapes.
    """
    wanted = stage.state_dict()
    misfit = [n for n, t in wanted.items() if n not in weights or weights[n].shape != t.shape]
    if misfit:
        name, (channels, height, width) = misfit[0], stage.shape
        found = tuple(weights[name].shape) if name in weights else "missing"
        raise ConfigError(
            f"the first stage does not fit the pictures of {width}x{height} pixels in {channels} "
            f"channels: of its weights {len(misfit)} differ, first {name} ({found}, not "
            f"{tuple(wanted[name].shape)}). Train it on pictures of the same size and channels."
        )
    return {name: weights[name] for name in wanted}


def missing_packages() -> list[str]:
    """What is not installed of what latent diffusion needs."""
    return [name for name in ("diffusers", "transformers") if find_spec(name) is None]


def check_installed() -> None:
    """Raise ConfigError where the libraries of the extra `diffusion` are missing."""
    if missing := missing_packages():
        raise ConfigError(
            f"latent diffusion needs {' and '.join(missing)}: pip install 'ganvas[diffusion]'."
        )
