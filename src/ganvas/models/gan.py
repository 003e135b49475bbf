"""The generative adversarial network (Goodfellow et al. 2014), with the networks of your choice.

D learns to tell data from fakes, G to make fakes that D takes for data:

    min_G max_D  E_x[log D(x)] + E_z[log(1 - D(G(z)))]                    (eq. 1)

in Algorithm 1's order: one update of D, one of G, on fresh noise. `networks=dcgan` with Adam
(2e-4, beta1 = 0.5) and batches of 128 is DCGAN (Radford, Metz & Chintala 2015).

Where D wins too easily the gradient penalty R1 (Mescheder, Geiger & Nowozin 2018) keeps the game
going: `r1_gamma`. It is not part of either paper.

Deviation: the fakes that D was just trained on serve G's update too, which saves one of two forward
passes through G; Algorithm 1 draws fresh noise.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from ganvas.losses.adversarial import (
    GENERATOR_LOSSES,
    Objective,
    fake_is_fake,
    real_is_real,
)
from ganvas.losses.penalties import r1
from ganvas.models.base import LatentModel, class_labels, frozen, normal_latents
from ganvas.models.phase import Adam, Batch, Losses, Phase
from ganvas.networks import Kind, build_discriminator, build_generator
from ganvas.settings import Settings


class GanConfig(Settings):
    """A GAN: its networks, its objective and its two optimisers."""

    name: Literal["gan"] = "gan"
    networks: Kind = "dcgan"
    """Fully connected (2014) or convolutional (2015)."""
    latent_size: PositiveInt = 100
    """Dimensions of z."""
    width: PositiveInt = 64
    """Channels of the widest-resolution layer (dcgan) or units of each layer (mlp)."""
    objective: Objective = "non-saturating"
    """The generator's loss: log(1 - D(G(z))) or -log D(G(z))."""
    conditional: bool = False
    """Learn the classes of the data and draw from the one asked for."""
    generator: Adam = Adam(learning_rate=2e-4, betas=(0.5, 0.999))
    discriminator: Adam = Adam(learning_rate=2e-4, betas=(0.5, 0.999))
    r1_gamma: NonNegativeFloat = 0.0
    """Weight of the penalty on D's gradient at real images; 0 is no penalty."""
    r1_every: PositiveInt = 8
    """Apply it in every so many steps, so many times stronger."""


class Gan(LatentModel):
    """Generator and discriminator."""

    averaged = ("generator",)

    def __init__(
        self, config: GanConfig, shape: tuple[int, ...], classes: Sequence[str] = ()
    ) -> None:
        super().__init__(shape, classes if config.conditional else ())
        self.config = config
        self.latent_size = config.latent_size
        self.generator = build_generator(
            config.networks, config.latent_size, shape,
            width=config.width, classes=len(self.classes),
        )  # fmt: skip
        self.discriminator = build_discriminator(
            config.networks, shape, width=config.width, classes=len(self.classes)
        )

    def phases(self) -> tuple[Phase, ...]:
        """Algorithm 1: D, then G."""
        D, G = ("discriminator",), ("generator",)
        of_D, of_G = self.config.discriminator, self.config.generator
        game = (
            Phase("discriminator", D, self.discriminator_loss, of_D),
            Phase("generator", G, self.generator_loss, of_G),
        )
        if not self.config.r1_gamma:
            return game
        return (*game, Phase("r1", D, self.r1_loss, of_D, every=self.config.r1_every))

    def discriminator_loss(self, batch: Batch) -> Losses:
        """-log D(x) - log(1 - D(G(z))), averaged over the batch (eq. 1)."""
        fakes = self._fakes(batch)
        real = real_is_real(self.discriminator(batch.images, batch.labels).float()).mean()
        fake = fake_is_fake(self.discriminator(fakes.detach(), batch.labels).float()).mean()
        return Losses(real + fake, {"real": real, "fake": fake})

    def generator_loss(self, batch: Batch) -> Losses:
        """The objective's loss of the fakes, averaged over the batch."""
        fakes = self._fakes(batch)
        with frozen(self.discriminator):
            logits = self.discriminator(fakes, batch.labels).float()
        return Losses(GENERATOR_LOSSES[self.config.objective](logits).mean())

    def r1_loss(self, batch: Batch) -> Losses:
        """gamma/2 E_x |grad D(x)|^2 (Mescheder et al. 2018, eq. 9), lazily (Karras et al. 2020).

        DCGAN's batch norm ties the samples of a batch together, so that the gradient by an image
        holds a little of what it does to the others' outputs.
        """
        penalty = r1(self.discriminator, batch.images, batch.labels).mean()
        weight = 0.5 * self.config.r1_gamma * self.config.r1_every
        return Losses(weight * penalty, {"squared_gradient": penalty})

    def _fakes(self, batch: Batch) -> Tensor:
        """G(z), drawn once a step."""
        if "fakes" not in batch.shared:
            z = batch.draws.normal(self.latent_size)
            batch.shared["fakes"] = self.generator(z, batch.labels)
        return batch.shared["fakes"]

    def sample_latents(self, n: int, seed: int) -> Tensor:
        """z ~ N(0, I), (n, latent_size)."""
        return normal_latents(n, self.latent_size, seed, self.device)

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """G(z)."""
        images: Tensor = self.generator(latents, class_labels(self, labels, len(latents)))
        return images

    def preview(self, images: Tensor, labels: Tensor | None, seed: int) -> Tensor:
        """Samples from fixed latents."""
        return self.decode(self.sample_latents(len(images), seed), labels if self.classes else None)
