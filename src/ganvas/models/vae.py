"""The variational autoencoder (Kingma & Welling 2013).

The encoder gives the mean m and log variance of q(z|x) = N(m, s^2), the decoder the mean of
p(x|z). Training maximises the evidence lower bound with the prior p(z) = N(0, I)  (eq. 3):

    log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || p(z))

Both terms are in nats, summed over pixels (or dimensions) and averaged over the batch: with a
proper likelihood there is no weight between them to tune. p(x|z) is Gaussian with one variance for
all pixels, fixed or learned (Rybkin, Daniilidis & Levine 2021, who show that learning it beats
tuning beta).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from ganvas.losses.reconstruction import gaussian_nll
from ganvas.losses.variational import gaussian_kl, reparameterise
from ganvas.models.autoencoder import encoder_and_decoder
from ganvas.models.base import (
    LatentModel,
    ModelSettings,
    class_labels,
    normal_latents,
    required_labels,
)
from ganvas.models.phase import Adam, Batch, Losses, Phase
from ganvas.networks import PlainKind

_VARIANCE_GAIN = 40.0
"""Learning-rate multiplier of the log variance: a single scalar whose optimum lies several units
away would need thousands of Adam steps of the networks' size."""

_POSTERIOR_GAIN = 0.1
"""Factor of the encoder's output: the posterior starts near the prior, and a step of Adam, which
moves all of the last layer's thousands of weights at once, cannot throw exp(log variance) out of
range (without it training on a small set ended in infinities at the second step)."""


class VaeConfig(ModelSettings):
    """A VAE: its networks, its latent size, its likelihood and its optimiser."""

    name: Literal["vae"] = "vae"
    networks: PlainKind = "dcgan"
    """Fully connected (the paper's) or convolutional."""
    latent_size: PositiveInt = 64
    """Dimensions of z."""
    width: PositiveInt = 64
    """Channels of the widest-resolution layer (dcgan) or a quarter of the first layer (mlp)."""
    decoder_variance: Literal["learned"] | PositiveFloat = "learned"
    """Variance of p(x|z) by pixel (values lie in [-1, 1]): a number, or learned with the rest."""
    conditional: bool = False
    """Learn the classes of the data and draw from the one asked for."""
    optimizer: Adam = Adam(learning_rate=5e-4)


class GaussianLikelihood(nn.Module):
    """The variance of p(x|z), one number for all pixels."""

    def __init__(self, variance: float | Literal["learned"]) -> None:
        super().__init__()
        start = 1.0 if variance == "learned" else variance
        value = torch.tensor(start).log() / _VARIANCE_GAIN
        self.scaled_log_variance = nn.Parameter(value, requires_grad=variance == "learned")

    def forward(self) -> Tensor:
        """log s^2, a scalar."""
        return self.scaled_log_variance * _VARIANCE_GAIN


class Vae(LatentModel):
    """Encoder, decoder and the decoder's variance."""

    averaged = ("encoder", "decoder", "likelihood")

    def __init__(
        self, config: VaeConfig, shape: tuple[int, ...], classes: Sequence[str] = ()
    ) -> None:
        super().__init__(shape, classes if config.conditional else ())
        self.config = config
        self.latent_size = config.latent_size
        self.encoder, self.decoder = encoder_and_decoder(
            config.networks, 2 * config.latent_size, config.latent_size, shape,
            config.width, len(self.classes),
        )  # fmt: skip
        self.likelihood = GaussianLikelihood(config.decoder_variance)

    def phases(self) -> tuple[Phase, ...]:
        """One update of everything on the bound."""
        trains = ("encoder", "decoder", "likelihood")
        return (Phase("elbo", trains, self.negative_elbo, self.config.optimizer),)

    def negative_elbo(self, batch: Batch) -> Losses:
        """-ELBO in nats with one sample of z per image (eq. 7, L = 1)."""
        mean, log_variance = self.posterior(batch.images, batch.labels)
        z = reparameterise(mean, log_variance, batch.draws.normal(self.latent_size))
        output = self.decoder(z, batch.labels).float()
        spread = self.likelihood()
        reconstruction = gaussian_nll(batch.images, output, spread).mean()
        kl = gaussian_kl(mean, log_variance).sum(1).mean()
        parts = {"reconstruction": reconstruction, "kl": kl, "variance": spread.exp()}
        return Losses(reconstruction + kl, parts)

    def posterior(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each (N, latent_size), float32."""
        output: Tensor = self.encoder(images, labels).float() * _POSTERIOR_GAIN
        mean, log_variance = output.chunk(2, 1)
        return mean, log_variance

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The mean of q(z|x)."""
        return self.posterior(images, required_labels(self, labels))[0]

    def sample_latents(self, n: int, seed: int) -> Tensor:
        """z ~ p(z) = N(0, I), (n, latent_size)."""
        return normal_latents(n, self.latent_size, seed, self.device)

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """The mean of p(x|z)."""
        images: Tensor = self.decoder(latents, class_labels(self, labels, len(latents)))
        return images

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        """Samples from fixed latents."""
        return self.decode(self.sample_latents(len(images), seed), labels if self.classes else None)
