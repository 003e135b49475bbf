"""What autoencoders share whose latents are a small map: the first stage of latent diffusion.

Pictures whose sides are no multiples of what the networks halve them by are mirrored beyond their
border, and cropped afterwards, so that every size will do.
"""

from abc import abstractmethod
from math import prod
from typing import ClassVar, Literal

from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.models.base import LatentModel, ModelSettings, alternate, class_labels
from ganvas.networks import image_shape
from ganvas.networks.layers.reflection import reflected

Factor = Literal[2, 4, 8, 16]
"""How many times smaller than a picture its map of latents is, each way."""

_SMALLEST = 4


class FirstStageConfig(ModelSettings):
    """What the settings of such models share."""

    conditional: ClassVar[bool] = False


class FirstStage(LatentModel):
    """An encoder to maps and a decoder of maps.

    Args:
        shape: Of a picture, (C, H, W).
        latent_channels: Numbers at each place of a map.
        factor: How many times smaller it is.

    Raises:
        ConfigError: The data are points, or pictures of less than 4 pixels each way.
    """

    def __init__(self, shape: tuple[int, ...], latent_channels: int, factor: Factor) -> None:
        super().__init__(shape)
        _, *sides = image_shape(shape)
        if min(sides) < _SMALLEST:
            raise ConfigError(
                f"pictures of {sides[1]}x{sides[0]} pixels are too small for this model: both "
                f"sides need {_SMALLEST} or more. Enlarge them with --resolution."
            )
        grid = [-(-side // factor) for side in sides]
        self.latent_shape = (latent_channels, grid[0], grid[1])
        """(C, h, w) of the map that a row of latents is."""
        self.latent_size = prod(self.latent_shape)
        extra = [cells * factor - side for cells, side in zip(grid, sides, strict=True)]
        self._margins = [(pixels // 2, pixels - pixels // 2) for pixels in extra]

    @abstractmethod
    def maps_of(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] -> maps (N, *latent_shape)."""

    @abstractmethod
    def pictures_of(self, maps: Tensor) -> Tensor:
        """Maps (N, *latent_shape) -> images (N, C, H, W), not yet brought to [-1, 1]."""

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The maps of images, flattened: (N, latent_size)."""
        return self.maps_of(images).flatten(1)

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """The images of flattened maps (N, latent_size)."""
        class_labels(self, labels, len(latents))
        return self.pictures_of(latents.reshape(-1, *self.latent_shape)).clamp(-1, 1)

    def padded(self, images: Tensor) -> Tensor:
        """Images with sides that the encoder can halve."""
        for axis, (before, behind) in enumerate(self._margins, start=2):
            images = reflected(images, axis, before, behind)
        return images

    def cropped(self, images: Tensor) -> Tensor:
        """What the decoder made of them, at their size."""
        for axis, (before, _) in enumerate(self._margins, start=2):
            images = images.narrow(axis, before, self.shape[axis - 1])
        return images

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        """Images and their reconstructions in turn."""
        return alternate(images, self.decode(self.encode(images)))
