"""Pix2Pix (Isola, Zhu, Zhou & Efros 2017): a picture for a picture, learnt from pairs.

With x of domain A, y its partner of domain B and z the generator's dropout (section 3.1):

    L_cGAN = E[log D(x, y)] + E[log(1 - D(x, G(x, z)))]                   (eq. 1)
    L_L1   = E|y - G(x, z)|                                               (eq. 3)
    G*     = arg min_G max_D L_cGAN + lambda L_L1                         (eq. 4)

G maximises log D(x, G(x, z)) instead, D's loss is halved, and the two take turns, D first (section
3.3). D sees input and output as one picture of all their channels, and judges patches of it.
Dropout stays on when translating: it is the noise (section 3.3).

Deviations: norms are those of one picture, whatever the batch (`ganvas.networks.unet`); the
averaged weights are used to translate. The objective can be another, D's gradient by y can be
penalised (R1), and without `gan_weight` only L1 is left, the paper's comparison of figure 4.
"""

import torch
from torch import Tensor, nn

from ganvas.losses.adversarial import compares_pairs
from ganvas.losses.patches import discriminator_game, generator_game, slope
from ganvas.losses.reconstruction import absolute_error
from ganvas.models.base import frozen
from ganvas.models.phase import Batch, Losses, Phase
from ganvas.models.schedule import value_at
from ganvas.models.translation import (
    Direction,
    TranslationModel,
    Uniform,
    answers,
    side_by_side,
    targets_of,
)
from ganvas.models.translation_config import Pix2PixConfig
from ganvas.networks import image_shape
from ganvas.networks.patchgan import patchgan
from ganvas.networks.translator import translator
from ganvas.networks.unet import UNet, unet


class Pix2Pix(TranslationModel):
    """A generator from A to B and, unless `gan_weight` is 0, a discriminator of pairs."""

    averaged = ("generator",)
    directions = ("AB",)

    config: Pix2PixConfig

    def __init__(
        self, config: Pix2PixConfig, shape: tuple[int, ...], target_shape: tuple[int, ...]
    ) -> None:
        super().__init__(config, shape, target_shape)
        a, b = image_shape(shape), image_shape(target_shape)
        self.generator: nn.Module = (
            unet(a, b, config.width, max_width=8 * config.width, dropout=config.dropout)
            if config.networks == "unet"
            else translator(a, b, config.width, config.blocks)
        )
        if config.gan_weight:
            self.discriminator = patchgan(
                (a[0] + b[0], *a[1:]), config.discriminator_width, config.discriminator_layers,
                affine=True,
            )  # fmt: skip
            self._answers = answers(a, config.discriminator_layers)

    @property
    def multiple(self) -> int:
        """As the generator says."""
        return int(self.generator.multiple)  # type: ignore[arg-type]

    @property
    def context(self) -> int:
        """Those that an answer of the residual network depends on; of a U-Net, as much as pays.

        Every pixel of a U-Net depends on all others; a quarter of the trained size is a compromise.
        """
        if self.config.networks == "resnet":
            return 8 * self.config.blocks + 16
        return max(self.shape[1:]) // 4

    def generator_of(self, direction: Direction) -> nn.Module:
        """The only one."""
        return self.generator

    def _generate(self, images: Tensor, direction: Direction, uniform: Uniform) -> Tensor:
        is_noisy = isinstance(self.generator, UNet) and self.config.dropout > 0
        outputs: Tensor = self.generator(images, uniform) if is_noisy else self.generator(images)
        return outputs

    def phases(self) -> tuple[Phase, ...]:
        """D, then G (section 3.3); then R1, where it has an update of its own."""
        config = self.config
        G, D = ("generator",), ("discriminator",)
        generator = Phase("generator", G, self.generator_loss, config.generator)
        if not config.gan_weight:
            return (generator,)
        game = (
            Phase("discriminator", D, self.discriminator_loss, config.discriminator),
            generator,
        )
        if not config.has_lazy_penalty:
            return game
        return (*game, Phase("r1", D, self.lazy_loss, config.discriminator, every=config.r1_every))

    def discriminator_loss(self, batch: Batch) -> Losses:
        """Half of D's side of eq. 1, averaged over patches, and R1."""
        real, fake = self._judged(batch, targets_of(batch), self._fakes(batch).detach())
        total, parts = discriminator_game(self.config.objective, real, fake)
        if self.config.r1_gamma and not self.config.has_lazy_penalty:
            penalty, measured = self._penalty(batch)
            total, parts = total + penalty, parts | measured
        return Losses(total, parts)

    def generator_loss(self, batch: Batch) -> Losses:
        """-log D(x, G(x, z)) + lambda |y - G(x, z)|, or the objective's loss for the first."""
        config, target, fakes = self.config, targets_of(batch), self._fakes(batch)
        l1 = absolute_error(target, fakes).mean()
        if not config.gan_weight:
            return Losses(config.l1_weight * l1, {"l1": l1})
        with frozen(self.discriminator):
            if compares_pairs(config.objective):
                real, fake = self._judged(batch, target, fakes)
                game = generator_game(config.objective, fake, real)
            else:
                game = generator_game(config.objective, self._judged(batch, fakes)[0])
        total = config.gan_weight * game + config.l1_weight * l1
        return Losses(total, {"adversarial": game, "l1": l1})

    def lazy_loss(self, batch: Batch) -> Losses:
        """R1 in every r1_every-th step, as many times stronger (Karras et al. 2020b)."""
        penalty, measured = self._penalty(batch)
        return Losses(self.config.r1_every * penalty, measured)

    def _penalty(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """gamma/2 of the squared gradient by the real output."""
        squared = slope(
            self.discriminator, targets_of(batch), self._answers,
            lambda outputs: torch.cat([batch.images, outputs], 1),
        )  # fmt: skip
        weight = 0.5 * value_at(self.config.r1_gamma, batch.progress)
        return weight * squared, {"r1_squared_gradient": squared}

    def _fakes(self, batch: Batch) -> Tensor:
        """G(x, z), the same for both phases of a step."""
        if "fakes" not in batch.shared:
            noise = batch.draws.fork("dropout").uniform
            batch.shared["fakes"] = self.translated(batch.images, "AB", noise)
        return batch.shared["fakes"]

    def _judged(self, batch: Batch, *outputs: Tensor) -> tuple[Tensor, ...]:
        """D's answers for the batch's inputs with each of these outputs, in one pass."""
        pairs = torch.cat([torch.cat([batch.images, output], 1) for output in outputs])
        answers: Tensor = self.discriminator(pairs).float()
        return answers.chunk(len(outputs))

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        """Input, output and target of each pair in turn."""
        if targets is None:
            raise ValueError("a preview of pairs needs both of each")
        return side_by_side(images, self.translate(images, "AB", seed), targets)
