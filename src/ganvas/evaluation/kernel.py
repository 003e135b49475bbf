"""Distances by kernels, which are unbiased at any number of samples: KID and energy distance."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.evaluation.blocks import check, pack, products, spans
from ganvas.evaluation.estimate import Estimate, Z

Kernel = Callable[[Tensor, Tensor], Tensor]
"""From two blocks of samples to the kernel (A, B) of every pair."""


def kernel_distance(real: Tensor, fake: Tensor) -> Estimate:
    """The kernel distance (KID when the features are Inception's) with its 95% interval.

    It is the unbiased estimate of MMD² over all pairs of samples, with the kernel
    (x·y / F + 1)³ (Bińkowski et al. 2018). Features that are the same in distribution
    have 0 on average, so it can be negative.

    Args:
        real: (N, F) float32.
        fake: (M, F) float32.

    Returns:
        The distance. Its interval is None below four samples, which do not show their spread.

    Raises:
        DataError: A set has fewer than two samples or values that are not finite, or the numbers
            of features differ.
    """
    check(real=real, fake=fake)
    size = real.shape[1]

    def kernel(first: Tensor, second: Tensor) -> Tensor:
        # Without the constant 1 of the cube, which leaves the distance as it is and would cost
        # digits where features are small: (g + 1)³ - 1 = g (g (g + 3) + 3).
        g = products(first, second).div_(size)
        return (g + 3).mul_(g).add_(3).mul_(g)

    return _mmd2([pack(b) for b in _split(real)], [pack(b) for b in _split(fake)], kernel)


def energy_distance(real: Tensor, fake: Tensor) -> Estimate:
    """The energy distance of points with its 95% interval (Székely & Rizzo 2013).

    2 E|x - y| - E|x - x'| - E|y - y'|, estimated without bias: 0 on average for two samples of one
    distribution, and larger for any other (it is MMD² with the kernel -|x - y|; Sejdinovic et al.
    2013). Meant for few dimensions: every distance is computed by its differences.

    Args:
        real: (N, F) float32.
        fake: (M, F) float32.

    Returns:
        The distance, in units of the points; the interval is None below four samples.

    Raises:
        DataError: As for `kernel_distance`.
    """
    check(real=real, fake=fake)

    def kernel(first: Tensor, second: Tensor) -> Tensor:
        exact = "donot_use_mm_for_euclid_dist"
        return torch.cdist(first, second, compute_mode=exact).neg_()

    return _mmd2(_split(real), _split(fake), kernel)


@dataclass(frozen=True)
class _Sums:
    """What the estimates need of a matrix of kernels."""

    rows: Tensor
    """The sum of each row, float64."""
    columns: Tensor
    squares: float
    """The sum of the squares of all entries."""


def _split(values: Tensor) -> list[Tensor]:
    return [values[span].float() for span in spans(len(values))]


def _mmd2(real: list[Tensor], fake: list[Tensor], kernel: Kernel) -> Estimate:
    """The unbiased MMD² of two sets in blocks (Gretton et al. 2012, eq. 3) with its interval."""
    n, m = sum(len(block) for block in real), sum(len(block) for block in fake)
    within_real, within_fake = _within(real, kernel), _within(fake, kernel)
    across = _across(real, fake, kernel)
    value = (
        within_real.rows.sum() / (n * (n - 1))
        + within_fake.rows.sum() / (m * (m - 1))
        - 2 * across.rows.sum() / (n * m)
    ).item()
    if min(n, m) < 4:
        return Estimate(value)
    half = Z * math.sqrt(_variance(within_real, within_fake, across))
    return Estimate(value, (value - half, value + half))


def _within(blocks: list[Tensor], kernel: Kernel) -> _Sums:
    """Sums over all pairs of different samples of one set; each pair is computed once."""
    places = _places(blocks)
    rows, squares = torch.zeros(places[-1].stop, dtype=torch.float64), 0.0
    for i, first in enumerate(blocks):
        for j in range(i, len(blocks)):
            values = kernel(first, blocks[j])
            if i == j:
                squares += values.fill_diagonal_(0).square().sum().item()
            else:
                squares += 2 * values.square().sum().item()
                rows[places[j]] += values.sum(0)
            rows[places[i]] += values.sum(1)
    return _Sums(rows, rows, squares)


def _across(real: list[Tensor], fake: list[Tensor], kernel: Kernel) -> _Sums:
    """Sums over all pairs of a real and a fake sample."""
    row_places, column_places = _places(real), _places(fake)
    rows = torch.zeros(row_places[-1].stop, dtype=torch.float64)
    columns, squares = torch.zeros(column_places[-1].stop, dtype=torch.float64), 0.0
    for i, first in enumerate(real):
        for j, second in enumerate(fake):
            values = kernel(first, second)
            rows[row_places[i]] += values.sum(1)
            columns[column_places[j]] += values.sum(0)
            squares += values.square().sum().item()
    return _Sums(rows, columns, squares)


def _places(blocks: list[Tensor]) -> list[slice]:
    """The rows that each block has among all."""
    return spans(sum(len(block) for block in blocks))


def _variance(real: _Sums, fake: _Sums, across: _Sums) -> float:
    """The variance of the unbiased MMD², also where both distributions are the same.

    By Hoeffding's decomposition it is, exactly, a term of order 1/n, the variance of each sample's
    mean kernel, and one of order 1/n², the variance of what no sums over rows and columns explain
    (Bounliphone et al. 2016; Sutherland et al. 2017 keep both). The first vanishes when
    the distributions are the same, and then the second is all there is. The spread of the rows,
    seen in n samples, holds the second one twice; so it is taken off once, but never down to less
    than the second itself.
    """
    n, m = len(real.rows), len(fake.rows)
    second = (
        2 / (n * (n - 1)) * _residual_within(real)
        + 2 / (m * (m - 1)) * _residual_within(fake)
        + 4 / (n * m) * _residual_across(across)
    )
    rows = 2 * (real.rows / (n - 1) - across.rows / m)
    columns = 2 * (fake.rows / (m - 1) - across.columns / n)
    spread = (rows.var() / n + columns.var() / m).item()
    return max(spread - second, second)


def _residual_within(sums: _Sums) -> float:
    """The variance of k(x, x') around the effects of x and of x' (Griffing 1956, method 4)."""
    n = len(sums.rows)
    total = sums.rows.sum() / 2
    left = (
        sums.squares / 2
        - sums.rows.square().sum() / (n - 2)
        + 2 * total.square() / ((n - 1) * (n - 2))
    )
    return max(0.0, left.item() / (n * (n - 3) / 2))


def _residual_across(sums: _Sums) -> float:
    """The variance of k(x, y) around the effects of x and of y (two-way analysis of variance)."""
    n, m = len(sums.rows), len(sums.columns)
    left = (
        sums.squares
        - sums.rows.square().sum() / m
        - sums.columns.square().sum() / n
        + sums.rows.sum().square() / (n * m)
    )
    return max(0.0, left.item() / ((n - 1) * (m - 1)))
