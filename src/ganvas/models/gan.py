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

from ganvas.losses.adversarial import compares_pairs, generator_losses, is_zero_sum
from ganvas.losses.penalties import Plain, orthogonal
from ganvas.models.adversarial import AdversarialModel
from ganvas.models.base import class_labels, frozen
from ganvas.models.gan_config import GanConfig
from ganvas.models.phase import Batch, Draws, Losses, Phase
from ganvas.models.schedule import value_at
from ganvas.models.truncation import truncated_generator
from ganvas.models.unrolled import Weights, unrolled
from ganvas.networks import build_discriminator, build_generator


class Gan(AdversarialModel):
    """Generator and discriminator."""

    config: GanConfig

    def __init__(
        self, config: GanConfig, shape: tuple[int, ...], classes: Sequence[str] = ()
    ) -> None:
        count = len(classes) if config.conditional else 0
        generator = build_generator(
            config.networks, config.latent_size, shape,
            width=config.width, classes=count, blocks=config.blocks,
        )  # fmt: skip
        discriminator = build_discriminator(
            config.networks, shape, width=config.discriminator_width or config.width,
            classes=count, norm=config.discriminator_norm,
            minibatch=config.minibatch, blocks=config.blocks,
        )  # fmt: skip
        super().__init__(config, shape, classes, generator, discriminator)

    def phases(self) -> tuple[Phase, ...]:
        """Algorithm 1: D, then G; then penalties that have an update of their own.

        Where Karras et al. 2020b slow Adam down to make up for the updates that lazy penalties add
        (appendix B: with c = k / (k + 1), the learning rate times c, the decays to the power c),
        here it stays as it is.
        """
        config = self.config
        D, G = ("discriminator",), ("generator",)
        after = self._after_discriminator if config.adapts or config.clip_weights else None
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

    def generator_loss(self, batch: Batch) -> Losses:
        """The objective's loss of the fakes, averaged over the batch, and G's regularisation."""
        weight = self.config.orthogonal
        losses = self._unrolled_loss(batch) if self.config.unroll else super().generator_loss(batch)
        if not weight:
            return losses
        penalty = orthogonal(self.generator)
        parts = {"game": losses.total, "orthogonal": penalty}
        return Losses(losses.total + weight * penalty, parts)

    def _unrolled_loss(self, batch: Batch) -> Losses:
        """G's loss under D as it would be after some more steps."""
        objective = self.config.objective
        fakes = self._fakes(batch, "generator")
        show = self._shown(batch, "generator")
        weights = self._unrolled(batch, fakes)
        with frozen(self.discriminator):
            fake = self._judged(show(fakes), batch.labels, weights)
            real = None
            if is_zero_sum(objective) or compares_pairs(objective):
                shown = self._shown(batch, "generator/real")(batch.images)
                real = self._judged(shown, batch.labels, weights)
        loss = generator_losses(objective, fake, real).mean()
        if (
            is_zero_sum(objective) and real is not None
        ):  # what D then says of data is G's doing, too
            loss = loss - self._game(real, fake)[1]["real"]
        return Losses(loss)

    def _judged(self, images: Tensor, labels: Tensor | None, weights: Weights) -> Tensor:
        """D's outputs with these weights, uncompiled: compiled code has no second derivative."""
        inside = {f"network.{name}": weight for name, weight in weights.items()}
        outputs: Tensor = functional_call(Plain(self.discriminator), inside, (images, labels))
        return outputs.float()

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

    def _generate(self, batch: Batch, draws: Draws) -> Tensor:
        """G(z)."""
        fakes: Tensor = self.generator(draws.normal(self.latent_size), batch.labels)
        return fakes

    def _fakes(self, batch: Batch, phase: str) -> Tensor:
        """G(z) for G to learn from; the same that D saw where D has one step."""
        if self.config.critic_steps > 1 and "fakes" not in batch.shared:
            batch.shared["fakes"] = self._generate(batch, batch.draws.fork(phase))
        return super()._fakes(batch, phase)

    def _fakes_for_discriminator(self, batch: Batch) -> Tensor:
        """G(z) for D to learn from, as constants."""
        if self.config.critic_steps == 1:
            return super()._fakes_for_discriminator(batch)
        return self._constant_fakes(batch)

    def _targets(self) -> tuple[float, float]:
        """Smoothed, if so configured."""
        return self.config.real_target, self.config.fake_target

    def _sees_all(self, batch: Batch) -> bool:
        """Neither augmented nor with noise."""
        return super()._sees_all(batch) and not self.config.instance_noise

    def _show(self, images: Tensor, draws: Draws, progress: float) -> Tensor:
        """With noise on top."""
        images = super()._show(images, draws, progress)
        noise = value_at(self.config.instance_noise, progress)
        return images + noise * draws.normal(*images.shape[1:]) if noise else images

    def _after_discriminator(self, measured: Mapping[str, Tensor], images: int) -> None:
        """Clip the critic's weights (Arjovsky et al. 2017); adapt the augmentation (ADA)."""
        clip = self.config.clip_weights
        if clip is not None:
            for parameter in self.discriminator.parameters():
                parameter.clamp_(-clip, clip)
        self._adapt(measured, images)

    @contextmanager
    def truncated(self, threshold: float) -> Iterator[Callable[[Tensor], Tensor]]:
        """Within, G is fit for latents that the given function cuts off at a threshold."""
        with truncated_generator(self, threshold) as truncate:
            yield truncate

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """G(z); images are clipped to [-1, 1] where G itself has no bounds."""
        images: Tensor = self.generator(latents, class_labels(self, labels, len(latents)))
        return images.clamp(-1, 1) if images.ndim == 4 else images
