"""The truncation trick (Brock, Donahue & Simonyan 2019): fewer odd pictures for less variety.

Latents are drawn from a normal distribution cut off at a threshold instead of the whole. What batch
norm averaged in training belongs to the whole one, so its statistics are taken anew ("standing
statistics", appendix C): averages over forward passes with latents that are cut off alike.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.models.base import class_labels
from ganvas.networks.layers.batch_norm import standing_statistics

if TYPE_CHECKING:
    from ganvas.models.gan import Gan

_BATCHES, _BATCH = 32, 64


def truncate(latents: Tensor, threshold: float) -> Tensor:
    """Latents ~ N(0, 1) as latents of the same distribution cut off at +-threshold.

    Brock et al. draw values anew until they fall inside. This has the same distribution, but maps
    every latent to one of its own, which moves continuously with the threshold: with Phi the
    cumulative distribution, Phi^-1(Phi(-t) + Phi(z) (Phi(t) - Phi(-t))).
    """
    normal = torch.distributions.Normal(0.0, 1.0)
    t = torch.tensor(threshold, dtype=torch.float64)
    low, high = normal.cdf(-t), normal.cdf(t)
    share = low + normal.cdf(latents.double().cpu()) * (high - low)
    cut: Tensor = normal.icdf(share).clamp(-threshold, threshold)
    return cut.to(latents)


@contextmanager
def truncated_generator(model: "Gan", threshold: float) -> Iterator[Callable[[Tensor], Tensor]]:
    """Give a model a copy of its generator with the standing statistics of truncated latents."""
    if not 0 < threshold < 10:
        raise ConfigError(
            f"--truncation {threshold:g}: latents are cut off at a threshold between 0 (one "
            "picture) and about 3 (nearly all); 0.5 is usual."
        )
    original = model.generator
    model.generator = copy.deepcopy(original)
    try:
        standing_statistics(model.generator, _batches(model, threshold))
        yield lambda latents: truncate(latents, threshold)
    finally:
        model.generator = original


def _batches(model: "Gan", threshold: float) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Truncated latents and classes, the same ones every time."""
    for index in range(_BATCHES):
        latents = model.sample_latents(_BATCH, seed=index * _BATCH)
        yield truncate(latents, threshold), class_labels(model, _turns(model, index), _BATCH)


def _turns(model: "Gan", index: int) -> Tensor | None:
    """The classes of a batch: all in turn, also where there are more than one batch holds."""
    if not model.classes:
        return None
    return torch.arange(index * _BATCH, (index + 1) * _BATCH) % len(model.classes)
