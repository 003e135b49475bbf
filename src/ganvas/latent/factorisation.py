"""Directions from the weights alone: SeFa (Shen & Zhou 2021).

What z or w meets first is an affine map A, and a picture changes most along the directions n that
A stretches most: the eigenvectors of A^T A with the largest eigenvalues. Of a StyleGAN A
stacks the maps from w to the style of every layer; of other models it is the first layer.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ganvas.latent.directions import Direction
from ganvas.latent.first_layer import first_activations
from ganvas.latent.metric import metric_of
from ganvas.latent.space import Space
from ganvas.models.base import LatentModel
from ganvas.models.stylegan import StyleGan
from ganvas.networks.layers.equalised import EqualisedLinear


def factorised_directions(space: Space, count: int) -> list[Direction]:
    """The first `count` eigenvectors, by the share of the squared response that is along them.

    Raises:
        ConfigError: z of a StyleGAN, or latent diffusion.
    """
    model = space.model
    matrix = _style_maps(model) if space.name == "w" else _first_map(model)
    values, axes = torch.linalg.eigh(matrix.T @ matrix)
    shares = values.clamp(min=0) / values.clamp(min=0).sum()
    metric = metric_of(space)
    return [
        Direction(
            f"sefa-{space.name}-{i + 1}", space.name, "sefa",
            metric.normalised(axes[:, -1 - i]), f"eigenvector {i + 1} of the first weights",
            explained=float(shares[-1 - i]),
        )
        for i in range(min(count, len(values)))
    ]  # fmt: skip


def _first_map(model: LatentModel) -> Tensor:
    """The matrix A (features, latent_size) of the first layer, which is affine."""
    units = torch.eye(model.latent_size, device=model.device)
    seen = first_activations(model, torch.cat([torch.zeros_like(units[:1]), units]))
    return (seen[1:] - seen[0]).T


def _style_maps(model: LatentModel) -> Tensor:
    """The maps from w to all styles, stacked: (styles, latent_size)."""
    assert isinstance(model, StyleGan)
    return torch.cat(
        [layer.weight.detach() for layer in _affine(model.generator.synthesis, model.latent_size)]
    )


def _affine(synthesis: nn.Module, inputs: int) -> Iterator[EqualisedLinear]:
    """The layers that take w."""
    for module in synthesis.modules():
        if isinstance(module, EqualisedLinear) and module.weight.shape[1] == inputs:
            yield module
