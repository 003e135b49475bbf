"""The variational autoencoder (Kingma & Welling 2013) and its relatives.

The encoder gives the mean m and log variance of q(z|x) = N(m, s^2), the decoder the parameters of
p(x|z). Training maximises the evidence lower bound with the prior p(z) = N(0, I)  (eq. 3):

    log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || p(z))

Both terms are in nats, summed over pixels (or dimensions) and averaged over the batch: with a
proper likelihood there is no weight between them to tune. p(x|z) is Gaussian with one variance for
all pixels, fixed or learned (Rybkin, Daniilidis & Levine 2021, who show that learning it beats
tuning beta), Bernoulli, or a discretised logistic.

`beta` weighs the KL term all the same (Higgins et al. 2017, eq. 4). With k > 1 samples of z for
each picture the bound is the importance-weighted one (Burda, Grosse & Salakhutdinov 2016, eq. 8):

    log p(x) >= E_q[log 1/k sum_i p(x, z_i) / q(z_i|x)]
"""

from collections.abc import Sequence

from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.losses.variational import (
    gaussian_kl,
    importance_bound,
    log_prior_over_posterior,
    reparameterise,
)
from ganvas.models.autoencoder import encoder_and_decoder
from ganvas.models.base import (
    LatentModel,
    class_labels,
    normal_latents,
    required_labels,
)
from ganvas.models.phase import Batch, Losses, Phase
from ganvas.models.schedule import value_at
from ganvas.models.vae_config import VaeConfig
from ganvas.models.vae_likelihood import (
    BernoulliLikelihood,
    GaussianLikelihood,
    Likelihood,
    LogisticLikelihood,
)

_POSTERIOR_GAIN = 0.1
"""Factor of the encoder's output: the posterior starts near the prior, and a step of Adam, which
moves all of the last layer's thousands of weights at once, cannot throw exp(log variance) out of
range (without it training on a small set ended in infinities at the second step)."""


class Vae(LatentModel):
    """Encoder, decoder and what is learned of the likelihood besides.

    Raises ConfigError for a likelihood of levels where the data are points.
    """

    averaged = ("encoder", "decoder", "likelihood")

    def __init__(
        self, config: VaeConfig, shape: tuple[int, ...], classes: Sequence[str] = ()
    ) -> None:
        super().__init__(shape, classes if config.conditional else ())
        self.config = config
        self.latent_size = config.latent_size
        likelihood = _likelihood(config, shape)
        self.encoder, self.decoder = encoder_and_decoder(
            config.networks, 2 * config.latent_size, config.latent_size, shape,
            config.width, len(self.classes), config.hidden, likelihood.squash,
        )  # fmt: skip
        self.likelihood = likelihood

    def phases(self) -> tuple[Phase, ...]:
        """One update of everything on the bound."""
        trains = ("encoder", "decoder", "likelihood")
        several = self.config.importance_samples > 1
        loss = self.negative_importance_bound if several else self.negative_elbo
        return (Phase("elbo", trains, loss, self.config.optimizer),)

    def negative_elbo(self, batch: Batch) -> Losses:
        """-ELBO in nats with one sample of z per image (eq. 7, L = 1)."""
        mean, log_variance = self.posterior(batch.images, batch.labels)
        z = reparameterise(mean, log_variance, batch.draws.normal(self.latent_size))
        output = self.decoder(z, batch.labels).float()
        reconstruction = self.likelihood.nll(batch.images, output).mean()
        kl = gaussian_kl(mean, log_variance).sum(1).mean()
        beta = value_at(self.config.beta, batch.progress)
        parts = {"reconstruction": reconstruction, "kl": kl, **self.likelihood.measures()}
        return Losses(reconstruction + beta * kl, parts)

    def negative_importance_bound(self, batch: Batch) -> Losses:
        """Minus the importance-weighted bound in nats (Burda et al. 2016, eq. 8)."""
        mean, log_variance = self.posterior(batch.images, batch.labels)
        noise = batch.draws.normal(self.config.importance_samples, self.latent_size)
        weights = self.log_weights(batch.images, batch.labels, mean, log_variance, noise)
        parts = {
            "elbo": -weights.mean(),  # what one sample would have given
            "kl": gaussian_kl(mean, log_variance).sum(1).mean(),
            **self.likelihood.measures(),
        }
        return Losses(-importance_bound(weights).mean(), parts)

    def log_weights(
        self,
        images: Tensor,
        labels: Tensor | None,
        mean: Tensor,
        log_variance: Tensor,
        noise: Tensor,
    ) -> Tensor:
        """log p(x, z) / q(z|x) of samples of a posterior, in nats.

        Args:
            images: (N, ...) in [-1, 1]; they need not be those that the posterior is of.
            labels: (N,), for a model with classes.
            mean: Of the posterior, (N, latent_size).
            log_variance: The same shape.
            noise: Standard normal, (N, k, latent_size).

        Returns:
            (N, k) float32.
        """
        k = noise.shape[1]
        log_variance = log_variance[:, None]
        z = reparameterise(mean[:, None], log_variance, noise)
        repeated = None if labels is None else labels.repeat_interleave(k)
        output = self.decoder(z.flatten(0, 1), repeated).float()
        nll = self.likelihood.nll(images.repeat_interleave(k, 0), output).view(-1, k)
        return log_prior_over_posterior(z, log_variance, noise) - nll

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
        return self.likelihood.mean(self.decoder(latents, class_labels(self, labels, len(latents))))

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        """Samples from fixed latents."""
        return self.decode(self.sample_latents(len(images), seed), labels if self.classes else None)


def _likelihood(config: VaeConfig, shape: tuple[int, ...]) -> Likelihood:
    """What the configuration asks for, for data of this shape."""
    if len(shape) != 3 and config.likelihood != "gaussian":
        raise ConfigError(
            f"model.likelihood={config.likelihood} gives the probability of a picture's levels, "
            "but the data are points in a plane. Leave it at gaussian."
        )
    match config.likelihood:
        case "gaussian":
            return GaussianLikelihood(config.decoder_variance)
        case "bernoulli":
            return BernoulliLikelihood()
        case "logistic":
            return LogisticLikelihood()
