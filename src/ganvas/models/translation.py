"""What every model that translates pictures shares: one way from an input to its output.

Domain A is what `data.source` holds, domain B the target; a direction is "AB" or "BA".
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.models.base import Model
from ganvas.models.phase import Batch
from ganvas.models.translation_config import TranslationConfig
from ganvas.networks.layers.reflection import reflected

Direction = Literal["AB", "BA"]

Uniform = Callable[..., Tensor]
"""uniform(*shape) -> (N, *shape): numbers in [0, 1), of which dropout makes its masks."""

SMALLEST = 4
"""Pixels of a side, at least."""

_LEAST = 8
"""To which smaller sides are padded: norms need two pixels at a quarter of the resolution."""

_KINDS = {1: "grey", 3: "RGB", 4: "RGBA"}


class TranslationModel(Model):
    """Generators between two domains.

    Args:
        config: Of the model.
        shape: Of domain A's pictures, (C, H, W).
        target_shape: Of domain B's, (C', H, W).
    """

    directions: ClassVar[tuple[Direction, ...]]
    """The ways it can go."""

    config: TranslationConfig

    def __init__(
        self, config: TranslationConfig, shape: tuple[int, ...], target_shape: tuple[int, ...]
    ) -> None:
        super().__init__(shape)
        self.config = config
        self.target_shape = target_shape

    @property
    @abstractmethod
    def multiple(self) -> int:
        """What the sides of a generator's input must be a multiple of; `translate` pads to it."""

    @property
    @abstractmethod
    def context(self) -> int:
        """Pixels around a tile of a large picture that its translation should have seen."""

    @abstractmethod
    def generator_of(self, direction: Direction) -> nn.Module:
        """The network that goes this way."""

    @abstractmethod
    def _generate(self, images: Tensor, direction: Direction, uniform: Uniform) -> Tensor:
        """What that network makes of images whose sides it can take."""

    def channels(self, direction: Direction) -> tuple[int, int]:
        """Those of the input and of the output."""
        a, b = self.shape[0], self.target_shape[0]
        return (a, b) if direction == "AB" else (b, a)

    @torch.no_grad()
    def translate(
        self, images: Tensor, direction: Direction = "AB", seed: int = 0, batch: int = 1
    ) -> Tensor:
        """Pictures of one domain as pictures of the other.

        There is no other way: what training shows, `ganvas translate` writes and evaluation
        measures comes from here. Pictures go through one by one, so that the result does not
        depend, not even in its last bit, on what they are translated with.

        Args:
            images: (N, C, H, W) in [-1, 1], of any sides from 4 pixels on.
            direction: "AB", or "BA" where the model has it.
            seed: Of the first picture's noise; the next ones have seed + 1, seed + 2, ...
            batch: Pictures that go through together. More than one is quicker for small pictures,
                and the same but for rounding.

        Returns:
            (N, C', H, W) float32 in [-1, 1], on the model's device.

        Raises:
            ConfigError: No such direction, wrong channels, or fewer than 4 pixels.
        """
        self._check(images, direction)
        # The memory format decides which kernels run, and so the last bits.
        self.generator_of(direction).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        outputs = [
            self.translated(part, direction, _noise(seed + i * batch, len(part), self.device))
            for i, part in enumerate(images.to(self.device, torch.float32).split(batch))
        ]
        return torch.cat(outputs)

    def translated(self, images: Tensor, direction: Direction, uniform: Uniform) -> Tensor:
        """Images padded to what the generator takes, through it, and cropped back; float32.

        The inside of `translate`, and what training goes through: many at once, with gradients.

        Args:
            images: (N, C, H, W) in [-1, 1].
            direction: Which way.
            uniform: Gives the noise of N pictures.
        """
        height, width = images.shape[2:]
        rows, columns = (self._margins(side) for side in (height, width))
        padded = reflected(reflected(images, 2, *rows), 3, *columns)
        outputs = self._generate(
            padded.contiguous(memory_format=torch.channels_last), direction, uniform
        )
        top, left = rows[0], columns[0]
        return outputs[:, :, top : top + height, left : left + width].float()

    def _margins(self, side: int) -> tuple[int, int]:
        """Pixels to add before and behind a side."""
        missing = -max(side, _LEAST) % self.multiple + max(0, _LEAST - side)
        return missing // 2, missing - missing // 2

    def _check(self, images: Tensor, direction: Direction) -> None:
        """Raise ConfigError for what cannot be translated."""
        if direction not in self.directions:
            raise ConfigError(
                f"this {self.config.name} translates {' and '.join(self.directions)}, not "
                f"{direction}: it has learnt one direction only. A cyclegan learns both."
            )
        channels = self.channels(direction)[0]
        if images.ndim != 4 or images.shape[1] != channels:
            raise ConfigError(
                f"this {self.config.name} was trained on {_KINDS[channels]} pictures ({channels} "
                f"channels) in domain {direction[0]}, and cannot take ones of "
                f"{images.shape[1] if images.ndim == 4 else 0}. Convert them first."
            )
        if min(images.shape[2:]) < SMALLEST:
            raise ConfigError(
                f"pictures of {images.shape[3]}x{images.shape[2]} pixels are too small to "
                f"translate: both sides need {SMALLEST} or more. Enlarge them first."
            )


def side_by_side(*pictures: Tensor) -> Tensor:
    """Batches (N, C, H, W) picture by picture: the first of each, the second of each, ...

    Those of differing channels become RGB: grey three times, RGBA on white.
    """
    if len({batch.shape[1] for batch in pictures}) > 1:
        pictures = tuple(_rgb(batch) for batch in pictures)
    return torch.stack(pictures, 1).flatten(0, 1)


def _rgb(images: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images.expand(-1, 3, -1, -1)
    if images.shape[1] == 3:
        return images
    return torch.lerp(torch.ones_like(images[:, :3]), images[:, :3], (images[:, 3:] + 1) / 2)


def _noise(seed: int, count: int, device: torch.device) -> Uniform:
    """The noise of pictures of the seeds seed, seed + 1, ...: the same on every device."""
    generators = [torch.Generator().manual_seed(seed + i) for i in range(count)]

    def uniform(*shape: int) -> Tensor:
        rows = [torch.rand(*shape, generator=generator) for generator in generators]
        return torch.stack(rows).to(device)

    return uniform


def targets_of(batch: Batch) -> Tensor:
    """The batch's pictures of domain B."""
    if batch.targets is None:
        raise ValueError("a model that translates needs a batch with targets")
    return batch.targets


def answers(shape: tuple[int, ...], layers: int) -> int:
    """Patches that `ganvas.networks.patchgan.PatchGan` judges in a picture (C, H, W)."""
    halved: int = 2**layers
    rows, columns = (side // halved - 2 for side in shape[1:])
    return rows * columns
