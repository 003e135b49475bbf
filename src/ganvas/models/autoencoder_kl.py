"""The autoencoder of latent diffusion (Rombach et al. 2022, section 3.1 and appendix G).

A picture is encoded as a map of latents with a normal distribution each, q(z|x), and decoded from a
sample of it. Its networks, whose weights `diffusers` knows by the same names, are in
`ganvas.networks.autoencoder_kl`. Training minimises (eq. 25, its reconstruction and game as in
Esser et al. 2021, eq. 5 to 7)

    L_rec + kl_weight KL(q(z|x) || N(0, I)) + lambda adversarial_weight L_adv

- L_rec: mean absolute error, plus the distance in a frozen network's eyes (Zhang et al. 2018).
- KL in nats of the whole map, divided by the values of a picture: with L_rec summed over values, as
  in the authors' code, its weight is `kl_weight`. At 1e-6 it only keeps latents near zero.
- L_adv: what a discriminator of patches (Isola et al. 2017) says, with the hinge loss. The game
  starts after a share of the training; until then there is only L_rec to learn.
- lambda: the length of L_rec's gradient at the decoder's last layer over that of L_adv's
  (`ganvas.losses.adaptive`).

The KL is far too weak to make latents normal: the model reconstructs and interpolates, but has
nothing to draw from. That is what latent diffusion adds.

Deviations: the discriminator moves before the autoencoder, so that both phases share one
reconstruction; its norms are those of one picture. Where a batch is split up, lambda is each part's
own.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveInt, model_validator
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.losses.adaptive import adaptive_weight, with_gradient
from ganvas.losses.patches import discriminator_game, generator_game
from ganvas.losses.perceptual import perceptual_distance
from ganvas.losses.reconstruction import absolute_error
from ganvas.losses.variational import gaussian_kl, reparameterise
from ganvas.models.base import frozen
from ganvas.models.eyes import open_lpips
from ganvas.models.first_stage import Factor, FirstStage, FirstStageConfig
from ganvas.models.phase import Adam, Batch, Losses, Phase
from ganvas.networks.autoencoder_kl import Decoder, Encoder, pointwise, widths_of
from ganvas.networks.classifier import Classifier
from ganvas.networks.patchgan import patchgan
from ganvas.networks.perceptual import ClassifierEyes, Eyes, RandomEyes

_LOG_VARIANCES = (-30.0, 20.0)
"""Bounds, so that no exponential overflows."""

_PAPERS_ADAM = Adam(learning_rate=5.4e-5, betas=(0.5, 0.9))
"""The authors' 4.5e-6 for each picture of a batch of 12."""


class AutoencoderKlConfig(FirstStageConfig):
    """The networks, what they are trained for, and the optimisers."""

    name: Literal["autoencoder-kl"] = "autoencoder-kl"
    width: PositiveInt = 128
    """Channels at full resolution: twice as many at half of it, four times from a quarter on."""
    blocks: PositiveInt = 2
    """Residual blocks of the encoder at each resolution; the decoder has one more."""
    downsampling: Factor = 8
    """How many times smaller than a picture its map of latents is, each way."""
    latent_channels: PositiveInt = 4
    """Numbers at each place of the map."""
    kl_weight: NonNegativeFloat = 1e-6
    """Weight of the KL divergence, beside a reconstruction summed over all values."""
    perceptual: Literal["random", "classifier", "lpips", "none"] = "random"
    """The network in whose eyes reconstructions are compared: fixed random convolutions, the
    evaluation's classifier of the data (trained first, where there are labels), or VGG16."""
    perceptual_weight: NonNegativeFloat = 1.0
    """Weight of the distance in its eyes, beside the mean absolute error."""
    lpips_weights: (
        Annotated[str, AfterValidator(lambda s: str(Path(s).expanduser().absolute()))] | None
    ) = None
    """For perceptual=lpips, a folder with `vgg16-397923af.pth` (of torchvision) and `vgg.pth` (of
    LPIPS)."""
    adversarial_weight: NonNegativeFloat = 0.5
    """Share of the game in what moves the decoder's last layer, beside 1 of the reconstruction; 0
    leaves out the discriminator."""
    adversarial_from: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """The share of the training after which the game starts."""
    discriminator_width: PositiveInt = 64
    """Channels of the discriminator's first layer."""
    discriminator_layers: Annotated[int, Field(ge=1, le=6)] = 3
    """How many times it halves the picture: 3 judges patches of 70x70 pixels, 2 of 34x34, 1 of
    16x16."""
    optimizer: Adam = _PAPERS_ADAM
    discriminator: Adam = _PAPERS_ADAM

    @model_validator(mode="after")
    def _weights_are_there(self) -> Self:
        if (self.perceptual == "lpips") != (self.lpips_weights is not None):
            raise ValueError(
                "perceptual=lpips and lpips_weights=FOLDER belong together: the weights are not "
                "downloaded. perceptual=random needs none"
            )
        return self


class AutoencoderKl(FirstStage):
    """Encoder, decoder, the linear maps between them, and the discriminator, if there is one."""

    networks = ("encoder", "quant_conv", "post_quant_conv", "decoder")
    averaged = networks

    def __init__(self, config: AutoencoderKlConfig, shape: tuple[int, ...]) -> None:
        super().__init__(shape, config.latent_channels, config.downsampling)
        self.config = config
        channels, latents = shape[0], config.latent_channels
        widths = widths_of(config.width, config.downsampling.bit_length() - 1)
        self.encoder = Encoder(channels, 2 * latents, widths, config.blocks)
        self.quant_conv = pointwise(2 * latents, 2 * latents)
        self.post_quant_conv = pointwise(latents, latents)
        self.decoder = Decoder(latents, channels, widths, config.blocks)
        if config.adversarial_weight:
            self.discriminator = patchgan(
                (channels, shape[1], shape[2]), config.discriminator_width,
                config.discriminator_layers, affine=True,
            )  # fmt: skip
        self._classifier: tuple[Classifier, ...] = ()

    def look_through(self, classifier: Classifier) -> None:
        """Compare reconstructions in the eyes of this network, as perceptual=classifier asks.

        It is the run's to make again, not among the weights of this model.
        """
        self._classifier = (classifier,)  # in a tuple it is no part of this module

    def open_eyes(self) -> None:
        """Make the network in whose eyes reconstructions are compared, which training does, too.

        Raises:
            ConfigError: Its files are missing, or `look_through` was to be called before.
            DataError: They are damaged.
        """
        _ = self._eyes

    @cached_property
    def _eyes(self) -> Eyes | None:
        """Frozen, and no part of this module: neither trained nor saved, but made anew."""
        config = self.config
        if config.perceptual == "none" or not config.perceptual_weight:
            return None
        if config.perceptual == "classifier":
            if not self._classifier:
                raise ConfigError(
                    "model.perceptual=classifier needs a classifier of the data, which `ganvas "
                    "train` trains first. Use it, `look_through`, or model.perceptual=random."
                )
            eyes: Eyes = ClassifierEyes(self._classifier[0])
        elif config.lpips_weights is not None:
            eyes = open_lpips(Path(config.lpips_weights), self.shape)
        else:
            eyes = RandomEyes(self.shape[0])
        return eyes.to(self.device).eval().requires_grad_(False)

    def phases(self) -> tuple[Phase, ...]:
        """D, once the game has started, then the autoencoder."""
        config = self.config
        autoencoder = Phase("autoencoder", self.networks, self.autoencoder_loss, config.optimizer)
        if not config.adversarial_weight:
            return (autoencoder,)
        discriminator = Phase(
            "discriminator", ("discriminator",), self.discriminator_loss, config.discriminator,
            begin=config.adversarial_from,
        )  # fmt: skip
        return (discriminator, autoencoder)

    def discriminator_loss(self, batch: Batch) -> Losses:
        """Half of the hinge losses at pictures and at reconstructions (Esser et al., eq. 5)."""
        output = self.cropped(self._reconstructed(batch)["output"]).detach()
        answers: Tensor = self.discriminator(torch.cat([batch.images, output])).float()
        real, fake = answers.chunk(2)
        return Losses(*discriminator_game("hinge", real, fake))

    def autoencoder_loss(self, batch: Batch) -> Losses:
        """L_rec, KL and, once the game has started, L_adv."""
        made = self._reconstructed(batch)
        seen = made["output"].detach().requires_grad_()  # gradients by it are needed one by one
        fakes = self.cropped(seen)
        l1 = absolute_error(batch.images, fakes).mean()
        perceptual = self._distance(batch.images, fakes)
        reconstruction = l1 + self.config.perceptual_weight * perceptual
        (pull,) = torch.autograd.grad(reconstruction, seen)
        adversarial, weight = torch.zeros_like(l1), torch.zeros_like(l1)
        if self.config.adversarial_weight and batch.progress >= self.config.adversarial_from:
            with frozen(self.discriminator):
                adversarial = generator_game("hinge", self.discriminator(fakes).float())
            (push,) = torch.autograd.grad(adversarial, seen)
            weight = self.config.adversarial_weight * adaptive_weight(made["features"], pull, push)
            pull = pull + weight * push
        kl = gaussian_kl(made["mean"], made["log_variance"]).flatten(1).sum(1).mean()
        value = reconstruction + weight * adversarial
        total = with_gradient(value, made["output"], pull)
        total = total + self.config.kl_weight * kl / batch.images[0].numel()
        parts = {
            "l1": l1, "perceptual": perceptual, "kl": kl,
            "adversarial": adversarial, "adversarial_weight": weight,
        }  # fmt: skip
        return Losses(total, {name: part.detach() for name, part in parts.items()})

    def _reconstructed(self, batch: Batch) -> dict[str, Tensor]:
        """What the networks make of the batch, the same for both phases of a step.

        The decoder's output and features, before they are cropped, and mean and log variance of the
        latents.
        """
        if "output" not in batch.shared:
            mean, log_variance = self.posterior(batch.images)
            z = reparameterise(mean, log_variance, batch.draws.normal(*self.latent_shape))
            output, features = self.decoder(self.post_quant_conv(z))
            batch.shared.update(
                mean=mean, log_variance=log_variance, output=output, features=features
            )
        return batch.shared

    def _distance(self, images: Tensor, fakes: Tensor) -> Tensor:
        """How different they look, averaged over the batch."""
        if self._eyes is None:
            return fakes.new_zeros(())
        with torch.no_grad():
            wanted = self._eyes(images)
        return perceptual_distance(self._eyes(fakes), wanted, self._eyes.weights).mean()

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each (N, *latent_shape), float32."""
        moments: Tensor = self.quant_conv(self.encoder(self.padded(images)))
        mean, log_variance = moments.float().chunk(2, 1)
        return mean, log_variance.clamp(*_LOG_VARIANCES)

    def maps_of(self, images: Tensor) -> Tensor:
        """The mean of q(z|x), (N, *latent_shape)."""
        return self.posterior(images)[0]

    def pictures_of(self, maps: Tensor) -> Tensor:
        """What the decoder makes of maps (N, *latent_shape)."""
        output: Tensor = self.decoder(self.post_quant_conv(maps))[0]
        return self.cropped(output)
