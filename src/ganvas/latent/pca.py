"""Principal components as directions: GANSpace (Härkönen et al. 2020).

Of a StyleGAN those of w (section 2.1). Of other models those of the activations behind the first
layer, with the direction in z by which each grows, from least squares:
u_k = argmin_u sum_j |u x_kj - z_j|^2, that is, sum_j x_kj z_j over sum_j x_kj^2.
"""

import torch

from ganvas.latent.directions import Direction
from ganvas.latent.first_layer import first_activations
from ganvas.latent.metric import metric_of
from ganvas.latent.space import Space

_LATENTS = 1_024


def principal_directions(space: Space, count: int) -> list[Direction]:
    """The first `count` components, by the variance that they explain.

    Raises:
        ConfigError: z of a StyleGAN, or latent diffusion.
    """
    metric = metric_of(space)
    if space.name == "w":
        centred = space.many - space.many.mean(0)
        values, axes = torch.linalg.eigh(centred.T @ centred)
        vectors = axes.T
    else:
        points = space.many[:_LATENTS]
        seen = first_activations(space.model, points)
        centred = seen - seen.mean(0)
        values, coordinates = torch.linalg.eigh(centred @ centred.T)  # fewer than the activations
        vectors = coordinates.T @ (points - points.mean(0))
    shares = values.clamp(min=0) / values.clamp(min=0).sum()
    return [
        Direction(
            f"pca-{space.name}-{i}",
            space.name,
            "pca",
            metric.normalised(vectors[-i]),
            f"principal component {i} of {_of(space)}",
            explained=float(shares[-i]),
        )
        for i in range(1, 1 + min(count, *space.shape))
    ]


def _of(space: Space) -> str:
    return "w" if space.name == "w" else "the first layer's activations"
