"""Precision, recall, density and coverage, all from one pass over the distances."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.evaluation.blocks import average, check, pack, products, spans
from ganvas.evaluation.estimate import Estimate, mean, proportion

_TIES = 1e-6  # float32 rounding of a squared distance, against the numbers it is made of
_NORMS = 64  # samples at once
_FEW = 16  # features up to which distances by differences cost no more than by products


@dataclass(frozen=True)
class ManifoldScores:
    """How two sets overlap when each is a union of balls to every sample's k-th neighbour."""

    precision: Estimate
    """Share of fakes inside some real ball (Kynkäänniemi et al. 2019, eq. 2): quality."""
    recall: Estimate
    """Share of reals inside some fake ball: variety."""
    density: Estimate
    """Real balls that a fake is in, over k (Naeem et al. 2020); about 1 for equal sets."""
    coverage: Estimate
    """Share of reals whose ball holds a fake (Naeem et al. 2020)."""


def manifold_scores(
    real: Tensor, fake: Tensor, ks: Sequence[int] = (3, 5)
) -> dict[int, ManifoldScores]:
    """Precision, recall, density and coverage for every k, each with its 95% interval.

    Every distance is computed once, in blocks; of the distances within a set only the smallest are
    kept. Balls are closed, and a sample that float32 cannot tell from their surface is inside, so
    that the scores do not depend on the blocks, nor duplicates on rounding.

    Args:
        real: (N, F) float32, N > max(ks).
        fake: (M, F) float32, M > max(ks).
        ks: The neighbours that make a ball, each at least 1.

    Raises:
        DataError: A set has too few samples for k or values that are not finite, or the numbers of
            features differ.
    """
    check(real=real, fake=fake)
    for name, values in (("real", real), ("fake", fake)):
        if len(values) <= max(ks):
            raise DataError(
                f"The {name} set has {len(values)} samples, but the distance to the neighbour "
                f"number {max(ks)} of each needs at least {max(ks) + 1}: give more, and thousands "
                "for stable scores."
            )
    centre = (average(real) + average(fake)) / 2
    reals, fakes = _Cloud(real, centre), _Cloud(fake, centre)
    real_balls, fake_balls = _balls(reals, ks), _balls(fakes, ks)
    inside = torch.zeros(len(ks), fakes.count, dtype=torch.int64)  # real balls around a fake
    reached = torch.zeros(len(ks), reals.count, dtype=torch.bool)  # a fake ball is around the real
    closest = torch.full((reals.count,), torch.inf)
    for i, rows in enumerate(fakes.spans):
        for j, columns in enumerate(reals.spans):
            squared = fakes.squared_distances(i, reals, j)
            torch.minimum(closest[columns], squared.amin(0), out=closest[columns])
            for index in range(len(ks)):
                held = squared <= real_balls[index, columns]
                inside[index, rows] += held.sum(1, dtype=torch.int32)  # int64 is ten times slower
                reached[index, columns] |= (squared <= fake_balls[index, rows, None]).any(0)
    return {
        k: ManifoldScores(
            precision=_share(inside[index] > 0),
            recall=_share(reached[index]),
            density=mean(inside[index].double() / k),
            coverage=_share(closest <= real_balls[index]),
        )
        for index, k in enumerate(ks)
    }


def nearest(queries: Tensor, references: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest reference of every query.

    Args:
        queries: (N, F) float32, N >= 2.
        references: (M, F) float32, M >= 2.

    Returns:
        Euclidean distances (N,) float32, exactly 0 for a copy, and indices (N,) into `references`.

    Raises:
        DataError: A set has fewer than two samples or values that are not finite, or the numbers
            of features differ.
    """
    check(query=queries, reference=references)
    centre = average(references)
    seekers, found = _Cloud(queries, centre), _Cloud(references, centre)
    distances = torch.empty(len(queries))
    indices = torch.empty(len(queries), dtype=torch.int64)
    for i, rows in enumerate(seekers.spans):
        indices[rows] = _nearest_of_block(seekers, i, found)
        # The search rounds to about a thousandth of the features' length; this does not.
        difference = queries[rows].float() - references[indices[rows]].float()
        distances[rows] = torch.linalg.vector_norm(difference, dim=1)
    return distances, indices


class _Cloud:
    """Samples in blocks, moved near the origin, where float32 is at its most precise.

    Attributes:
        count: Samples.
        spans: The rows of each block.
        norms: What squared distances are a small difference of: the squared length (N,) of each
            sample, or 0 where they are computed by differences.
    """

    def __init__(self, values: Tensor, centre: Tensor) -> None:
        self.count = len(values)
        self.spans = spans(self.count)
        self.norms = torch.zeros(self.count)
        self._by_differences = len(centre) <= _FEW
        self._blocks = []
        for span in self.spans:
            block = (values[span].double() - centre).float()
            if not self._by_differences:
                self.norms[span] = _squared_lengths(block)
                block = pack(block)
            self._blocks.append(block)

    def squared_distances(self, i: int, other: "_Cloud", j: int) -> Tensor:
        """Between block i of this cloud and block j of another, (B, B'); below 0 by rounding."""
        first, second = self._blocks[i], other._blocks[j]
        if self._by_differences:
            exact = "donot_use_mm_for_euclid_dist"
            return torch.cdist(first, second, compute_mode=exact).square_()
        result = products(first, second).mul_(-2)
        result += self.norms[self.spans[i], None]
        result += other.norms[other.spans[j]]
        return result


def _squared_lengths(block: Tensor) -> Tensor:
    """|x|² (B,) as a product with itself: rounded alike, so that copies are at no distance."""
    packed = [pack(part) for part in block.split(_NORMS)]
    return torch.cat([products(part, part).diagonal() for part in packed])


def _balls(cloud: _Cloud, ks: Sequence[int]) -> Tensor:
    """The squared radius of every sample's ball for every k, (len(ks), N), ties inside."""
    most = max(ks)
    smallest = torch.full((cloud.count, most), torch.inf)
    for i, rows in enumerate(cloud.spans):
        for j in range(i, len(cloud.spans)):
            squared = cloud.squared_distances(i, cloud, j)
            if i == j:
                squared.fill_diagonal_(torch.inf)
            else:
                columns = cloud.spans[j]
                smallest[columns] = _merge(smallest[columns], squared.T.contiguous())
            smallest[rows] = _merge(smallest[rows], squared)
    squared_radii = torch.stack([smallest[:, k - 1] for k in ks])
    # What lies near the surface is no longer than the centre and the radius together allow.
    return squared_radii + _TIES * (cloud.norms + squared_radii.clamp(min=0))


def _merge(smallest: Tensor, squared: Tensor) -> Tensor:
    """The smallest of each row (B, k), ascending, when a block of new ones (B, B') is added."""
    count = smallest.shape[1]
    new = squared.topk(min(count, squared.shape[1]), largest=False).values
    return torch.cat([smallest, new], dim=1).topk(count, largest=False).values


def _nearest_of_block(seekers: _Cloud, i: int, found: _Cloud) -> Tensor:
    """The index of what is nearest to each sample of one block."""
    best, index = seekers.squared_distances(i, found, 0).min(1)
    for j, columns in enumerate(found.spans[1:], start=1):
        squared, place = seekers.squared_distances(i, found, j).min(1)
        closer = squared < best
        best = torch.where(closer, squared, best)
        index = torch.where(closer, place + columns.start, index)
    return index


def _share(hits: Tensor) -> Estimate:
    return proportion(int(hits.sum()), len(hits))
