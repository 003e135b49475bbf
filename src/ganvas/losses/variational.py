"""The terms of the evidence lower bound."""

import math

import torch
from torch import Tensor


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)) in nats by dimension, shape of the inputs.

    Kingma & Welling 2013, appendix B: -1/2 (1 + log s^2 - m^2 - s^2). Sum over dimensions and
    average over the batch for the bound; the single dimensions show which of them are in use.
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp())


def reparameterise(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """z = m + s * e, a differentiable sample of q(z|x) (Kingma & Welling 2013, section 2.4)."""
    return mean + (0.5 * log_variance).exp() * noise


def log_prior_over_posterior(z: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """log p(z) - log q(z|x) in nats, summed over the last dimension, for z = m + s * noise.

    The constants cancel, and (z - m) / s is the noise: -1/2 (z^2 - e^2 - log s^2).

    Args:
        z: (..., D).
        log_variance: log s^2, which broadcasts against it.
        noise: e, the shape of z.
    """
    return -0.5 * (z.square() - noise.square() - log_variance).sum(-1)


def importance_bound(log_weights: Tensor) -> Tensor:
    """log 1/k sum_i w_i, a lower bound on log p(x) that rises with k, (N,), in float32 or better.

    Burda, Grosse & Salakhutdinov 2016, eq. 8, with w_i = p(x, z_i) / q(z_i|x).

    Args:
        log_weights: log w, (N, k).
    """
    wide = log_weights.to(torch.promote_types(log_weights.dtype, torch.float32))
    return wide.logsumexp(1) - math.log(wide.shape[1])
