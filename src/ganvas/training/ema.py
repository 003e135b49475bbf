"""Exponential moving average of weights, with its half-life in images."""

import contextlib
import copy
from collections.abc import Iterator

import torch
from torch import nn

from ganvas.models.base import Model


def decay(batch: int, images: int, half_life: int, ramp_up: float | None) -> float:
    """The factor of the old average for a step of `batch` images (Karras et al. 2020b, code).

    The half-life grows with the images shown, `ramp_up * images`, until it reaches `half_life`, so
    that the random initial weights are soon forgotten; with None it is `half_life` from the start.
    """
    current = half_life if ramp_up is None else min(half_life, max(images * ramp_up, 1e-8))
    return float(0.5 ** (batch / current))


class Ema:
    """Averaged copies of some of a model's networks."""

    def __init__(self, model: Model) -> None:
        self.networks = nn.ModuleDict(
            {name: copy.deepcopy(getattr(model, name)) for name in model.averaged}
        )
        self.networks.requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: Model, beta: float) -> None:
        """average = beta * average + (1 - beta) * weights; buffers of numbers likewise.

        The running statistics of batch norm are averaged with the weights they belong to; counters
        are copied.
        """
        for name, network in self.networks.items():
            source = getattr(model, name).state_dict()
            for key, average in network.state_dict().items():
                if average.is_floating_point():
                    average.lerp_(source[key], 1 - beta)
                else:
                    average.copy_(source[key])

    @contextlib.contextmanager
    def applied(self, model: Model) -> Iterator[Model]:
        """The model with its averaged networks in place, in evaluation mode."""
        raw = {name: getattr(model, name) for name in self.networks}
        was_training = model.training
        try:
            for name, network in self.networks.items():
                setattr(model, name, network)
            yield model.eval()
        finally:
            for name, network in raw.items():
                setattr(model, name, network)
            model.train(was_training)
