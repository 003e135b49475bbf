"""The terms of the evidence lower bound."""

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
