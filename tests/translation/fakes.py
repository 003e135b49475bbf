"""A model that translates without having learned anything, for tests of what is around it."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganvas.models.phase import Phase
from ganvas.models.translation import Direction, TranslationModel, Uniform
from ganvas.models.translation_config import CycleGanConfig


class Inverter(TranslationModel):
    """Blurs and inverts pictures, and adds noise: all of it depends on the neighbours alone.

    Args:
        shape: Of domain A.
        target_shape: Of domain B.
        noise: How much of it.
        reach: A pixel depends on those that are so many pixels away, and on none beyond.
    """

    averaged = ()
    directions: ClassVar[tuple[Direction, ...]] = ("AB", "BA")

    def __init__(
        self,
        shape: tuple[int, ...] = (3, 32, 32),
        target_shape: tuple[int, ...] = (3, 32, 32),
        noise: float = 0.0,
        reach: int = 4,
    ) -> None:
        super().__init__(CycleGanConfig(), shape, target_shape)
        self.noise, self.reach = noise, reach
        self.generator = nn.Linear(1, 1)
        self.seen: list[tuple[int, ...]] = []
        """The size of everything that went through it."""

    @property
    def multiple(self) -> int:
        return 8

    @property
    def context(self) -> int:
        return self.reach

    def generator_of(self, direction: Direction) -> nn.Module:
        return self.generator

    def phases(self) -> tuple[Phase, ...]:
        raise NotImplementedError

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        raise NotImplementedError

    def _generate(self, images: Tensor, direction: Direction, uniform: Uniform) -> Tensor:
        self.seen.append(tuple(images.shape))
        outputs = self.channels(direction)[1]
        side = 2 * self.reach + 1
        padded = functional.pad(images, (self.reach,) * 4, mode="reflect")
        blurred = functional.avg_pool2d(padded, side, stride=1)
        mixed = (images + blurred).mean(1, keepdim=True).expand(-1, outputs, -1, -1) / -2
        return mixed + self.noise * (uniform(outputs, *images.shape[2:]) - 0.5)


class Diverged(Inverter):
    """What comes out of weights that are not finite."""

    def _generate(self, images: Tensor, direction: Direction, uniform: Uniform) -> Tensor:
        return super()._generate(images, direction, uniform) * torch.nan


class TooLarge(Inverter):
    """Never has enough memory."""

    def _generate(self, images: Tensor, direction: Direction, uniform: Uniform) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 B")
