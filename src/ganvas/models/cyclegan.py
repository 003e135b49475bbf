"""CycleGAN (Zhu, Park, Isola & Efros 2017): from one domain to another and back, without pairs.

G goes from A to B and F from B to A; D_B and D_A tell what is of a domain. With a of A, b of B:

    L_GAN(G, D_B) = E[log D_B(b)] + E[log(1 - D_B(G(a)))]                 (eq. 1)
    L_cyc(G, F)   = E|F(G(a)) - a| + E|G(F(b)) - b|                       (eq. 2)
    L = L_GAN(G, D_B) + L_GAN(F, D_A) + lambda L_cyc(G, F)                (eq. 3)

with least squares in place of the logarithms, and D's halves of them halved (section 4 and 7.1):
G minimises E(D(G(a)) - 1)^2, D minimises 1/2 E(D(b) - 1)^2 + 1/2 E D(G(a))^2. Both D's see half
of their fakes from a pool of the last 50. Where `identity_weight` is set, as a share of lambda,
also L_identity = E|G(b) - b| + E|F(a) - a|, which keeps colours (section 5.2).

Deviations: D is updated before G, not after (the fakes are the same for both); the averaged weights
are used to translate. The identity loss, which the paper has for paintings only, is on by default,
as in the authors' code. The objective can be another, the D's gradients can be penalised (R1), and
what they see can be augmented.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from ganvas.data.augment import diffaugment
from ganvas.errors import ConfigError
from ganvas.losses.adversarial import compares_pairs
from ganvas.losses.patches import discriminator_game, generator_game, slope
from ganvas.losses.penalties import identity
from ganvas.losses.reconstruction import absolute_error
from ganvas.models.base import frozen
from ganvas.models.phase import Batch, Losses, Phase
from ganvas.models.pool import ImagePool
from ganvas.models.schedule import value_at
from ganvas.models.translation import (
    Direction,
    TranslationModel,
    Uniform,
    answers,
    side_by_side,
    targets_of,
)
from ganvas.models.translation_config import CycleGanConfig
from ganvas.networks import image_shape
from ganvas.networks.patchgan import PatchGan, patchgan
from ganvas.networks.translator import Translator, translator

Domain = Literal["a", "b"]

DOMAINS: tuple[Domain, Domain] = ("a", "b")


class CycleGan(TranslationModel):
    """A generator for each direction, a discriminator and a pool for each domain."""

    averaged = ("generator_ab", "generator_ba")
    only_for_training = ("pool_a", "pool_b")
    directions = ("AB", "BA")

    config: CycleGanConfig

    def __init__(
        self, config: CycleGanConfig, shape: tuple[int, ...], target_shape: tuple[int, ...]
    ) -> None:
        super().__init__(config, shape, target_shape)
        a, b = image_shape(shape), image_shape(target_shape)
        if a[0] != b[0] and config.identity_weight:
            raise ConfigError(
                f"model.identity_weight={config.identity_weight:g} compares a picture with what "
                "the generator of its own domain makes of it, but the domains have "
                f"{a[0]} and {b[0]} channels. Add --set model.identity_weight=0, or give both the "
                "same channels: --set data.channels=3 --set data.target_channels=3."
            )
        width, layers = config.discriminator_width, config.discriminator_layers
        self.generator_ab = translator(a, b, config.width, config.blocks)
        self.generator_ba = translator(b, a, config.width, config.blocks)
        self.discriminator_a = patchgan(a, width, layers, affine=False)
        self.discriminator_b = patchgan(b, width, layers, affine=False)
        self._answers = answers(a, layers)
        if config.pool:
            self.pool_a, self.pool_b = (ImagePool(config.pool, domain) for domain in (a, b))

    @property
    def multiple(self) -> int:
        """Two halvings."""
        return Translator.multiple

    @property
    def context(self) -> int:
        """Those that a pixel depends on, its norms' statistics aside: 4 px for a convolution."""
        return 8 * self.config.blocks + 16

    def generator_of(self, direction: Direction) -> nn.Module:
        """G or F."""
        return self.generator_ab if direction == "AB" else self.generator_ba

    def _generate(self, images: Tensor, direction: Direction, uniform: Uniform) -> Tensor:
        outputs: Tensor = self.generator_of(direction)(images)
        return outputs

    def phases(self) -> tuple[Phase, ...]:
        """Both D's, then both G's; then R1, where it has an update of its own."""
        config = self.config
        G, D = self.averaged, ("discriminator_a", "discriminator_b")
        game = (
            Phase(
                "discriminator", D, self.discriminator_loss, config.discriminator,
                after=self._fill_pools if config.pool else None,
            ),
            Phase("generator", G, self.generator_loss, config.generator),
        )  # fmt: skip
        if not config.has_lazy_penalty:
            return game
        return (*game, Phase("r1", D, self.lazy_loss, config.discriminator, every=config.r1_every))

    def discriminator_loss(self, batch: Batch) -> Losses:
        """Half of D's side of eq. 1 with least squares, of each domain, and R1."""
        totals: list[Tensor] = []
        parts: dict[str, Tensor] = {}
        for domain in DOMAINS:
            critic, real = self._critic(domain), self._real(batch, domain)
            fakes = self._made(batch, f"fake_{domain}").detach()
            if self.config.pool:
                fakes = self._pool(domain).exchange(fakes, batch.draws.fork(f"pool/{domain}"))
            shown = (self._shown(batch, f"real/{domain}")(real),
                     self._shown(batch, f"fake/{domain}")(fakes))  # fmt: skip
            at_real, at_fakes = critic(torch.cat(shown)).float().chunk(2)
            total, losses = discriminator_game(self.config.objective, at_real, at_fakes)
            totals.append(total)
            parts |= {f"{name}_{domain}": loss for name, loss in losses.items()}
        total = torch.stack(totals).sum()
        if self.config.r1_gamma and not self.config.has_lazy_penalty:
            penalty, measured = self._penalty(batch)
            total, parts = total + penalty, parts | measured
        return Losses(total, parts)

    def generator_loss(self, batch: Batch) -> Losses:
        """G's and F's side of eq. 3, and L_identity."""
        config = self.config
        fake_a, fake_b = self._made(batch, "fake_a"), self._made(batch, "fake_b")
        parts = {f"adversarial_{domain}": self._game(batch, domain) for domain in DOMAINS}
        total = torch.stack(list(parts.values())).sum()
        back_a = self.translated(fake_b, "BA", batch.draws.uniform)
        back_b = self.translated(fake_a, "AB", batch.draws.uniform)
        cycle = {
            "cycle_a": absolute_error(batch.images, back_a).mean(),
            "cycle_b": absolute_error(targets_of(batch), back_b).mean(),
        }
        total = total + config.cycle_weight * torch.stack(list(cycle.values())).sum()
        if not config.identity_weight:
            return Losses(total, parts | cycle)
        same = {
            f"identity_{domain}": absolute_error(
                self._real(batch, domain), self._made(batch, f"same_{domain}")
            ).mean()
            for domain in DOMAINS
        }
        weight = config.cycle_weight * config.identity_weight
        total = total + weight * torch.stack(list(same.values())).sum()
        return Losses(total, parts | cycle | same)

    def lazy_loss(self, batch: Batch) -> Losses:
        """R1 in every r1_every-th step, as many times stronger (Karras et al. 2020b)."""
        penalty, measured = self._penalty(batch)
        return Losses(self.config.r1_every * penalty, measured)

    def _game(self, batch: Batch, domain: Domain) -> Tensor:
        """The generator's loss in a domain."""
        objective, critic = self.config.objective, self._critic(domain)
        fakes = self._shown(batch, f"generator/{domain}")(self._made(batch, f"fake_{domain}"))
        with frozen(critic):
            real = None
            if compares_pairs(objective):
                show = self._shown(batch, f"generator/real/{domain}")
                real = critic(show(self._real(batch, domain))).float()
            return generator_game(objective, critic(fakes).float(), real)

    def _penalty(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """gamma/2 of the squared gradients at the real pictures of both domains."""
        squared = {
            f"r1_squared_gradient_{domain}": slope(
                self._critic(domain), self._real(batch, domain), self._answers,
                self._shown(batch, f"real/{domain}"),
            )
            for domain in DOMAINS
        }  # fmt: skip
        weight = 0.5 * value_at(self.config.r1_gamma, batch.progress)
        return weight * torch.stack(list(squared.values())).sum(), squared

    def _made(self, batch: Batch, name: str) -> Tensor:
        """What the generators make of the batch, for both phases of a step.

        `fake_b` is G(a), `same_b` G(b); `fake_a` is F(b), `same_a` F(a). Both in one pass.
        """
        if name not in batch.shared:
            a, b, nothing = batch.images, targets_of(batch), batch.draws.uniform
            if self.config.identity_weight:
                made_b = self.translated(torch.cat([a, b]), "AB", nothing).chunk(2)
                made_a = self.translated(torch.cat([b, a]), "BA", nothing).chunk(2)
                batch.shared.update(zip(("fake_b", "same_b"), made_b, strict=True))
                batch.shared.update(zip(("fake_a", "same_a"), made_a, strict=True))
            else:
                batch.shared["fake_b"] = self.translated(a, "AB", nothing)
                batch.shared["fake_a"] = self.translated(b, "BA", nothing)
        return batch.shared[name]

    def _real(self, batch: Batch, domain: Domain) -> Tensor:
        return batch.images if domain == "a" else targets_of(batch)

    def _critic(self, domain: Domain) -> PatchGan:
        return self.discriminator_a if domain == "a" else self.discriminator_b

    def _pool(self, domain: Domain) -> ImagePool:
        return self.pool_a if domain == "a" else self.pool_b

    def _shown(self, batch: Batch, name: str) -> Callable[[Tensor], Tensor]:
        """How a discriminator sees images; those of each name are augmented independently."""
        if self.config.augment == "none":
            return identity
        return lambda images: diffaugment(images, batch.draws.fork(f"shown/{name}"))

    def _fill_pools(self, measured: Mapping[str, Tensor], images: int) -> None:
        """What this update exchanged is now of the past."""
        for domain in DOMAINS:
            self._pool(domain).advance(images)

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        """Of each picture of A: itself, in B, and back; then the same of one of B."""
        if targets is None:
            raise ValueError("a preview of two domains needs pictures of both")
        fake_b, fake_a = self.translate(images, "AB", seed), self.translate(targets, "BA", seed)
        back_a, back_b = self.translate(fake_b, "BA", seed), self.translate(fake_a, "AB", seed)
        return side_by_side(images, fake_b, back_a, targets, fake_a, back_b)
