"""Networks: one paper, one file. They know no optimiser, no data and no file."""

from typing import Literal

from torch import nn

from ganvas.errors import ConfigError
from ganvas.networks import biggan, dcgan, mlp, r3gan, resnet, stylegan, stylegan2, stylegan3
from ganvas.networks.layers.minibatch import Minibatch
from ganvas.networks.layers.normalisation import Norm, Normalisation

__all__ = [
    "Kind",
    "Minibatch",
    "Norm",
    "Normalisation",
    "StyleDiscriminator",
    "StyleGenerator",
    "StyleKind",
    "build_discriminator",
    "build_generator",
    "build_style_discriminator",
    "build_style_generator",
    "image_shape",
    "own_norm",
]

PlainKind = Literal["mlp", "dcgan"]
"""Networks that serve as encoders and decoders, too."""

Kind = Literal[PlainKind, "resnet", "biggan", "r3gan"]

StyleKind = Literal["stylegan", "stylegan2", "stylegan3-t", "stylegan3-r"]
"""Networks with a mapping from z to the styles w that the layers take."""

StyleGenerator = stylegan.Generator | stylegan2.Generator | stylegan3.Generator
StyleDiscriminator = stylegan.Discriminator | stylegan2.Discriminator


def build_generator(
    kind: Kind,
    latent_size: int,
    shape: tuple[int, ...],
    width: int,
    classes: int = 0,
    blocks: int = 2,
) -> nn.Module:
    """A network from latents to data of this shape.

    `width` counts channels at the finest resolution; `mlp` has three hidden layers of `width`.
    `blocks` counts the residual blocks at each resolution of r3gan; the others have their own.
    Raises ConfigError where the network cannot draw this shape.
    """
    if kind == "mlp":
        return mlp.Generator(latent_size, shape, [width] * 3, classes)
    image = image_shape(shape)
    if kind == "dcgan":
        return dcgan.Generator(latent_size, image, width, classes)
    if kind == "r3gan":
        return r3gan.generator(latent_size, image, width, classes, blocks)
    if kind == "resnet":
        return resnet.Generator(latent_size, image, width, classes)
    return biggan.Generator(latent_size, image, width, classes)


def build_discriminator(
    kind: Kind,
    shape: tuple[int, ...],
    width: int,
    classes: int = 0,
    outputs: int = 1,
    norm: Norm = "own",
    minibatch: Minibatch = "none",
    blocks: int = 2,
) -> nn.Module:
    """A network from data of this shape to `outputs` numbers; sizes as in `build_generator`."""
    normalisation = own_norm(kind) if norm == "own" else norm
    if kind == "mlp":
        return mlp.Discriminator(shape, [width] * 3, classes, outputs, normalisation, minibatch)
    image = image_shape(shape)
    if kind == "dcgan":
        return dcgan.Discriminator(image, width, classes, outputs, normalisation, minibatch)
    if kind == "r3gan":
        if normalisation != "none":
            raise ConfigError(
                f"model.discriminator_norm={norm} does not go with model.networks=r3gan: its "
                "residual blocks are scaled to need no normalisation, and have no place for one. "
                "Leave that setting at own."
            )
        return r3gan.discriminator(image, width, classes, outputs, minibatch, blocks)
    if kind == "resnet":
        return resnet.Discriminator(image, width, classes, outputs, normalisation, minibatch)
    return biggan.Discriminator(image, width, classes, outputs, normalisation, minibatch)


def build_style_generator(
    kind: StyleKind,
    latent_size: int,
    shape: tuple[int, ...],
    width: int,
    max_width: int,
    mapping_layers: int,
    classes: int = 0,
) -> StyleGenerator:
    """A network from latents by way of styles to pictures of this shape, without bounds.

    `width` counts channels at the finest resolution, which double towards the coarse end, up to
    `max_width`. Raises ConfigError where the network cannot draw this shape.
    """
    image = image_shape(shape)
    if kind == "stylegan":
        return stylegan.generator(latent_size, image, width, max_width, mapping_layers, classes)
    if kind == "stylegan2":
        return stylegan2.generator(latent_size, image, width, max_width, mapping_layers, classes)
    return stylegan3.generator(
        latent_size, image, width, max_width, mapping_layers, classes,
        rotation=kind == "stylegan3-r",
    )  # fmt: skip


def build_style_discriminator(
    kind: StyleKind, shape: tuple[int, ...], width: int, max_width: int, classes: int = 0
) -> StyleDiscriminator:
    """Its opponent, from pictures to (N, 1); StyleGAN3 has StyleGAN2's."""
    image = image_shape(shape)
    if kind == "stylegan":
        return stylegan.discriminator(image, width, max_width, classes)
    return stylegan2.discriminator(image, width, max_width, classes)


def own_norm(kind: Kind) -> Normalisation:
    """How the paper of these networks normalises the discriminator's layers."""
    own: dict[Kind, Normalisation] = {
        "mlp": "none", "dcgan": "batch", "resnet": "none", "biggan": "spectral", "r3gan": "none",
    }  # fmt: skip
    return own[kind]


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The shape, checked to be an image's (C, H, W)."""
    if len(shape) != 3:
        raise ConfigError(
            "these networks draw images, but the data are points in a plane. "
            "Fully connected ones can: ganvas train gan; other GANs with --set model.networks=mlp."
        )
    channels, height, width = shape
    return channels, height, width
