"""The autoencoder (Hinton & Salakhutdinov 2006): compress an image to a code and back.

With `networks=mlp` and `width=250` the encoder is the paper's 1000-500-250-code stack and the
decoder its mirror image. Deviations: no layer-wise pretraining with Boltzmann machines (ReLU, He
initialisation and Adam train the whole stack at once), and the squared error in place of the
cross-entropy, so that pictures of any contrast fit.

An autoencoder says nothing about where its codes lie: it can reconstruct and interpolate, but there
is no distribution to draw from. That is what the VAE adds.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from ganvas.losses.reconstruction import squared_error
from ganvas.models.base import (
    LatentModel,
    ModelSettings,
    alternate,
    class_labels,
    required_labels,
)
from ganvas.models.phase import Adam, Batch, Losses, Phase
from ganvas.networks import PlainKind, build_discriminator, dcgan, image_shape, mlp


class AutoencoderConfig(ModelSettings):
    """An autoencoder: its networks, the size of its code and its optimiser."""

    name: Literal["autoencoder"] = "autoencoder"
    networks: PlainKind = "dcgan"
    """Fully connected (the paper's) or convolutional."""
    latent_size: PositiveInt = 64
    """Numbers in a code."""
    width: PositiveInt = 64
    """Channels of the widest-resolution layer (dcgan) or a quarter of the first layer (mlp)."""
    conditional: bool = False
    """Tell both networks the class, so that the code need not hold it."""
    optimizer: Adam = Adam(learning_rate=1e-3)


class Autoencoder(LatentModel):
    """Encoder and decoder."""

    averaged = ("encoder", "decoder")

    def __init__(
        self, config: AutoencoderConfig, shape: tuple[int, ...], classes: Sequence[str] = ()
    ) -> None:
        super().__init__(shape, classes if config.conditional else ())
        self.config = config
        self.latent_size = config.latent_size
        self.encoder, self.decoder = encoder_and_decoder(
            config.networks, config.latent_size, config.latent_size, shape,
            config.width, len(self.classes),
        )  # fmt: skip

    def phases(self) -> tuple[Phase, ...]:
        """One update of both networks."""
        return (
            Phase(
                "reconstruction", ("encoder", "decoder"), self.reconstruction_loss,
                self.config.optimizer,
            ),
        )  # fmt: skip

    def reconstruction_loss(self, batch: Batch) -> Losses:
        """|x - decode(encode(x))|^2, summed over pixels and averaged over the batch."""
        codes = self.encoder(batch.images, batch.labels)
        output = self.decoder(codes, batch.labels).float()
        error = squared_error(batch.images, output).mean()
        return Losses(error, {"per_value": error / output[0].numel()})

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The codes of the images."""
        codes: Tensor = self.encoder(images, required_labels(self, labels))
        return codes

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """The images of the codes."""
        images: Tensor = self.decoder(latents, class_labels(self, labels, len(latents)))
        return images

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        """Images and their reconstructions in turn."""
        labels = labels if self.classes else None
        return alternate(images, self.decode(self.encode(images, labels), labels))


def encoder_and_decoder(
    kind: PlainKind, outputs: int, latent_size: int, shape: tuple[int, ...], width: int,
    classes: int, hidden: Sequence[int] | None = None, squash: bool = True,
) -> tuple[nn.Module, nn.Module]:  # fmt: skip
    """An encoder to `outputs` numbers and its mirror image from `latent_size` numbers.

    Args:
        kind: Fully connected or convolutional.
        outputs: Of the encoder.
        latent_size: Inputs of the decoder.
        shape: Of the images (C, H, W) or points (2,).
        width: Channels at the finest resolution, or a quarter of mlp's first layer.
        classes: That both are told; 0 for none.
        hidden: Units of mlp's layers, from the encoder's first on, in place of `width`.
        squash: Whether the decoder's images lie in [-1, 1] by a tanh.
    """
    if kind == "mlp":
        units = [4 * width, 2 * width, width] if hidden is None else [*hidden]
        return (
            mlp.Discriminator(shape, units, classes, outputs),
            mlp.Generator(latent_size, shape, units[::-1], classes, squash),
        )
    return (
        build_discriminator(kind, shape, width, classes, outputs),
        dcgan.Generator(latent_size, image_shape(shape), width, classes, squash),
    )
