"""What a model declares to the training loop: its phases, as data.

A phase is one kind of update: which networks it trains, on which loss, how often. The loop in
`ganvas.training.loop` runs them in order; it alone calls `.backward()` and `.step()`.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from ganvas.models.schedule import Decay, MovingDecay, Rate
from ganvas.settings import Settings


class Adam(Settings):
    """Settings of the Adam optimiser (Kingma & Ba 2014)."""

    learning_rate: Rate = 2e-4
    """Step size (the paper's alpha): a number, or {start: ..., end: ...} to move over the run."""
    betas: tuple[Decay, MovingDecay] = (0.9, 0.999)
    """Decay rates of the averages of the gradient and of its square."""
    eps: NonNegativeFloat = 1e-8
    """Added to the denominator."""
    max_gradient_norm: PositiveFloat | None = None
    """Scale a longer gradient, of all weights together, down to this length."""


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

    def uniform(self, *shape: int) -> Tensor:
        """Numbers (rows, *shape), equally likely anywhere in [0, 1)."""
        return torch.rand(
            self.total, *shape, generator=self.generator, device=self.generator.device
        )[self.rows]

    def fork(self, name: str) -> "Draws":
        """Another stream of numbers, which does not depend on what was drawn from this one.

        Every phase of a step begins with the same numbers, so that it can draw the same latents;
        what must differ between them (augmentations, or G would know how D will see its fakes)
        comes from a stream of its own.
        """
        seed = derive_seed(self.generator.initial_seed(), name)
        generator = torch.Generator(self.generator.device).manual_seed(seed)
        return Draws(generator, self.rows, self.total)


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on all parts."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


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
    progress: float = 0.0
    """The share of the training that lies behind, in [0, 1)."""
    averages: Callable[[nn.Parameter], Mapping[str, Tensor]] = lambda parameter: {}
    """What the optimiser has gathered of a parameter, for losses that look some steps ahead."""
    targets: Tensor | None = None
    """Pictures of the second domain, (N, C', H', W') in [-1, 1], for models that translate: each
    the partner of the image in its row where the model learns from pairs, else any."""
    captions: Tensor | None = None
    """The numbers of the words of each picture's caption, (N, L) int64, for models that read."""


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
    begin: float = 0.0
    """The share of the training before which it does not run."""
    after: Callable[[Mapping[str, Tensor], int], None] | None = None
    """Called after each update with the parts of its loss, as means over the whole batch, and the
    number of images in it: to clip weights, or to adapt what the loss will do next."""
    present: Callable[[float], Collection[nn.Parameter]] | None = None
    """Which weights of these networks there are after a share of the training, where some are yet
    to come. The others get no update, not even by 0, with which Adam would age its averages."""
