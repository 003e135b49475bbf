"""The StyleGAN family (Karras et al. 2019, 2020a, 2020b, 2021): one game, four generators.

z is mapped to a style w, of which every layer of the synthesis gets one; so pictures can be mixed
layer by layer, and W, which need not follow the distribution of z, can be explored. Four phases:

    discriminator   the objective (softplus: non-saturating logistic) on real images and fakes
    generator       the same of fakes, some of which mix two styles (2019, section 3.1)
    r1              gamma/2 E|grad D(x)|^2 in every 16th step, 16 times as strong
    path_length     E(|J_w^T y| - a)^2 in every 4th step, 4 times as strong, on half a batch
                    (2020b, eq. 4), a the running mean of the lengths

Adam is corrected for the updates that the lazy ones add (2020b, appendix B): with c = k / (k + 1)
for every k-th step, the learning rate times c and the decays to the power c.

StyleGAN (2019) can grow (Karras et al. 2018): see `models/growing`. StyleGAN3-R begins with all
that D sees blurred (2021, appendix F).

Deviations from the authors' code:
- The styles of pictures are mixed from a layer drawn for each, not one for the batch.
- D's fakes serve G's update, too (as in `models/gan`).
- The mean a of path lengths is that before the update at hand, which is no part of the gradient; so
  it is the same however the batch is split up.
- Growing keeps the batch and the learning rates as they are. Adam's averages of a weight begin
  when it comes in; the authors begin all of them anew with every change of resolution.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.losses.path_length import synthesis_path_lengths
from ganvas.models.adversarial import AdversarialModel
from ganvas.models.base import Noise, class_labels
from ganvas.models.blur import gaussian_blur
from ganvas.models.growing import FIRST_LEVEL, AtLevel, freeze_unused, level_at
from ganvas.models.lazy import corrected, every_other
from ganvas.models.phase import Batch, Draws, Losses, Phase, derive_seed
from ganvas.models.schedule import value_at
from ganvas.models.stylegan_config import StyleGanConfig
from ganvas.networks import (
    StyleDiscriminator,
    StyleGenerator,
    build_style_discriminator,
    build_style_generator,
    stylegan,
)
from ganvas.networks.layers.mapping import truncate

PATH_LENGTH_DECAY = 0.99
"""Of the running mean of path lengths, for each update (2020b, appendix B)."""

_LATENTS_OF_CENTRE = 10_000


class StyleGan(AdversarialModel):
    """Mapping and synthesis against a discriminator."""

    config: StyleGanConfig
    generator: StyleGenerator
    discriminator: StyleDiscriminator

    path_length: Tensor
    """The running mean of path lengths, a scalar."""
    level: Tensor
    """Of a model that grows: what it has grown to, as `decode` draws it."""

    def __init__(
        self, config: StyleGanConfig, shape: tuple[int, ...], classes: Sequence[str] = ()
    ) -> None:
        count = len(classes) if config.conditional else 0
        generator = build_style_generator(
            config.networks, config.latent_size, shape, width=config.width,
            max_width=config.max_width, mapping_layers=config.mapping_layers, classes=count,
        )  # fmt: skip
        discriminator = build_style_discriminator(
            config.networks, shape, width=config.discriminator_width or config.width,
            max_width=config.discriminator_max_width or config.max_width, classes=count,
        )  # fmt: skip
        super().__init__(config, shape, classes, generator, discriminator)
        self._psi = 1.0
        if config.has_path_length:
            self.register_buffer("path_length", torch.zeros(()))
        if config.growing is not None:
            self.register_buffer("level", torch.tensor(float(FIRST_LEVEL)))
        _freeze_finest(discriminator, config.freeze_discriminator)
        freeze_unused(generator, discriminator, grows=config.growing is not None)

    # Training.

    def phases(self) -> tuple[Phase, ...]:
        """The game, and two regularisers with updates of their own."""
        config = self.config
        D, G = ("discriminator",), ("generator",)
        lazy = config.has_lazy_penalty
        adam_d = corrected(config.discriminator, config.r1_every) if lazy else config.discriminator
        adam_g = config.generator
        if config.has_path_length:
            adam_g = corrected(adam_g, config.path_length_every)
        now_d, now_g = self._present(self.discriminator), self._present(self.generator)
        adapt = self._adapt if config.adapts else None
        phases = [
            Phase("discriminator", D, self.discriminator_loss, adam_d, after=adapt, present=now_d),
            Phase("generator", G, self.generator_loss, adam_g, present=now_g),
        ]
        if lazy:
            phases.append(
                Phase("r1", D, self.lazy_loss, adam_d, every=config.r1_every, present=now_d)
            )
        if config.has_path_length:
            phases.append(
                Phase(
                    "path_length", G, self.path_length_loss, adam_g,
                    every=config.path_length_every, after=self._follow_path_length,
                )
            )  # fmt: skip
        return tuple(phases)

    def path_length_loss(self, batch: Batch) -> Losses:
        """E(|J_w^T y| - a)^2 with y ~ N(0, I / pixels) (2020b, eq. 4), on every other picture."""
        draws, local, share = every_other(batch.draws.fork("path length"))
        labels = None if batch.labels is None else batch.labels[local]
        synthesis = self.generator.synthesis
        styles = self._styles(draws, labels, batch.progress, synthesis.layers)
        noise = [draws.normal(1, *size) for size in synthesis.noise_shapes]
        y = draws.normal(*self.shape) / math.sqrt(math.prod(self.shape[1:]))
        lengths = synthesis_path_lengths(synthesis, styles, noise, y)
        penalty = share * (lengths - self.path_length).square().mean()
        weight = self.config.path_length_every * self.config.path_length_weight
        return Losses(weight * penalty, {"penalty": penalty, "length": share * lengths.mean()})

    def _follow_path_length(self, measured: Mapping[str, Tensor], images: int) -> None:
        self.path_length.lerp_(measured["length"].to(self.path_length), 1 - PATH_LENGTH_DECAY)

    def _generate(self, batch: Batch, draws: Draws) -> Tensor:
        """Fakes with styles, noise and, if need be, the size of this time."""
        synthesis, level = self.generator.synthesis, self._grown_to(batch)
        present = synthesis.layers
        if level is not None:
            present = 2 * (stylegan.split_level(level, present // 2 - 1)[0] + 1)
        styles = self._styles(draws, batch.labels, batch.progress, present)
        sizes = synthesis.noise_shapes[:present]
        return self._draw(styles, [draws.normal(1, *size) for size in sizes], level)

    def _styles(self, draws: Draws, labels: Tensor | None, progress: float, present: int) -> Tensor:
        """Styles (N, layers, latent_size) of one latent each, or of two, up to a layer and after.

        The layer is drawn among the first `present` ones.
        """
        layers = self.generator.synthesis.layers
        share = value_at(self.config.style_mixing, progress)
        z = draws.normal(self.latent_size)
        if not share:
            w: Tensor = self.generator.mapping(z, labels)
            return w[:, None].expand(-1, layers, -1)
        both = torch.cat([z, draws.normal(self.latent_size)])
        twice = None if labels is None else labels.repeat(2)
        first, second = self.generator.mapping(both, twice)[:, None].chunk(2)
        change = 1 + (draws.uniform() * (present - 1)).long()
        change = torch.where(draws.uniform() < share, change, layers)
        after = torch.arange(layers, device=z.device) >= change[:, None]
        return torch.where(after[:, :, None], second, first)

    def _draw(
        self, styles: Tensor, noise: Sequence[Tensor] | None, level: float | None = None
    ) -> Tensor:
        synthesis = self.generator.synthesis
        images: Tensor
        if isinstance(synthesis, stylegan.Synthesis):
            images = synthesis(styles, noise, level)
        else:
            images = synthesis(styles, noise)
        return images

    def _level(self, progress: float) -> float | None:
        """The level of growth after a share of the training; None is the full size."""
        if self.config.growing is None:
            return None
        return level_at(progress / self.config.growing, self.generator.synthesis.layers // 2 - 1)

    def _grown_to(self, batch: Batch) -> float | None:
        """The same for a batch; from now on `decode` draws at this level."""
        level = self._level(batch.progress)
        if level is not None:
            self.level.fill_(level)
        return level

    def _present(self, network: nn.Module) -> Callable[[float], list[nn.Parameter]] | None:
        """Which weights of a network there are after a share of the training; None is all."""
        if not isinstance(network, stylegan.Generator | stylegan.Discriminator):
            return None
        return lambda progress: network.weights(self._level(progress))

    def _real(self, batch: Batch) -> Tensor:
        """The real images, small while the networks grow."""
        level = self._grown_to(batch)
        return batch.images if level is None else stylegan.at_level(batch.images, level)

    def _critic(self, batch: Batch) -> nn.Module:
        """D, at the level of growth of this time."""
        level = self._grown_to(batch)
        return self.discriminator if level is None else AtLevel(self.discriminator, level)

    def _sees_all(self, batch: Batch) -> bool:
        """Neither augmented nor blurred."""
        return super()._sees_all(batch) and not value_at(self.config.blur, batch.progress)

    def _show(self, images: Tensor, draws: Draws, progress: float) -> Tensor:
        """Blurred before all else."""
        return super()._show(
            gaussian_blur(images, value_at(self.config.blur, progress)), draws, progress
        )

    def compile_networks(self) -> None:
        """Those that training calls; not while they grow, which changes them in every step."""
        if self.config.growing is None:
            self.generator.mapping.compile()
            self.generator.synthesis.compile()
            self.discriminator.compile()

    # Exploring.

    @property
    def layers(self) -> int:
        """How many styles a picture takes."""
        return self.generator.synthesis.layers

    @property
    def layer_resolutions(self) -> tuple[int, ...]:
        """The height of the picture at which each of them acts, from coarse to fine."""
        return self.generator.synthesis.layer_resolutions

    @property
    def noise_shapes(self) -> tuple[tuple[int, int], ...]:
        """(H, W) of each noise input; () for stylegan3."""
        return self.generator.synthesis.noise_shapes

    def map(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_size) -> w (N, latent_size); within `truncated`, truncated."""
        w: Tensor = self.generator.mapping(latents, class_labels(self, labels, len(latents)))
        return w if self._psi == 1 else truncate(w, self.centre(), self._psi)

    def synthesise(self, styles: Tensor, noise: Noise = "constant", seed: int = 0) -> Tensor:
        """Styles (N, layers, latent_size) -> images (N, C, H, W) in [-1, 1].

        Random noise is of the seed for the first picture, of seed + 1 for the next, on every
        device. Raises ConfigError where networks without noise are asked for another than constant.
        """
        if noise != "constant" and not self.noise_shapes:
            raise ConfigError(
                f"--noise {noise}: {self.config.networks} has no noise. Leave it out."
            )
        level = None if self.config.growing is None else float(self.level)
        images = self._draw(styles, self._noise(noise, len(styles), seed), level)
        if images.shape[1:] != self.shape:  # it is still growing
            images = F.interpolate(images, self.shape[1:])
        return images.clamp(-1, 1)

    def _noise(self, noise: Noise, n: int, seed: int) -> Sequence[Tensor] | None:
        if noise != "random":
            return None if noise == "constant" else ()
        generator = torch.Generator()
        pictures: list[list[Tensor]] = []
        for i in range(n):
            generator.manual_seed(derive_seed(seed + i, "noise"))
            pictures.append([torch.randn(1, *s, generator=generator) for s in self.noise_shapes])
        return [torch.stack(maps).to(self.device) for maps in zip(*pictures, strict=True)]

    @torch.no_grad()
    def centre(self) -> Tensor:
        """The mean of w, (latent_size,): as the file said, or of 10,000 latents."""
        mapping = self.generator.mapping
        if not mapping.is_centre_known():
            generator = torch.Generator().manual_seed(derive_seed("centre"))
            z = torch.randn(_LATENTS_OF_CENTRE, self.latent_size, generator=generator)
            labels = class_labels(self, None, len(z))
            mapping.centre.copy_(mapping(z.to(self.device), labels).mean(0))
        return mapping.centre

    @contextmanager
    def truncated(self, threshold: float) -> Iterator[Callable[[Tensor], Tensor]]:
        """Within, w is pulled towards its mean: psi = 1 leaves it, 0 makes all pictures one."""
        if not -2 <= threshold <= 2:
            raise ConfigError(
                f"--truncation {threshold:g}: styles are pulled towards their mean by a factor "
                "from -2 to 2, where 1 leaves them as they are; 0.7 is usual."
            )
        before, self._psi = self._psi, threshold
        try:
            yield lambda latents: latents
        finally:
            self._psi = before

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """The picture of one style for all layers, with the constant noise."""
        return self.synthesise(self.map(latents, labels)[:, None].expand(-1, self.layers, -1))


def _freeze_finest(discriminator: StyleDiscriminator, blocks: int) -> None:
    """Keep D's finest blocks, and what brings images to them, as they are (freeze-D)."""
    there = len(discriminator.blocks)
    if blocks > there:
        raise ConfigError(
            f"model.freeze_discriminator={blocks}, but this discriminator has {there} blocks. "
            f"Freeze fewer: --set model.freeze_discriminator={max(there - 1, 0)}."
        )
    if blocks:
        discriminator.from_image.requires_grad_(False)
        discriminator.blocks[there - blocks :].requires_grad_(False)
