"""Whether a generator copies its training set."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.evaluation.blocks import check
from ganvas.evaluation.estimate import Estimate, Z, proportion
from ganvas.evaluation.manifold import nearest

_NEAR = 0.01


@dataclass(frozen=True)
class Memorisation:
    """How near fakes are to the training set, against how near new real pictures are."""

    closer: Estimate
    """Probability that a fake is nearer to its nearest training picture than a held-out real one
    is to its own: 0.5 for new pictures, 1 for copies, below 0.5 for pictures unlike the real."""
    copies: Estimate
    """Share of fakes at least as near to the training set as the nearest 1% of held-out reals:
    0.01 for new pictures."""
    pairs: list[tuple[int, int, float]]
    """(index of the fake, of its nearest training picture, their distance), closest first."""


def memorisation(train: Tensor, held_out: Tensor, fake: Tensor, pairs: int = 32) -> Memorisation:
    """Compare the distances to the nearest training picture of fakes and of held-out reals.

    `closer` is the Mann-Whitney statistic of Meehan et al. 2020, over the whole space, with the
    interval of DeLong et al. 1988 on the scale of log-odds. No single number tells copying from
    drawing too little variety (Stein et al. 2023), so look at the pairs too.

    Args:
        train: (T, F) float32 features of pictures the generator was trained on.
        held_out: (N, F) of real pictures that it was not.
        fake: (M, F).
        pairs: How many closest pairs to name, at most.

    Raises:
        DataError: A set has fewer than two samples or values that are not finite, or the numbers
            of features differ.
    """
    check(train=train, **{"held-out": held_out}, fake=fake)
    usual, _ = nearest(held_out, train)
    distances, indices = nearest(fake, train)
    threshold = torch.quantile(usual, _NEAR)
    order = distances.argsort(stable=True)[:pairs].tolist()
    return Memorisation(
        closer=_probability_less(distances, usual),
        copies=proportion(int((distances <= threshold).sum()), len(distances)),
        pairs=[(i, int(indices[i]), float(distances[i])) for i in order],
    )


def _probability_less(first: Tensor, second: Tensor) -> Estimate:
    """P(x < y) + P(x = y) / 2 for x of `first` (M,) and y of `second` (N,)."""
    larger = 1 - _rank(first, second)  # the share of `second` above each of `first`
    smaller = _rank(second, first)
    value = larger.mean().item()
    m, n = len(first), len(second)
    if value in (0.0, 1.0):  # no overlap, so no spread to see: the surest that so few can be
        least = min(m, n)
        return Estimate(value, proportion(round(value * least), least).interval)
    error = math.sqrt((larger.var() / m + smaller.var() / n).item())
    odds, half = math.log(value / (1 - value)), Z * error / (value * (1 - value))
    return Estimate(value, (_logistic(odds - half), _logistic(odds + half)))


def _rank(values: Tensor, among: Tensor) -> Tensor:
    """The share of `among` below each value, (N,) float64, equal ones counting half."""
    ordered = among.sort().values
    below = torch.searchsorted(ordered, values, right=False)
    up_to = torch.searchsorted(ordered, values, right=True)
    return (below + up_to).double() / (2 * len(among))


def _logistic(odds: float) -> float:
    """1 / (1 + exp(-odds)), for odds of any size."""
    return 0.5 * (1 + math.tanh(odds / 2))
