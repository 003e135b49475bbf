"""How far a move in a latent space is, measured by how the model's own points lie there.

The whitened coordinates u of a point x = mean + A u have covariance I, where A A^T is the
covariance of the points of many seeds. One unit of |u| is one "spread": the same for every
direction, although w, unlike z, is stretched ten times more in some directions than in others.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.latent.space import Space

_FLOOR = 1e-3
"""Smallest variance, as a share of the largest: what hardly varies must not count as far."""


@dataclass(frozen=True, eq=False)
class Metric:
    """The spread of points, for a space of dimension D.

    Attributes:
        mean: (D,).
        root: A, (D, D).
        unroot: Its inverse.
        usual: The distances |u| of the points that it was made of, (N,), ascending.
    """

    mean: Tensor
    root: Tensor
    unroot: Tensor
    usual: Tensor

    def whiten(self, moves: Tensor) -> Tensor:
        """Moves (..., D) in whitened coordinates."""
        return moves @ self.unroot.T

    def unwhiten(self, moves: Tensor) -> Tensor:
        """Moves (..., D) from whitened coordinates."""
        return moves @ self.root.T

    def lengths(self, moves: Tensor) -> Tensor:
        """Lengths of moves (..., D) in spreads: (...)."""
        lengths: Tensor = self.whiten(moves).norm(dim=-1)
        return lengths

    def normalised(self, move: Tensor) -> Tensor:
        """A move (D,) of the same direction that is one spread long."""
        return move / self.lengths(move)

    def beyond(self, points: Tensor) -> Tensor:
        """Which of points (N, D) lie further out than any it was made of: bool (N,)."""
        return self.lengths(points - self.mean) > self.usual[-1]


def metric_of(space: Space) -> Metric:
    """The metric of z or w."""
    return metric_from(space.many)


def metric_from(points: Tensor) -> Metric:
    """The metric of a cloud of points (N, D)."""
    mean = points.mean(0)
    centred = points - mean
    variances, axes = torch.linalg.eigh(centred.T @ centred / (len(points) - 1))
    deviations = variances.clamp(min=_FLOOR * float(variances[-1])).sqrt()
    unroot = axes.T / deviations[:, None]
    usual = (centred @ unroot.T).norm(dim=1).sort().values
    return Metric(mean, axes * deviations, unroot, usual)
