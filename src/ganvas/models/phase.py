"""What a model declares to the training loop: its phases, as data.

A phase is one kind of update: which networks it trains, on which loss, how often. The loop in
`ganvas.training.loop` runs them in order; it alone calls `.backward()` and `.step()`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from ganvas.settings import Settings

Decay = Annotated[float, Field(ge=0, lt=1)]


class Adam(Settings):
    """Settings of the Adam optimiser (Kingma & Ba 2014)."""

    learning_rate: PositiveFloat = 2e-4
    """Step size (the paper's alpha)."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Decay rates of the averages of the gradient and of its square."""
    eps: NonNegativeFloat = 1e-8
    """Added to the denominator."""


@dataclass(frozen=True)
class Draws:
    """The random numbers of one update, the same however the batch is split up.

    Numbers are drawn for the whole batch of all processes and micro-batches, of which `rows` is
    the share at hand; so two processes, or four micro-batches, see what one of each would.
    """

    generator: torch.Generator
    rows: slice
    total: int

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers (rows, *shape)."""
        return torch.randn(
            self.total, *shape, generator=self.generator, device=self.generator.device
        )[self.rows]


@dataclass
class Batch:
    """What a loss gets to see: a batch of data and the randomness of this update."""

    images: Tensor
    """(N, C, H, W) in [-1, 1], or points (N, 2)."""
    labels: Tensor | None
    """(N,) int64, or None where the data has no classes."""
    draws: Draws
    shared: dict[str, Tensor] = field(default_factory=dict)
    """What one phase of a step leaves for the next (the fakes that D just saw serve G)."""


@dataclass(frozen=True)
class Losses:
    """A scalar to minimise and its named parts, for the log."""

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """One kind of update within a step."""

    name: str
    trains: tuple[str, ...]
    """Names of the model's networks whose weights this phase changes."""
    loss: Callable[[Batch], Losses]
    optimizer: Adam
    """Shared, with its averages, by all phases that train the same networks."""
    every: int = 1
    """Run in every so many steps."""
    repeats: int = 1
    """Updates in a step, each on a fresh batch of data."""
