"""The generative adversarial network (Goodfellow et al. 2014) and the remedies found since.

D learns to tell data from fakes, G to make fakes that D takes for data:

    min_G max_D  E_x[log D(x)] + E_z[log(1 - D(G(z)))]                    (eq. 1)

in Algorithm 1's order: `critic_steps` updates of D, one of G. Which networks play, for which
objective, and what keeps the game going are settings, so that any of them can be combined and
compared; a combination that makes no sense is refused (`ganvas.models.gan_config`). Named
combinations are recipes: `dcgan`, `wgan-gp`, `sngan`, `biggan`, `r3gan`.

Deviations: with one D step, the fakes that D was just trained on serve G's update too, which saves
one of two forward passes through G (Algorithm 1 draws fresh noise). The classes asked of G are
those of the real images of the batch, that is, drawn by their share in the data.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.func import functional_call

from ganvas.data.augment import Ada, diffaugment
from ganvas.errors import ConfigError
from ganvas.losses.adversarial import (
    compares_pairs,
    discriminator_losses,
    generator_losses,
    is_zero_sum,
)
from ganvas.losses.penalties import (
    Plain,
    dragan_points,
    gradient_penalty,
    interpolate,
    orthogonal,
    zero_centred,
)
from ganvas.models.base import LatentModel, class_labels, frozen, normal_latents
from ganvas.models.gan_config import GanConfig
from ganvas.models.phase import Batch, Draws, Losses, Phase
from ganvas.models.schedule import value_at
from ganvas.models.truncation import truncated_generator
from ganvas.models.unrolled import Weights, unrolled
from ganvas.networks import build_discriminator, build_generator


class Gan(LatentModel):
    """Generator and discriminator."""

    averaged = ("generator",)

    def __init__(
        self, config: GanConfig, shape: tuple[int, ...], classes: Sequence[str] = ()
    ) -> None:
        super().__init__(shape, classes if config.conditional else ())
        if config.augment != "none" and len(shape) != 3:
            raise ConfigError(
                f"model.augment={config.augment} is for pictures, but the data are points in a "
                "plane. Train without it: --set model.augment=none."
            )
        self.config = config
        self.latent_size = config.latent_size
        self.generator = build_generator(
            config.networks, config.latent_size, shape,
            width=config.width, classes=len(self.classes), blocks=config.blocks,
        )  # fmt: skip
        self.discriminator = build_discriminator(
            config.networks, shape, width=config.discriminator_width or config.width,
            classes=len(self.classes), norm=config.discriminator_norm,
            minibatch=config.minibatch, blocks=config.blocks,
        )  # fmt: skip
        if config.augment == "ada":
            self.ada = Ada(shape, config.augment_groups)

    def phases(self) -> tuple[Phase, ...]:
        """Algorithm 1: D, then G; then penalties that have an update of their own."""
        config = self.config
        D, G = ("discriminator",), ("generator",)
        adapts = config.augment == "ada" and config.augment_strength is None
        after = self._after_discriminator if adapts or config.clip_weights else None
        game = (
            Phase(
                "discriminator", D, self.discriminator_loss, config.discriminator,
                repeats=config.critic_steps, after=after,
            ),
            Phase("generator", G, self.generator_loss, config.generator),
        )  # fmt: skip
        if not config.has_lazy_penalty:
            return game
        lazy = Phase(
            "r1", D, self.lazy_loss, config.discriminator,
            every=config.r1_every, repeats=config.critic_steps,
        )  # fmt: skip
        return (*game, lazy)

    def discriminator_loss(self, batch: Batch) -> Losses:
        """The objective's loss of D on real images and fakes, averaged, plus its penalties."""
        config = self.config
        fakes = self._fakes_for_discriminator(batch)
        real_seen = self._shown(batch, "real")(batch.images)
        fake_seen = self._shown(batch, "fake")(fakes)
        real = self.discriminator(real_seen, batch.labels).float()
        fake = self.discriminator(fake_seen, batch.labels).float()
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
        config = self.config
        losses = discriminator_losses(
            config.objective, real, fake,
            real_target=config.real_target, fake_target=config.fake_target,
        )  # fmt: skip
        parts = {name: loss.mean() for name, loss in losses.items()}
        return torch.stack(list(parts.values())).sum(), parts

    def generator_loss(self, batch: Batch) -> Losses:
        """The objective's loss of the fakes, averaged over the batch."""
        config = self.config
        fakes = self._fakes(batch, "generator")
        show = self._shown(batch, "generator")
        weights = self._unrolled(batch, fakes) if config.unroll else {}
        with frozen(self.discriminator):
            fake = self._judged(show(fakes), batch.labels, weights)
            real = None
            moves_real = bool(weights) and is_zero_sum(config.objective)
            if moves_real or compares_pairs(config.objective):
                shown = self._shown(batch, "generator/real")(batch.images)
                real = self._judged(shown, batch.labels, weights)
        loss = generator_losses(config.objective, fake, real).mean()
        if moves_real and real is not None:  # what D after its steps says of data is G's doing, too
            loss = loss - self._game(real, fake)[1]["real"]
        if not config.orthogonal:
            return Losses(loss)
        penalty = orthogonal(self.generator)
        return Losses(loss + config.orthogonal * penalty, {"game": loss, "orthogonal": penalty})

    def _judged(self, images: Tensor, labels: Tensor | None, weights: Weights) -> Tensor:
        """D's outputs, with these weights where there are any."""
        outputs: Tensor
        if weights:  # uncompiled: compiled modules have no second derivative
            inside = {f"network.{name}": weight for name, weight in weights.items()}
            outputs = functional_call(Plain(self.discriminator), inside, (images, labels))
        else:
            outputs = self.discriminator(images, labels)
        return outputs.float()

    def lazy_loss(self, batch: Batch) -> Losses:
        """R1 and R2 in every r1_every-th step, as many times stronger (Karras et al. 2020b).

        One such update for each of D's in that step. The paper slows Adam down to make up for the
        updates that are added (appendix B: with c = k / (k + 1), the learning rate times c, the
        decays to the power c); here it stays as it is.
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
        config = self.config
        measured: dict[str, Tensor] = {}
        weighted = batch.images.new_zeros(())
        for name, gamma, images in (
            ("r1", config.r1_gamma, batch.images),
            ("r2", config.r2_gamma, fakes),
        ):
            if gamma and images is not None:  # by a schedule's zero, too: a loss must depend on D
                weight = 0.5 * value_at(gamma, batch.progress)
                show = self._shown(batch, name)
                squared = zero_centred(self.discriminator, images, batch.labels, show).mean()
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
            self.discriminator, points, batch.labels, one_sided=kind == "one-sided"
        ).mean()

    def _unrolled(self, batch: Batch, fakes: Tensor) -> Weights:
        """D's weights after `unroll` more steps against these fakes, without penalties.

        The steps see the images at hand: processes and micro-batches unroll each for themselves.
        """
        config = self.config
        real_seen = self._shown(batch, "unrolled/real")(batch.images)
        fake_seen = self._shown(batch, "unrolled/fake")(fakes)

        def loss(weights: Weights) -> Tensor:
            if config.minibatch != "none":  # D compares within a pass
                real = self._judged(real_seen, batch.labels, weights)
                fake = self._judged(fake_seen, batch.labels, weights)
            else:
                labels = None if batch.labels is None else batch.labels.repeat(2)
                both = self._judged(torch.cat([real_seen, fake_seen]), labels, weights)
                real, fake = both.chunk(2)
            return self._game(real, fake)[0]

        return unrolled(
            self.discriminator, loss, config.unroll, config.discriminator, batch.averages,
            progress=batch.progress, second_order=config.unroll_second_order,
        )  # fmt: skip

    def _fakes(self, batch: Batch, phase: str) -> Tensor:
        """G(z) for G to learn from; the same that D saw where D has one step."""
        if "fakes" not in batch.shared:
            draws = batch.draws if self.config.critic_steps == 1 else batch.draws.fork(phase)
            batch.shared["fakes"] = self.generator(draws.normal(self.latent_size), batch.labels)
        return batch.shared["fakes"]

    def _fakes_for_discriminator(self, batch: Batch) -> Tensor:
        """G(z) for D to learn from, as constants."""
        if self.config.critic_steps == 1:
            return self._fakes(batch, "discriminator").detach()
        return self._constant_fakes(batch)

    def _constant_fakes(self, batch: Batch) -> Tensor:
        """G(z) anew, without a graph."""
        with torch.no_grad():
            fakes: Tensor = self.generator(batch.draws.normal(self.latent_size), batch.labels)
        return fakes

    def _shown(self, batch: Batch, name: str) -> Callable[[Tensor], Tensor]:
        """How D gets to see images: augmented, and with noise, if so configured.

        Images of different names are augmented independently; one name always in the same way.
        """
        config = self.config
        if config.augment == "none" and not config.instance_noise:
            return _identity
        noise = value_at(config.instance_noise, batch.progress)
        if config.augment == "ada" and config.augment_strength is not None:
            self.ada.strength.fill_(value_at(config.augment_strength, batch.progress))

        def show(images: Tensor) -> Tensor:
            draws = batch.draws.fork(f"shown/{name}")
            if config.augment == "diffaugment":
                images = diffaugment(images, draws)
            elif config.augment == "ada":
                images = self.ada(images, draws)
            return images + noise * _like(images, draws) if noise else images

        return show

    def _after_discriminator(self, measured: Mapping[str, Tensor], images: int) -> None:
        """Clip the critic's weights (Arjovsky et al. 2017); adapt the augmentation (ADA)."""
        clip = self.config.clip_weights
        if clip is not None:
            for parameter in self.discriminator.parameters():
                parameter.clamp_(-clip, clip)
        if self.config.augment == "ada" and self.config.augment_strength is None:
            self.ada.adapt(measured["real_sign"], images)

    def sample_latents(self, n: int, seed: int) -> Tensor:
        """z ~ N(0, I), (n, latent_size)."""
        return normal_latents(n, self.latent_size, seed, self.device)

    @contextmanager
    def truncated(self, threshold: float) -> Iterator[Callable[[Tensor], Tensor]]:
        """Within, G is fit for latents that the given function cuts off at a threshold."""
        with truncated_generator(self, threshold) as truncate:
            yield truncate

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """G(z); images are clipped to [-1, 1] where G itself has no bounds."""
        images: Tensor = self.generator(latents, class_labels(self, labels, len(latents)))
        return images.clamp(-1, 1) if images.ndim == 4 else images

    def preview(self, images: Tensor, labels: Tensor | None, seed: int) -> Tensor:
        """Samples from fixed latents."""
        return self.decode(self.sample_latents(len(images), seed), labels if self.classes else None)


def _identity(images: Tensor) -> Tensor:
    return images


def _like(images: Tensor, draws: Draws) -> Tensor:
    return draws.normal(*images.shape[1:])
