"""What every adversarial model shares: two networks, the game between them, penalties on D.

A model in a file of its own says what G draws, and in which phases both learn.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ganvas.data.augment import Ada, diffaugment
from ganvas.errors import ConfigError
from ganvas.losses.adversarial import compares_pairs, discriminator_losses, generator_losses
from ganvas.losses.penalties import (
    dragan_points,
    gradient_penalty,
    identity,
    interpolate,
    zero_centred,
)
from ganvas.models.adversarial_config import AdversarialConfig
from ganvas.models.base import LatentModel, frozen, normal_latents
from ganvas.models.phase import Batch, Draws, Losses
from ganvas.models.schedule import value_at

Transform = Callable[[Tensor], Tensor]


class AdversarialModel(LatentModel):
    """Generator and discriminator, their losses, and what D gets to see."""

    averaged = ("generator",)

    generator: nn.Module
    discriminator: nn.Module
    config: AdversarialConfig

    def __init__(
        self,
        config: AdversarialConfig,
        shape: tuple[int, ...],
        classes: Sequence[str],
        generator: nn.Module,
        discriminator: nn.Module,
    ) -> None:
        super().__init__(shape, classes if config.conditional else ())
        if config.augment != "none" and len(shape) != 3:
            raise ConfigError(
                f"model.augment={config.augment} is for pictures, but the data are points in a "
                "plane. Train without it: --set model.augment=none."
            )
        self.config = config
        self.latent_size = config.latent_size
        self.generator = generator
        self.discriminator = discriminator
        if config.augment == "ada":
            self.ada = Ada(shape, config.augment_groups)

    @abstractmethod
    def _generate(self, batch: Batch, draws: Draws) -> Tensor:
        """Fakes for a batch, of the random numbers given."""

    def _real(self, batch: Batch) -> Tensor:
        """The images of the batch as they are to be learnt at this time."""
        return batch.images

    def _critic(self, batch: Batch) -> nn.Module:
        """D as it is at this time, for images and labels."""
        return self.discriminator

    def _targets(self) -> tuple[float, float]:
        """The probabilities of "real" that D shall give real images and fakes."""
        return 1.0, 0.0

    def _sees_all(self, batch: Batch) -> bool:
        """Whether D gets to see images as they are."""
        return self.config.augment == "none"

    def discriminator_loss(self, batch: Batch) -> Losses:
        """The objective's loss of D on real images and fakes, averaged, plus its penalties."""
        config, critic = self.config, self._critic(batch)
        fakes = self._fakes_for_discriminator(batch)
        real_seen = self._shown(batch, "real")(self._real(batch))
        fake_seen = self._shown(batch, "fake")(fakes)
        real = critic(real_seen, batch.labels).float()
        fake = critic(fake_seen, batch.labels).float()
        total, parts = self._game(real, fake)
        if config.gradient_penalty != "none":
            parts["gradient_penalty"] = self._gradient_penalty(batch, real_seen, fake_seen)
            total = total + config.gradient_penalty_weight * parts["gradient_penalty"]
        if config.has_penalty and not config.has_lazy_penalty:
            weighted, measured = self._zero_centred(batch, fakes)
            total, parts = total + weighted, parts | measured
        if config.augment == "ada":
            strength = self.ada.strength.clone()  # which adapts in place
            parts |= {"real_sign": real.sign().mean(), "augment_strength": strength}
        return Losses(total, parts)

    def _game(self, real: Tensor, fake: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective's loss of D, averaged, and its parts."""
        real_target, fake_target = self._targets()
        losses = discriminator_losses(
            self.config.objective, real, fake, real_target=real_target, fake_target=fake_target
        )
        parts = {name: loss.mean() for name, loss in losses.items()}
        return torch.stack(list(parts.values())).sum(), parts

    def generator_loss(self, batch: Batch) -> Losses:
        """The objective's loss of the fakes, averaged over the batch."""
        critic, objective = self._critic(batch), self.config.objective
        fakes = self._fakes(batch, "generator")
        show = self._shown(batch, "generator")
        with frozen(self.discriminator):
            fake = critic(show(fakes), batch.labels).float()
            real = None
            if compares_pairs(objective):
                shown = self._shown(batch, "generator/real")(self._real(batch))
                real = critic(shown, batch.labels).float()
        return Losses(generator_losses(objective, fake, real).mean())

    def lazy_loss(self, batch: Batch) -> Losses:
        """R1 and R2 in every r1_every-th step, as many times stronger (Karras et al. 2020b).

        One such update for each of D's in that step.
        """
        fakes = self._constant_fakes(batch) if self.config.r2_gamma else None  # by G as it is now
        weighted, measured = self._zero_centred(batch, fakes)
        return Losses(self.config.r1_every * weighted, measured)

    def _zero_centred(self, batch: Batch, fakes: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """gamma/2 E|grad D|^2 at real images (R1) and fakes (R2): Mescheder et al. 2018, eq. 9-10.

        The gradient is that by the images before they are augmented (Karras et al. 2020a). Batch
        norm ties the samples of a batch together: with it, the gradient by an image holds a little
        of what it does to the others' outputs.
        """
        config, critic = self.config, self._critic(batch)
        measured: dict[str, Tensor] = {}
        weighted = batch.images.new_zeros(())
        for name, gamma, images in (
            ("r1", config.r1_gamma, self._real(batch)),
            ("r2", config.r2_gamma, fakes),
        ):
            if gamma and images is not None:  # by a schedule's zero, too: a loss must depend on D
                weight = 0.5 * value_at(gamma, batch.progress)
                show = self._shown(batch, name)
                squared = zero_centred(critic, images, batch.labels, show).mean()
                measured[f"{name}_squared_gradient"] = squared
                weighted = weighted + weight * squared
        return weighted, measured

    def _gradient_penalty(self, batch: Batch, real: Tensor, fake: Tensor) -> Tensor:
        """E(|grad D| - 1)^2 between real images and fakes, or around the real ones (DRAGAN)."""
        kind = self.config.gradient_penalty
        draws = batch.draws.fork("gradient penalty")
        share = draws.uniform()
        if kind == "dragan":
            points = dragan_points(real, draws.uniform(*real.shape[1:]), share)
        else:
            points = interpolate(real, fake, share)
        return gradient_penalty(
            self._critic(batch), points, batch.labels, one_sided=kind == "one-sided"
        ).mean()

    def _fakes(self, batch: Batch, phase: str) -> Tensor:
        """G(z) for G to learn from, of this phase or of an earlier one of the step."""
        if "fakes" not in batch.shared:
            batch.shared["fakes"] = self._generate(batch, batch.draws)
        return batch.shared["fakes"]

    def _fakes_for_discriminator(self, batch: Batch) -> Tensor:
        """G(z) for D to learn from, as constants."""
        return self._fakes(batch, "discriminator").detach()

    def _constant_fakes(self, batch: Batch) -> Tensor:
        """G(z) anew, without a graph."""
        with torch.no_grad():
            return self._generate(batch, batch.draws)

    def _shown(self, batch: Batch, name: str) -> Transform:
        """How D gets to see images: augmented, and whatever else is configured.

        Images of different names are augmented independently; one name always in the same way.
        """
        if self._sees_all(batch):
            return identity
        strength = self.config.augment_strength
        if strength is not None:  # here: within a penalty nothing may be written
            self.ada.strength.fill_(value_at(strength, batch.progress))
        return lambda images: self._show(images, batch.draws.fork(f"shown/{name}"), batch.progress)

    def _show(self, images: Tensor, draws: Draws, progress: float) -> Tensor:
        """Images as D gets to see them after a share of the training."""
        config = self.config
        if config.augment == "diffaugment":
            return diffaugment(images, draws)
        if config.augment == "ada":
            shown: Tensor = self.ada(images, draws)
            return shown
        return images

    def _adapt(self, measured: Mapping[str, Tensor], images: int) -> None:
        """Adapt the augmentation to how D did in an update (ADA)."""
        if self.config.adapts:
            self.ada.adapt(measured["real_sign"], images)

    def sample_latents(self, n: int, seed: int) -> Tensor:
        """z ~ N(0, I), (n, latent_size)."""
        return normal_latents(n, self.latent_size, seed, self.device)

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        """Samples from fixed latents."""
        return self.decode(self.sample_latents(len(images), seed), labels if self.classes else None)
