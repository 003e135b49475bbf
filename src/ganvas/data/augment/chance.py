"""The dice of an augmentation: random numbers by sample, applied with a probability.

How many numbers are drawn, and in which order, depends on the code alone and never on a value: so a
GPU need not be waited for, the functions can be compiled, and a sample sees the same numbers
however the batch is split.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Random(Protocol):
    """Where random numbers come from; N is the batch of images they are for."""

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers (N, *shape), float32, on the images' device."""
        ...

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers of [0, 1), (N, *shape), float32, on the images' device."""
        ...


@dataclass(frozen=True)
class Dice:
    """The distributions of Karras et al. 2020a, appendix B: one value for each image."""

    draws: Random
    strength: Tensor
    """p in [0, 1], a scalar: the probability of each transformation."""

    def sometimes(self, value: Tensor, neutral: float, p: Tensor | None = None) -> Tensor:
        """`value` (N, ...) with probability p (the strength by default), else what does nothing."""
        applied = self.draws.uniform() < (self.strength if p is None else p)
        return torch.where(applied.reshape(-1, *[1] * (value.ndim - 1)), value, neutral)

    def integer(self, count: int) -> Tensor:
        """U{0, count - 1}, as float32 (N,)."""
        return (self.draws.uniform() * count).floor()

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """U(low, high), (N, *shape)."""
        return low + (high - low) * self.draws.uniform(*shape)

    def normal(self, deviation: float, *shape: int) -> Tensor:
        """N(0, deviation^2), (N, *shape)."""
        return deviation * self.draws.normal(*shape)

    def lognormal(self, octaves: float) -> Tensor:
        """Lognormal(0, (octaves ln 2)^2), which is 2^N(0, octaves^2), (N,)."""
        return torch.exp2(self.normal(octaves))
