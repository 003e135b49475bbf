"""How different two pictures look to a network."""

from collections.abc import Sequence

import torch
from torch import Tensor

_EPS = 1e-10


def perceptual_distance(
    maps: Sequence[Tensor], others: Sequence[Tensor], weights: Sequence[Tensor] | None = None
) -> Tensor:
    """LPIPS (Zhang et al. 2018, eq. 1), or without weights one minus the cosine: (N,), in float32.

    In every layer the channels of each place are scaled to length 1; the squared differences, times
    a weight for each channel, are summed over channels, averaged over places and summed over
    layers. Without weights half of that is averaged over layers: one minus the mean cosine, from 0
    to 1 where maps are outputs of ReLUs, and as large as LPIPS is beside other losses.

    Args:
        maps: Of the first pictures, for each layer (N, C, H, W).
        others: Of the second ones.
        weights: For each layer (C,), 0 or more.

    Raises:
        ValueError: Different numbers of layers, or none.
    """
    if not maps:
        raise ValueError("a distance needs the maps of at least one layer")
    squared = [(_unit(a) - _unit(b)).square() for a, b in zip(maps, others, strict=True)]
    if weights is None:
        return 0.5 * torch.stack([layer.sum(1).mean((1, 2)) for layer in squared]).mean(0)
    pairs = zip(squared, weights, strict=True)
    weighted = [(layer * weight[:, None, None]).sum(1).mean((1, 2)) for layer, weight in pairs]
    return torch.stack(weighted).sum(0)


def _unit(maps: Tensor) -> Tensor:
    """Scaled to length 1 over channels; smoothly, since zeros have no direction."""
    maps = maps.float()
    return maps * (maps.square().sum(1, keepdim=True) + _EPS).rsqrt()
