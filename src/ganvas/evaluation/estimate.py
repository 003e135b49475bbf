"""A measured number with its 95% confidence interval."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

Z = 1.959963984540054
"""The 97.5% quantile of the standard normal distribution."""


@dataclass(frozen=True)
class Estimate:
    """A value and, where it is known, the interval that covers the truth in 95% of all samples."""

    value: float
    interval: tuple[float, float] | None = None


def proportion(hits: int, total: int) -> Estimate:
    """A share of independent trials with Wilson's interval (Wilson 1927)."""
    p, z2 = hits / total, Z * Z
    centre = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = Z / (1 + z2 / total) * math.sqrt(p * (1 - p) / total + z2 / (4 * total**2))
    return Estimate(p, (max(0.0, centre - half), min(1.0, centre + half)))


def mean(values: Tensor) -> Estimate:
    """The mean of independent values (N,), N >= 2, with the normal interval."""
    values = values.to(torch.float64)
    centre = values.mean().item()
    half = Z * values.std().item() / math.sqrt(len(values))
    return Estimate(centre, (centre - half, centre + half))
