"""log p(x|z) of a picture in nats, for what a decoder may say of its values.

Bernoulli and discretised logistic give the probability (mass) of a picture with 2 or 256 levels;
the Gaussian (`ganvas.losses.reconstruction.gaussian_nll`) gives a density, which is no probability:
`density_to_mass` says what has to be done before the two may be compared.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

HALF_LEVEL = 1 / 255
"""Half the distance between two of 256 levels in [-1, 1]."""


def bernoulli_nll(target: Tensor, logits: Tensor) -> Tensor:
    """-log p(x|z) in nats, summed over values, (N,), where sigmoid(logits) = P(white).

    Kingma & Welling 2013, appendix C.1, eq. 11. A target between black (-1) and white (1) is taken
    for the probability of white: the result is then the mean over all binarisations of it.

    Args:
        target: (N, ...) in [-1, 1].
        logits: The same shape.
    """
    white = (target + 1) / 2
    return torch.addcmul(F.softplus(logits), white, logits, value=-1).flatten(1).sum(1)


def discretised_logistic_nll(target: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """-log p(x|z) in nats, summed over values, (N,): the logistic's mass between level edges.

    Salimans et al. 2017, eq. 2, after Kingma et al. 2016: of the 256 levels in [-1, 1] the lowest
    takes all mass below it, too, the highest all above, so that the masses sum to 1. With the edges
    a < b of a level in units of the scale,

        sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)),

    which float32 can take the logarithm of however far from the mean the level lies.

    Args:
        target: (N, ...) in [-1, 1].
        mean: The same shape, of the logistic before it is cut into levels.
        log_scale: Broadcasts against them.
    """
    scale = log_scale.exp()
    above = (target - mean + HALF_LEVEL) / scale
    below = (target - mean - HALF_LEVEL) / scale
    within = torch.log(-torch.expm1(-2 * HALF_LEVEL / scale))
    lowest, highest = target < -1 + HALF_LEVEL, target > 1 - HALF_LEVEL
    masses = (
        torch.where(highest, 0.0, F.logsigmoid(above))
        + torch.where(lowest, 0.0, F.logsigmoid(-below))
        + torch.where(lowest | highest, 0.0, within)
    )
    return -masses.flatten(1).sum(1)


def dequantise(target: Tensor, uniform: Tensor) -> Tensor:
    """Spread 8-bit pictures in [-1, 1] evenly over their levels.

    Args:
        target: (N, ...) in [-1, 1].
        uniform: The same shape, in [0, 1).
    """
    return target + (2 * uniform - 1) * HALF_LEVEL


def density_to_mass(nll: Tensor, values: int) -> Tensor:
    """A bound on -log P(8-bit picture), from -log p of the dequantised picture in [-1, 1].

    Theis, van den Oord & Bethge 2016, section 3.1: with u even over the level of width w,
    log P(x) >= E_u[log p(x + u)] + D log w, where w = 2/255 and D counts the values.

    Args:
        nll: (N,) in nats.
        values: D.
    """
    return nll - values * math.log(2 * HALF_LEVEL)
