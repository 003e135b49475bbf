"""How far a reconstruction is from its image, per sample."""

import math

from torch import Tensor


def squared_error(target: Tensor, output: Tensor) -> Tensor:
    """Sum over all elements of (target - output)^2, shape (N,), for inputs (N, ...)."""
    return (target - output).square().flatten(1).sum(1)


def absolute_error(target: Tensor, output: Tensor) -> Tensor:
    """Mean over all elements of |target - output|, shape (N,), for inputs (N, ...).

    The L1 distance of Isola et al. 2017, eq. 3, and Zhu et al. 2017, eq. 2, which the authors of
    both take as a mean over the values of a picture: their weights (100, 10) belong to that.
    """
    return (target - output).abs().flatten(1).mean(1)


def gaussian_nll(target: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """-log N(target; mean, exp(log_variance) I) in nats, summed over elements, shape (N,).

    Kingma & Welling 2013, appendix C.2, eq. 10, with one variance shared by all elements
    (`log_variance` is a scalar) or one for each (it broadcasts against `target`). The scale of the
    reconstruction against the KL term is right by construction: no weight to tune.
    """
    squared = (target - mean).square() / log_variance.exp()
    return 0.5 * (squared + log_variance + math.log(2 * math.pi)).flatten(1).sum(1)
