"""Inversion: the point of a model's space whose picture is nearest to a given one.

The point moves downhill from where an encoder puts it or, without one, from the seed whose picture
looks most alike. As Karras et al. 2020b (section 5, appendix D) do in w:

- the loss compares pixels and features, (x - G(p))^2 + d(x, G(p)); d is the perceptual distance in
  the maps of a fixed random network, which needs no download (the paper: LPIPS);
- Adam's rate rises over the first 5% of the steps and falls over the last 25%.

In z the Gaussian prior is part of the loss: with pixels of standard deviation 0.1 about the
picture, -log p(z | x) is, up to a factor, the mean squared error + 0.1^2 |z|^2 / pixels. w+ (Abdal,
Qin & Wonka 2019) is the same with a style for each layer. In w and w+ nothing keeps to what the
mapping gives: pictures come nearer there, but a model that is not good at them blurs what it cannot
draw.

Deviations from Karras et al.:
- The start is a look-alike, not the mean of w. With it a fifth of their 1,000 steps is enough, and
  the noise that they add to w, to leave the first valley, does harm: after 150 steps in w of a
  small StyleGAN2 eight of its own pictures came to 28.3 dB with it and to 32.1 without.
- The noise maps of StyleGAN 1 and 2 stay as they are, which is the limit of a strong regularisation
  of them: so a point alone gives the picture, and can be walked from and edited.
- The features are those at half the size; what is finer, the pixels see.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.evaluation.reconstruction import psnr
from ganvas.latent.sheet import with_caption
from ganvas.latent.space import Space, SpaceName, default_space, open_space
from ganvas.losses.perceptual import perceptual_distance
from ganvas.models.base import LatentModel, Samples, class_labels
from ganvas.networks.perceptual import RandomEyes
from ganvas.pictures import grid, to_uint8

STEPS = 200
"""Of the optimisation, unless more are asked for."""

METHOD = 1
"""Counts changes of the method: what was measured with another does not hold."""

_BATCH = 16  # pictures at once
_RATE = 0.1  # Adam's largest, in standard deviations of the space's points
_BETAS, _EPSILON = (0.9, 0.999), 1e-8
_PIXEL_DEVIATION = 0.1  # of the pixels about the picture of z; all from black to white is 2
_FEATURES = 0.5  # weight of the features beside the pixels
_LOOK_ALIKES, _FIRST_LOOK_ALIKE = 512, 20_000_000  # seeds that nobody gives by hand
_POOLED = 8  # side of the pictures that are compared to find one that looks alike


@dataclass(frozen=True, eq=False)
class Inversion:
    """What was found; images are float32 in [-1, 1].

    Attributes:
        space: Where: z, w or w+.
        originals: (N, C, H, W), what was looked for.
        results: (N, C, H, W), the pictures of the points.
        points: (N, *shape of the space).
        labels: (N,) the class of each, for a model with classes.
        psnr: (N,) how alike the pixels are, in decibels.
        distance: (N,) how different both look to a fixed random network, from 0 to 1.
    """

    space: SpaceName
    originals: Tensor
    results: Tensor
    points: Tensor
    labels: Tensor | None
    psnr: Tensor
    distance: Tensor

    def __len__(self) -> int:
        return len(self.points)

    def sheet(self) -> Image.Image:
        """Each picture, its inversion, and half their difference: grey where they agree."""
        difference = (self.results - self.originals) / 2
        if difference.shape[1] == 4:
            difference[:, 3] = 1  # opaque
        together = torch.stack([self.originals, self.results, difference], 1).flatten(0, 1)
        sheet = grid(to_uint8(together), together=3)
        return with_caption(sheet, "picture | inversion | difference (grey: none)")


class Inverter:
    """Finds pictures in a space.

    Args:
        space: Of a model that makes pictures at once.
        steps: Of the optimisation.

    Raises:
        ConfigError: The model makes points in a plane, has no distribution of latents, or no
            gradients.
    """

    def __init__(self, space: Space, steps: int = STEPS) -> None:
        model = space.model
        if len(model.shape) != 3:
            raise ConfigError("this model makes points in a plane, and pictures are inverted.")
        if not isinstance(model, Samples):
            raise ConfigError(
                "an autoencoder has no distribution of latents that a search could keep to; "
                "`ganvas reconstruct` shows what its encoder finds."
            )
        if steps < 1:
            raise ConfigError(f"--steps {steps}: an inversion takes at least one step.")
        self.space, self.steps, self._samples = space, steps, model
        self.eyes = RandomEyes(model.shape[0]).to(model.device)
        space.check_gradients()

    def invert(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        advance: Callable[[float], None] | None = None,
    ) -> Inversion:
        """Find pictures (N, C, H, W) in [-1, 1], of the model's shape.

        Args:
            images: What to look for.
            labels: The class of each, (N,), for a model with classes (default: that of the picture
                that looks most alike).
            advance: Called with the share of a picture that was just done.
        """
        images = images.to(self.space.model.device).float()
        if labels is not None:
            labels = class_labels(self.space.model, labels, len(images))
        parts = [
            self._invert(batch, None if labels is None else labels[i * _BATCH :][: len(batch)],
                         advance)
            for i, batch in enumerate(images.split(_BATCH))
        ]  # fmt: skip
        points, known = torch.cat([p for p, _ in parts]), [c for _, c in parts if c is not None]
        found = torch.cat(known) if known else None
        results = self.space.draw(points, found)
        return Inversion(
            self.space.name, images, results, points, found,
            psnr(*((x + 1) * 127.5 for x in (results, images))), self.distances(results, images),
        )  # fmt: skip

    @torch.no_grad()
    def look_alikes(
        self, images: Tensor, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The points whose pictures look most like the given ones among those of 512 seeds.

        That is, coarsely: pooled to 8 x 8 pixels they differ least. Where classes are given, among
        pictures of the same class.
        """
        points, classes, seen = self._candidates
        differences = torch.cdist(_pooled(images), seen)
        if labels is not None and classes is not None:
            differences = differences.masked_fill(labels[:, None] != classes, math.inf)
        nearest = differences.argmin(1)
        return points[nearest], None if classes is None else classes[nearest]

    @torch.no_grad()
    def distances(self, images: Tensor, others: Tensor) -> Tensor:
        """How different pictures (N, C, H, W) look from others, (N,) from 0 to 1."""
        pairs = zip(images.split(_BATCH), others.split(_BATCH), strict=True)
        return torch.cat([perceptual_distance(self._look(a), self._look(b)) for a, b in pairs])

    @cached_property
    def _candidates(self) -> tuple[Tensor, Tensor | None, Tensor]:
        """Points of many seeds, their classes, and their pictures, pooled."""
        model, space = self.space.model, self.space
        n = max(_LOOK_ALIKES, 4 * len(model.classes))
        labels = class_labels(model, None, n)
        points = space.from_latents(self._samples.sample_latents(n, _FIRST_LOOK_ALIKE), labels)
        seen = torch.cat([_pooled(images) for images in space.stream(points, labels)])
        return points, labels, seen

    @cached_property
    def _scale(self) -> float:
        """The standard deviation of the space's points, over all their numbers."""
        return float(self.space.spread().square().mean().sqrt())

    def _invert(
        self, images: Tensor, labels: Tensor | None, advance: Callable[[float], None] | None
    ) -> tuple[Tensor, Tensor | None]:
        """The points of one batch, and their classes."""
        start = None
        if labels is not None or not self.space.model.classes:
            start = self.space.encode(images, labels)
        if start is None:
            start, labels = self.look_alikes(images, labels)
        return self._descend(images, start, labels, advance), labels

    def _descend(
        self,
        images: Tensor,
        start: Tensor,
        labels: Tensor | None,
        advance: Callable[[float], None] | None,
    ) -> Tensor:
        """Adam (Kingma & Ba 2015) on each point for itself, from a start (N, *shape)."""
        with torch.no_grad():
            seen = self._look(images)
        points = start.clone()
        mean, square = torch.zeros_like(points), torch.zeros_like(points)
        for step in range(self.steps):
            gradient = self._gradient(points, images, seen, labels)
            mean = _BETAS[0] * mean + (1 - _BETAS[0]) * gradient
            square = _BETAS[1] * square + (1 - _BETAS[1]) * gradient.square()
            unbiased, variance = (
                m / (1 - beta ** (step + 1)) for m, beta in zip((mean, square), _BETAS, strict=True)
            )
            rate = _RATE * self._scale * _ramp((step + 0.5) / self.steps)
            points = points - rate * unbiased / (variance.sqrt() + _EPSILON)
            if advance is not None:
                advance(len(points) / self.steps)
        return points

    def _gradient(
        self, points: Tensor, images: Tensor, seen: list[Tensor], labels: Tensor | None
    ) -> Tensor:
        """The gradient of the loss by each of the points."""
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            drawn = self.space.differentiable(points, labels)
            loss = (drawn - images).square().mean((1, 2, 3))
            loss = loss + _FEATURES * perceptual_distance(self._look(drawn), seen)
            if self.space.name == "z":
                pixels = math.prod(images.shape[1:])
                loss = loss + _PIXEL_DEVIATION**2 * points.square().sum(1) / pixels
            return torch.autograd.grad(loss.sum(), points)[0]

    def _look(self, images: Tensor) -> list[Tensor]:
        """What the fixed network makes of pictures at half their size, layer by layer."""
        maps: list[Tensor] = self.eyes(F.avg_pool2d(images, 2) if min(images.shape[2:]) >= 16
                                       else images)  # fmt: skip
        return maps


def invert(
    model: LatentModel,
    images: Tensor,
    space: SpaceName | None = None,
    *,
    labels: Tensor | None = None,
    steps: int = STEPS,
) -> Inversion:
    """Find the points whose pictures are nearest to given ones.

    Args:
        model: What `ganvas.load` returns.
        images: (N, C, H, W) in [-1, 1], of the model's shape.
        space: z, or for a StyleGAN w or w+ (default: w+ of a StyleGAN, z of any other).
        labels: The class of each, (N,), for a model with classes (default: that of what looks most
            alike).
        steps: Of the optimisation.

    Raises:
        ConfigError: A model without that space, or in which nothing can be found.
    """
    return Inverter(open_space(model, space or best_space(model)), steps).invert(images, labels)


def best_space(model: LatentModel) -> SpaceName:
    """Where most pictures can be found: w+ of a StyleGAN, z of any other."""
    return "w+" if default_space(model) == "w" else "z"


def _ramp(t: float) -> float:
    """The share of the largest rate after a share t of the steps: up over 5%, down over 25%."""
    return min(1.0, t / 0.05) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / 0.25)))


def _pooled(images: Tensor) -> Tensor:
    """Pictures (N, C, H, W) as few numbers, (N, C * 64)."""
    return F.adaptive_avg_pool2d(images.float(), _POOLED).flatten(1)
