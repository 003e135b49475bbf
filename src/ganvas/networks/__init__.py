"""Networks: one paper, one file. They know no optimiser, no data and no file."""

from typing import Literal

from torch import nn

from ganvas.errors import ConfigError
from ganvas.networks import dcgan, mlp

Kind = Literal["mlp", "dcgan"]


def build_generator(
    kind: Kind, latent_size: int, shape: tuple[int, ...], width: int, classes: int = 0
) -> nn.Module:
    """A network from latents to data of this shape; `mlp` has three hidden layers of `width`."""
    if kind == "mlp":
        return mlp.Generator(latent_size, shape, [width] * 3, classes)
    return dcgan.Generator(latent_size, image_shape(shape), width, classes)


def build_discriminator(
    kind: Kind, shape: tuple[int, ...], width: int, classes: int = 0, outputs: int = 1
) -> nn.Module:
    """A network from data of this shape to `outputs` numbers; `mlp` as in `build_generator`."""
    if kind == "mlp":
        return mlp.Discriminator(shape, [width] * 3, classes, outputs)
    return dcgan.Discriminator(image_shape(shape), width, classes, outputs)


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The shape, checked to be an image's (C, H, W)."""
    if len(shape) != 3:
        raise ConfigError(
            "these networks draw images, but the data are points in a plane. "
            "Use fully connected networks: --set model.networks=mlp."
        )
    channels, height, width = shape
    return channels, height, width
