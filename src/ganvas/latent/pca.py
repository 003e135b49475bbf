"""Principal components as directions: GANSpace (Härkönen et al. 2020).

Of a StyleGAN those of w (section 2.1). Of other models those of the activations behind the first
layer, with the direction in z by which each grows, from least squares:
u_k = argmin_u sum_j |u x_kj - z_j|^2, that is, sum_j x_kj z_j over sum_j x_kj^2.
"""

import torch
from torch import Tensor

from ganvas.latent.directions import Direction
from ganvas.latent.first_layer import first_activations
from ganvas.latent.metric import metric_of
from ganvas.latent.space import Space

_LATENTS = 2_048


def principal_directions(space: Space, count: int) -> list[Direction]:
    """The first `count` components, by the variance that they explain.

    Raises:
        ConfigError: z of a StyleGAN, or latent diffusion.
    """
    metric = metric_of(space)
    points = space.many
    seen = points if space.name == "w" else first_activations(space.model, points[:_LATENTS])
    centred = seen - seen.mean(0)
    coordinates, singular, axes = torch.linalg.svd(centred, full_matrices=False)
    shares = singular.square() / singular.square().sum()
    vectors = (
        axes
        if space.name == "w"
        else _least_squares(points[:_LATENTS] - points[:_LATENTS].mean(0), coordinates)
    )
    return [
        Direction(
            f"pca-{space.name}-{i + 1}", space.name, "pca", metric.normalised(vectors[i]),
            f"principal component {i + 1} of {_of(space)}", explained=float(shares[i]),
        )
        for i in range(min(count, len(vectors), len(points[0])))
    ]  # fmt: skip


def _least_squares(latents: Tensor, coordinates: Tensor) -> Tensor:
    """For each coordinate x_k (N, K), of orthonormal columns, the least-squares u_k: (K, D)."""
    return coordinates.T @ latents


def _of(space: Space) -> str:
    return "w" if space.name == "w" else "the first layer's activations"
