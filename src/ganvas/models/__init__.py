"""Trainable systems: networks plus the game they play, one file each."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from ganvas.errors import ConfigError
from ganvas.models.autoencoder import Autoencoder, AutoencoderConfig
from ganvas.models.base import Model
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from ganvas.models.stylegan import StyleGan
from ganvas.models.stylegan_config import StyleGanConfig
from ganvas.models.vae import Vae, VaeConfig

ModelConfig = Annotated[
    AutoencoderConfig | VaeConfig | GanConfig | StyleGanConfig, Field(discriminator="name")
]


def build_model(
    config: AutoencoderConfig | VaeConfig | GanConfig | StyleGanConfig,
    shape: tuple[int, ...],
    classes: Sequence[str] = (),
) -> Model:
    """The model of a configuration for data of this shape and these classes."""
    if config.conditional and not classes:
        raise ConfigError(
            "model.conditional asks for classes, but the data has none. Put the images into one "
            "sub-folder per class, or train without them: --set model.conditional=false."
        )
    match config:
        case AutoencoderConfig():
            return Autoencoder(config, shape, classes)
        case VaeConfig():
            return Vae(config, shape, classes)
        case GanConfig():
            return Gan(config, shape, classes)
        case StyleGanConfig():
            return StyleGan(config, shape, classes)
