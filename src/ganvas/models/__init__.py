"""Trainable systems: networks plus the game they play, one file each."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from ganvas.errors import ConfigError
from ganvas.models.autoencoder import Autoencoder, AutoencoderConfig
from ganvas.models.autoencoder_kl import AutoencoderKl, AutoencoderKlConfig
from ganvas.models.base import Model
from ganvas.models.cyclegan import CycleGan
from ganvas.models.diffusion_config import LatentDiffusionConfig
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from ganvas.models.latent_diffusion import LatentDiffusion
from ganvas.models.pix2pix import Pix2Pix
from ganvas.models.reading import Captions
from ganvas.models.stylegan import StyleGan
from ganvas.models.stylegan_config import StyleGanConfig
from ganvas.models.translation_config import CycleGanConfig, Pix2PixConfig, TranslationConfig
from ganvas.models.vae import Vae
from ganvas.models.vae_config import VaeConfig
from ganvas.models.vqvae import VqVae, VqVaeConfig

AnyConfig = (
    AutoencoderConfig
    | VaeConfig
    | VqVaeConfig
    | AutoencoderKlConfig
    | GanConfig
    | StyleGanConfig
    | Pix2PixConfig
    | CycleGanConfig
    | LatentDiffusionConfig
)
ModelConfig = Annotated[AnyConfig, Field(discriminator="name")]


def build_model(
    config: AnyConfig,
    shape: tuple[int, ...],
    classes: Sequence[str] = (),
    target_shape: tuple[int, ...] | None = None,
    captions: Captions | None = None,
) -> Model:
    """The model of a configuration for data of this shape and these classes.

    Args:
        config: The model's.
        shape: Of a picture (C, H, W), or of a point (2,); of domain A, where there are two.
        classes: Of the data.
        target_shape: Of a picture of domain B, for models that translate.
        captions: What is known of the data's, for models that read.

    Raises:
        ConfigError: The data is not what the configuration is for.
    """
    if config.conditional and not classes:
        raise ConfigError(
            f"{_asking(config)} asks for classes, but the data has none. Put the images into one "
            f"sub-folder per class, or train without them: --set {_asking(config, False)}."
        )
    if isinstance(config, TranslationConfig):
        return _build_translation(config, shape, target_shape)
    match config:
        case AutoencoderConfig():
            return Autoencoder(config, shape, classes)
        case VaeConfig():
            return Vae(config, shape, classes)
        case VqVaeConfig():
            return VqVae(config, shape)
        case AutoencoderKlConfig():
            return AutoencoderKl(config, shape)
        case GanConfig():
            return Gan(config, shape, classes)
        case StyleGanConfig():
            return StyleGan(config, shape, classes)
        case LatentDiffusionConfig():
            return LatentDiffusion(config, shape, classes, captions)


def _asking(config: AnyConfig, for_classes: bool = True) -> str:
    """The setting that asks for classes, or the one that does not."""
    if isinstance(config, LatentDiffusionConfig):
        return f"model.condition={'class' if for_classes else 'none'}"
    return "model.conditional" if for_classes else "model.conditional=false"


def _build_translation(
    config: Pix2PixConfig | CycleGanConfig,
    shape: tuple[int, ...],
    target_shape: tuple[int, ...] | None,
) -> Model:
    if target_shape is None:
        raise ConfigError(
            f"{config.name} translates between two domains, but the data has one. Say where the "
            "second is: --target SOURCE, --pair AB (both in one picture) or --domains ONE,OTHER."
        )
    if isinstance(config, Pix2PixConfig):
        return Pix2Pix(config, shape, target_shape)
    return CycleGan(config, shape, target_shape)
