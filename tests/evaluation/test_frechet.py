import numpy as np
import pytest
import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.evaluation.frechet import frechet_distance
from tests.evaluation.sample_sets import NAMES, golden, in_blocks, normal


def direct(real: Tensor, fake: Tensor) -> float:
    """The formula as it is written, with the eigenvalues of the product of covariances."""
    x, y = real.double().numpy(), fake.double().numpy()
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(a @ b).astype(complex)).real.sum()
    gap = x.mean(0) - y.mean(0)
    return float(gap @ gap + np.trace(a) + np.trace(b) - 2 * root)


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_torch_fidelity(name: str) -> None:
    sets, expected = golden(name)
    value = frechet_distance(sets["real"], sets["fake"])
    assert value == pytest.approx(expected["frechet_inception_distance"], rel=1e-5)


@pytest.mark.parametrize(("n", "m"), [(300, 200), (300, 20), (20, 300), (20, 30), (2, 2)])
def test_more_or_fewer_samples_than_features(n: int, m: int) -> None:
    real, fake = normal(n, 40), normal(m, 40, seed=1, scale=1.3, shift=0.2)
    assert frechet_distance(real, fake) == pytest.approx(direct(real, fake), rel=1e-5)


def test_known_distance_of_two_scaled_sets() -> None:
    real = normal(500, 30)
    fake = 3 * real + 2  # |gap|² + Tr((3 - 1)² Σ)
    gap = (fake.double().mean(0) - real.double().mean(0)).square().sum()
    expected = (gap + 4 * real.double().var(0).sum()).item()
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("count", [10, 64, 500])
def test_a_set_is_at_no_distance_from_itself(count: int) -> None:
    real = normal(count, 64)
    assert frechet_distance(real, real) < 1e-7 * 64


@pytest.mark.parametrize("count", [100, 400])
def test_constant_and_dependent_features_add_nothing(count: int) -> None:
    """Neither with fewer samples than features nor with more; to far below the distance itself."""
    real, fake = normal(count, 8).double(), normal(count, 8, seed=1, scale=1.01).double()
    turn = torch.linalg.qr(normal(200, 200, seed=2).double()).Q[:8]
    wide = [torch.cat([x @ turn, torch.ones(count, 50)], 1) for x in (real, fake)]
    assert frechet_distance(*wide) == pytest.approx(frechet_distance(real, fake), rel=1e-6)


def test_constant_sets_are_apart_by_their_gap() -> None:
    assert frechet_distance(torch.zeros(9, 4), torch.full((7, 4), 3.0)) == pytest.approx(36)


def test_far_from_the_origin_nothing_is_lost() -> None:
    real, fake = normal(400, 16), normal(400, 16, seed=1, scale=1.2)
    moved = frechet_distance((real.double() + 1e6).float(), (fake.double() + 1e6).float())
    assert moved == pytest.approx(frechet_distance(real, fake), rel=0.1)  # float32 has 0.06 there


@pytest.mark.parametrize("size", [5, 200])
def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    real, fake = normal(60, size), normal(50, size, seed=1, shift=0.5)
    one, seven, many = in_blocks(monkeypatch, lambda: torch.tensor(frechet_distance(real, fake)))
    torch.testing.assert_close(one, many, rtol=1e-5, atol=0)
    torch.testing.assert_close(seven, many, rtol=1e-5, atol=0)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_samples(count: int) -> None:
    with pytest.raises(DataError, match=f"fake set has {count} sample"):
        frechet_distance(normal(9, 4), normal(count, 4))


def test_sets_that_cannot_be_compared() -> None:
    with pytest.raises(DataError, match=r"5 \(real\) and 4 \(fake\)"):
        frechet_distance(normal(9, 5), normal(9, 4))
    with pytest.raises(DataError, match="shape"):
        frechet_distance(normal(9, 5), normal(9, 5)[0])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite(value: float) -> None:
    real = normal(9, 4)
    real[8, 3] = value
    with pytest.raises(DataError, match="real features hold values that are not finite"):
        frechet_distance(real, normal(9, 4))
