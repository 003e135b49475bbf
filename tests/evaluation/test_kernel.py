from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.evaluation.estimate import Estimate, Z
from ganvas.evaluation.kernel import energy_distance, kernel_distance
from tests.evaluation.sample_sets import NAMES, golden, in_blocks, normal

Distance = Callable[[Tensor, Tensor], Estimate]
Draw = Callable[[int], tuple[Tensor, Tensor]]


def cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x.double() @ y.double().T / x.shape[1] + 1) ** 3


def negative_distance(x: Tensor, y: Tensor) -> Tensor:
    return -(x.double()[:, None] - y.double()).square().sum(2).sqrt()


def direct(real: Tensor, fake: Tensor, kernel: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Unbiased MMD² as it is written."""
    n, m = len(real), len(fake)
    a, b, c = kernel(real, real), kernel(fake, fake), kernel(real, fake)
    within = (a.sum() - a.trace()) / (n * (n - 1)) + (b.sum() - b.trace()) / (m * (m - 1))
    return (within - 2 * c.mean()).item()


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_torch_fidelity(name: str) -> None:
    sets, expected = golden(name)
    value = kernel_distance(sets["real"], sets["fake"]).value
    assert value == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-5)


@pytest.mark.parametrize(("n", "m"), [(70, 40), (40, 70), (4, 4), (2, 3)])
def test_the_distances_are_their_formulas(n: int, m: int) -> None:
    real, fake = normal(n, 6), normal(m, 6, seed=1, scale=1.5)
    value = kernel_distance(real, fake).value
    assert value == pytest.approx(direct(real, fake, cubic), rel=1e-5)
    value = energy_distance(real, fake).value
    assert value == pytest.approx(direct(real, fake, negative_distance), rel=1e-5)


def test_energy_distance_of_two_points_is_twice_their_distance() -> None:
    here, there = torch.zeros(5, 2), torch.tensor([[3.0, 4.0]]).expand(6, 2)
    estimate = energy_distance(here, there)
    assert estimate.value == pytest.approx(10)
    assert estimate.interval == pytest.approx((10, 10))


def test_small_features_keep_their_digits() -> None:
    real, fake = normal(300, 16, scale=1e-2), normal(300, 16, seed=1, scale=1e-2, shift=5e-3)
    value = kernel_distance(real, fake).value
    assert value == pytest.approx(direct(real, fake, cubic), rel=1e-5)


def repeat(distance: Distance, draw: Draw, first: int = 0) -> tuple[Tensor, Tensor]:
    """The value and half the length of the interval in each of 500 repetitions."""
    results = []
    for repetition in range(first, first + 500):
        estimate = distance(*draw(repetition))
        assert estimate.interval is not None
        results.append((estimate.value, (estimate.interval[1] - estimate.interval[0]) / 2))
    values, halves = torch.tensor(results, dtype=torch.float64).T
    return values, halves


def assert_honest(values: Tensor, halves: Tensor, truth: float) -> None:
    """The intervals cover the truth, and not because they are longer than they need be."""
    assert ((values - truth).abs() <= halves).double().mean() >= 0.9
    claimed = (halves / Z).square().mean().sqrt()
    assert 0.8 < claimed / (values - truth).square().mean().sqrt() < 1.4


KINDS = [(kernel_distance, 64), (kernel_distance, 16), (energy_distance, 2)]


@pytest.mark.parametrize(("distance", "size"), KINDS)
def test_intervals_cover_zero_for_equal_distributions(distance: Distance, size: int) -> None:
    def draw(seed: int) -> tuple[Tensor, Tensor]:
        return normal(200, size, 2 * seed).relu(), normal(200, size, 2 * seed + 1).relu()

    assert_honest(*repeat(distance, draw), truth=0)


@pytest.mark.parametrize(("distance", "size"), KINDS)
@pytest.mark.parametrize("shift", [0.05, 0.5])
def test_intervals_cover_the_truth_for_unlike_ones(
    distance: Distance, size: int, shift: float
) -> None:
    def draw(seed: int) -> tuple[Tensor, Tensor]:
        return normal(200, size, 2 * seed), normal(150, size, 2 * seed + 1, shift=shift)

    truth = repeat(distance, draw, first=1000)[0].mean().item()  # by samples of their own
    assert_honest(*repeat(distance, draw), truth)


def test_three_samples_have_no_interval() -> None:
    assert kernel_distance(normal(3, 4), normal(9, 4)).interval is None
    assert kernel_distance(normal(4, 4), normal(4, 4, seed=1)).interval is not None


def test_constant_sets() -> None:
    estimate = kernel_distance(torch.ones(9, 4), torch.ones(7, 4))
    assert estimate.value == pytest.approx(0, abs=1e-6)
    assert estimate.interval == pytest.approx((0, 0), abs=1e-6)


@pytest.mark.parametrize("distance", [kernel_distance, energy_distance])
def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch, distance: Distance) -> None:
    real, fake = normal(40, 5), normal(50, 5, seed=1, shift=0.5)

    def compute() -> Tensor:
        estimate = distance(real, fake)
        assert estimate.interval is not None
        return torch.tensor([estimate.value, *estimate.interval])

    one, seven, many = in_blocks(monkeypatch, compute)
    torch.testing.assert_close(one, many, rtol=1e-5, atol=0)
    torch.testing.assert_close(seven, many, rtol=1e-5, atol=0)


@pytest.mark.parametrize("distance", [kernel_distance, energy_distance])
def test_bad_sets(distance: Distance) -> None:
    with pytest.raises(DataError, match="real set has 1 sample,"):
        distance(normal(1, 4), normal(9, 4))
    with pytest.raises(DataError, match="different numbers of features"):
        distance(normal(9, 4), normal(9, 5))
    with pytest.raises(DataError, match="not finite"):
        distance(normal(9, 4), normal(9, 4) / 0)
