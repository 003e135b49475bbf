"""The Fréchet distance between two sets of features: FID when the features are Inception's."""

import math

import torch
from torch import Tensor

from ganvas.evaluation.blocks import average, check, spans

_ROUNDING = 16 * torch.finfo(torch.float64).eps
"""Eigenvalues below this share of the largest are 0 but for rounding; their roots would count."""


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """The squared Fréchet distance of the normal distributions that have the sets' moments.

    d² = |μ₁ - μ₂|² + Tr(Σ₁) + Tr(Σ₂) - 2 Tr((Σ₁ Σ₂)^½)
    (Dowson & Landau 1982; as a score of generators, Heusel et al. 2017, eq. 6).

    With Σ₁ = AᵀA and Σ₂ = BᵀB the last trace is the sum of the singular values of ABᵀ, that is, of
    the roots of the eigenvalues of a symmetric matrix: real and not negative whatever the number of
    samples. With fewer samples than features A holds the centred samples themselves, so that no
    singular matrix of F x F is ever taken apart.

    Args:
        real: (N, F) float32.
        fake: (M, F) float32.

    Returns:
        At least 0, in squared units of the features. It falls as the sets grow, so compare it
        only at equal N and M.

    Raises:
        DataError: A set has fewer than two samples or values that are not finite, or the numbers
            of features differ.
    """
    check(real=real, fake=fake)
    mean, root = _moments(real)
    fake_mean, fake_root = _moments(fake)
    product = root @ fake_root.T
    gram = _gram(product if len(product) >= product.shape[1] else product.T)
    eigenvalues = torch.linalg.eigvalsh(gram)  # ascending
    certain = eigenvalues > _ROUNDING * eigenvalues[-1]
    shared = eigenvalues[certain].sqrt().sum()
    spread = root.square().sum() + fake_root.square().sum()
    distance = (mean - fake_mean).square().sum() + spread - 2 * shared
    return max(0.0, float(distance))


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (F,) and a root A (min(N, F), F) of the unbiased covariance AᵀA, in float64."""
    mean = average(values)
    scale = math.sqrt(len(values) - 1)
    if len(values) <= len(mean):
        return mean, (values.double() - mean) / scale
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for span in spans(len(values)):
        covariance += _gram((values[span].double() - mean) / scale)
    root, failed = torch.linalg.cholesky_ex(covariance, upper=True)
    if failed:  # features that are constant, or combinations of others
        eigenvalues, vectors = torch.linalg.eigh(covariance)
        root = eigenvalues.clamp(min=0).sqrt()[:, None] * vectors.T
    return mean, root


def _gram(values: Tensor) -> Tensor:
    """xᵀx (F, F) of x (N, F). NumPy sees that it is symmetric and does half the work of torch."""
    x = values.numpy()
    return torch.from_numpy(x.T @ x)
