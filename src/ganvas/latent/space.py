"""The spaces that pictures of a model have coordinates in: z, and for a StyleGAN w and w+.

z is what a model draws from; w is what a StyleGAN maps it to, one style for all layers, where a
direction means more nearly one thing (Karras et al. 2019, section 4); w+ is one style a layer
(Abdal, Qin & Wonka 2019), in which most pictures can be found. What explores a model does so over
one of these and asks nothing else of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.latent.styles import in_all_layers, without_styles
from ganvas.models.base import (
    Diffuses,
    Encodes,
    LatentModel,
    Noise,
    Samples,
    Styles,
    class_labels,
    required_labels,
)

SpaceName = Literal["z", "w", "w+"]

SPACES: tuple[SpaceName, ...] = ("z", "w", "w+")
"""From what is drawn to what is shown: a point of one has a point in each of the later ones."""

_BATCH = 16
"""Pictures at once: the finest layers of large ones take gigabytes."""

_FIRST_OF_MANY, _MANY = 10_000_000, 4_096
"""The seeds that a space is measured with, which nobody gives by hand."""


class Space(ABC):
    """One space of one model.

    Args:
        model: What `ganvas.load` returns.

    Attributes:
        name: z, w or w+.
        shape: Of a point: (latent_size,), or (layers, latent_size) in w+.
    """

    name: ClassVar[SpaceName]
    shape: tuple[int, ...]

    def __init__(self, model: LatentModel) -> None:
        self.model = model
        self.shape = (model.latent_size,)

    @torch.no_grad()
    def points(self, seeds: Sequence[int], labels: Tensor | None = None) -> Tensor:
        """The points (N, *shape) whose pictures `sample` draws of these seeds.

        Args:
            seeds: One may come twice.
            labels: (N,), for a model with classes (default: every class in turn).

        Raises:
            ConfigError: No seeds, or a model without a distribution to draw from.
        """
        if not isinstance(self.model, Samples):
            raise ConfigError(
                "a plain autoencoder has no distribution to draw latents from, so seeds say "
                "nothing to it; start from pictures instead: --images FOLDER."
            )
        if not seeds:
            raise ConfigError("no seeds are given: name at least one, e.g. 1,2,3.")
        latents = torch.cat([self.model.sample_latents(1, seed) for seed in seeds])
        return self.from_latents(latents, labels)

    def draw(
        self, points: Tensor, labels: Tensor | None = None, noise: Noise = "constant"
    ) -> Tensor:
        """The pictures of any number of points, without gradients.

        Args:
            points: (N, *shape).
            labels: (N,), for a model with classes, or (N, L) tokens of captions; a StyleGAN has
                its classes in w, so there they say nothing.
            noise: What a StyleGAN adds to its maps; random is that of seed 0 for the first picture,
                of 1 for the next.

        Returns:
            (N, C, H, W) float32 in [-1, 1], or points of a plane (N, 2).

        Raises:
            ConfigError: Noise for a model that has none.
        """
        return torch.cat([*self.stream(points, labels, noise)])

    @torch.no_grad()
    def stream(
        self, points: Tensor, labels: Tensor | None = None, noise: Noise = "constant"
    ) -> Iterator[Tensor]:
        """What `draw` gives, a batch at a time: for films longer than the memory."""
        points = points.to(self.model.device)
        if noise != "constant" and not (isinstance(self.model, Styles) and self.model.noise_shapes):
            raise ConfigError(f"noise {noise}: this model adds none to its maps. Leave it out.")
        for start in range(0, len(points), _BATCH):
            part = slice(start, start + _BATCH)
            chosen = None if labels is None else labels[part]
            yield self._pictures(points[part], chosen, noise, start).float()

    def differentiable(self, points: Tensor, labels: Tensor | None = None) -> Tensor:
        """The pictures of one batch, with gradients by the points.

        Raises:
            ConfigError: The model draws in many steps, or has points only in a codebook: it has no
                gradients.
        """
        if isinstance(self.model, Diffuses):
            raise ConfigError(
                "latent diffusion draws a picture in many steps and has no gradients by where it "
                "starts, so points cannot be optimised. Models that can: a gan, a stylegan, a vae."
            )
        images = self._pictures(points, labels, "constant", 0)
        if points.requires_grad and not images.requires_grad:
            raise ConfigError(
                f"pictures of this model, a {type(self.model).__name__}, have no gradients by its "
                "latents, so points cannot be optimised. `ganvas reconstruct` shows what its "
                "encoder finds."
            )
        return images.float()

    def check_gradients(self) -> None:
        """Raise ConfigError for a model without gradients by its points, before anything slow."""
        origin = torch.zeros(1, *self.shape, device=self.model.device, requires_grad=True)
        self.differentiable(origin, class_labels(self.model, None, 1))

    @torch.no_grad()
    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor | None:
        """The points (N, *shape) that the model's encoder finds for images; None without one.

        Args:
            images: (N, C, H, W) in [-1, 1], of the model's shape.
            labels: (N,), for a model with classes.

        Raises:
            ConfigError: A model with classes gets no labels.
        """
        if not isinstance(self.model, Encodes):
            return None
        images = images.to(self.model.device)
        latents = self.model.encode(images, required_labels(self.model, labels)).float()
        return self.from_latents(latents, labels)

    def mean(self) -> Tensor:
        """The mean of the points of many seeds (and all classes), `shape`."""
        return self.many.mean(0)

    def spread(self) -> Tensor:
        """The standard deviation of each coordinate over many seeds (and all classes), `shape`."""
        return self.many.std(0)

    @cached_property
    @torch.no_grad()
    def many(self) -> Tensor:
        """Points of many seeds and all classes in turn, (4096, *shape): what is usual here."""
        if not isinstance(self.model, Samples):
            return self.points([0])  # says why there are none
        return self.from_latents(self.model.sample_latents(_MANY, _FIRST_OF_MANY), None)

    def lift(self, points: Tensor, of: SpaceName, labels: Tensor | None = None) -> Tensor:
        """Points of an earlier space as points of this one: the same pictures.

        Args:
            points: (N, ...) of the space `of`.
            of: z, w or w+.
            labels: (N,), for a model with classes: z has its w by the class.

        Raises:
            ConfigError: `of` is a later space, from which there is no way back.
        """
        if SPACES.index(of) > SPACES.index(self.name):
            raise ConfigError(
                f"points of {of} have no counterpart in {self.name}: explore them with "
                f"--space {of}."
            )
        points = points.to(self.model.device)
        if of == self.name:
            return points
        if of == "z":
            return self.from_latents(points, labels)
        return self._from_w(points)

    @abstractmethod
    def from_latents(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """The points (N, *shape) of latents z (N, latent_size)."""

    def _from_w(self, points: Tensor) -> Tensor:
        """The points of styles w (N, latent_size)."""
        return points

    @abstractmethod
    def _pictures(self, points: Tensor, labels: Tensor | None, noise: Noise, seed: int) -> Tensor:
        """The pictures of one batch."""


class Latents(Space):
    """z, of every model."""

    name: ClassVar[SpaceName] = "z"

    def from_latents(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """The latents themselves."""
        return latents

    def _pictures(self, points: Tensor, labels: Tensor | None, noise: Noise, seed: int) -> Tensor:
        model = self.model
        if not isinstance(model, Styles):
            return model.decode(points, labels)
        return model.synthesise(in_all_layers(model, model.map(points, labels)), noise, seed)


class StyleSpace(Space):
    """w: one style for all layers of a picture."""

    name: ClassVar[SpaceName] = "w"

    def __init__(self, model: LatentModel) -> None:
        if not isinstance(model, Styles):
            raise without_styles(f"be explored in {self.name} (--space {self.name})")
        super().__init__(model)
        self.styles: Styles = model

    @torch.no_grad()
    def from_latents(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """What the mapping makes of them."""
        chosen = class_labels(self.model, labels, len(latents))
        return self._from_w(self.styles.map(latents, chosen))

    def mean(self) -> Tensor:
        """The centre of w, which truncation pulls towards, `shape`."""
        return self._from_w(self.styles.centre()[None])[0]

    def _pictures(self, points: Tensor, labels: Tensor | None, noise: Noise, seed: int) -> Tensor:
        return self.styles.synthesise(in_all_layers(self.styles, points), noise, seed)


class LayerStyles(StyleSpace):
    """w+: a style for each layer."""

    name: ClassVar[SpaceName] = "w+"

    def __init__(self, model: LatentModel) -> None:
        super().__init__(model)
        self.shape = (self.styles.layers, model.latent_size)

    def _from_w(self, points: Tensor) -> Tensor:
        return in_all_layers(self.styles, points)

    def _pictures(self, points: Tensor, labels: Tensor | None, noise: Noise, seed: int) -> Tensor:
        return self.styles.synthesise(points, noise, seed)


def open_space(model: LatentModel, name: SpaceName) -> Space:
    """A space of a model.

    Raises:
        ConfigError: The model has no styles, and so neither w nor w+.
    """
    spaces: dict[SpaceName, type[Space]] = {"z": Latents, "w": StyleSpace, "w+": LayerStyles}
    return spaces[name](model)


def default_space(model: LatentModel) -> SpaceName:
    """Where a model is best explored: w of a StyleGAN, z of any other."""
    return "w" if isinstance(model, Styles) else "z"
