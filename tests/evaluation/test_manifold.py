import pytest
import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.evaluation.manifold import ManifoldScores, manifold_scores, nearest
from tests.evaluation.sample_sets import NAMES, golden, in_blocks, normal


def distances(x: Tensor, y: Tensor) -> Tensor:
    return (x[:, None] - y).square().sum(2).sqrt()


def direct(real: Tensor, fake: Tensor, k: int) -> tuple[float, float, float, float]:
    """The definitions, with all distances at once."""
    real, fake = real.double(), fake.double()
    real_radii = distances(real, real).kthvalue(k + 1).values
    fake_radii = distances(fake, fake).kthvalue(k + 1).values
    across = distances(real, fake)
    in_real = across <= real_radii[:, None]
    in_fake = across <= fake_radii
    return (
        in_real.any(0).double().mean().item(),
        in_fake.any(1).double().mean().item(),
        in_real.sum(0).double().mean().item() / k,
        in_real.any(1).double().mean().item(),
    )


def values(scores: ManifoldScores) -> list[float]:
    return [x.value for x in (scores.precision, scores.recall, scores.density, scores.coverage)]


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_torch_fidelity_and_prdc(name: str) -> None:
    sets, expected = golden(name)
    scores = manifold_scores(sets["real"], sets["fake"])
    three, five = scores[3], scores[5]
    assert three.precision.value == pytest.approx(expected["precision"], rel=1e-5)
    assert three.recall.value == pytest.approx(expected["recall"], rel=1e-5)
    names = ("precision", "recall", "density", "coverage")
    for name, value in zip(names, values(five), strict=True):
        assert value == pytest.approx(expected[f"prdc_k5_{name}"], rel=1e-5)


@pytest.mark.parametrize(("n", "m", "size"), [(90, 60, 3), (60, 90, 40), (7, 300, 1)])
def test_scores_are_their_definitions(n: int, m: int, size: int) -> None:
    real, fake = normal(n, size), normal(m, size, seed=1, scale=0.8, shift=0.3)
    for k, scores in manifold_scores(real, fake, ks=(1, 4, 6)).items():
        assert values(scores) == pytest.approx(direct(real, fake, k))


def test_dense_points_of_the_plane() -> None:
    """Neighbours so near that float32 products of coordinates would not tell them apart."""
    real, fake = normal(1000, 2, scale=1e-3), normal(800, 2, seed=1, scale=1e-3)
    real[::2, 0] += 1
    fake[::2, 0] += 1
    assert values(manifold_scores(real, fake)[5]) == pytest.approx(direct(real, fake, 5))


@pytest.mark.parametrize("size", [8, 80])
def test_far_from_the_origin(size: int) -> None:
    real, fake = normal(200, size), normal(200, size, seed=1)
    near, far = manifold_scores(real, fake), manifold_scores(real + 1000, fake + 1000)
    assert values(far[5]) == pytest.approx(values(near[5]), abs=0.011)  # float32 rounds the input


def test_intervals_hold_their_values() -> None:
    scores = manifold_scores(normal(200, 4), normal(150, 4, seed=1))[3]
    for estimate in (scores.precision, scores.recall, scores.density, scores.coverage):
        assert estimate.interval is not None
        assert estimate.interval[0] < estimate.value < estimate.interval[1]


def test_a_dropped_mode_costs_recall_and_coverage_only() -> None:
    both = torch.cat([normal(200, 2), normal(200, 2, seed=1, shift=50)])
    scores = manifold_scores(both, normal(400, 2, seed=2))[5]
    assert scores.precision.value > 0.9
    assert scores.recall.value < 0.55
    assert scores.coverage.value < 0.55


def test_duplicates_have_balls_of_no_size() -> None:
    real = normal(30, 200).repeat(10, 1)
    copied = manifold_scores(real, real)[5]
    assert values(copied) == pytest.approx([1, 1, 2, 1])  # ten copies in every ball, over five
    apart = manifold_scores(real, real + 1)[5]
    assert values(apart) == [0, 0, 0, 0]


def test_constant_features() -> None:
    same = manifold_scores(torch.full((9, 5), 0.1), torch.full((8, 5), 0.1))[3]
    assert values(same) == pytest.approx([1, 1, 3, 1])
    apart = manifold_scores(torch.full((9, 5), 0.1), torch.full((8, 5), 0.3))[3]
    assert values(apart) == [0, 0, 0, 0]


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(60, 50), normal(45, 50, seed=1, scale=0.9)

    def compute() -> Tensor:
        scores = manifold_scores(real, torch.cat([fake, real[:20]]))
        found = [x for k in (3, 5) for x in values(scores[k])]
        distances, indices = nearest(fake, real)
        return torch.cat([torch.tensor(found), distances, indices])

    one, seven, many = in_blocks(monkeypatch, compute)
    torch.testing.assert_close(one, many, rtol=1e-5, atol=0)
    torch.testing.assert_close(seven, many, rtol=1e-5, atol=0)


def test_nearest_finds_the_nearest() -> None:
    queries, references = normal(50, 12), normal(70, 12, seed=1)
    distances, indices = nearest(queries, references)
    expected = torch.cdist(queries.double(), references.double()).min(1)
    assert indices.equal(expected.indices)
    torch.testing.assert_close(distances.double(), expected.values, rtol=1e-6, atol=0)


def test_a_copy_is_at_no_distance() -> None:
    references = normal(70, 300, shift=100)
    distances, indices = nearest(references[[40, 3]], references)
    assert distances.tolist() == [0, 0]
    assert indices.tolist() == [40, 3]


@pytest.mark.parametrize(("n", "m", "name"), [(5, 9, "real"), (9, 5, "fake")])
def test_too_few_samples_for_k(n: int, m: int, name: str) -> None:
    with pytest.raises(DataError, match=f"{name} set has 5 samples.* at least 6"):
        manifold_scores(normal(n, 2), normal(m, 2))
    assert manifold_scores(normal(n, 2), normal(m, 2), ks=(4,))


def test_bad_sets() -> None:
    with pytest.raises(DataError, match="fake set has 0 samples"):
        manifold_scores(normal(9, 2), normal(0, 2))
    with pytest.raises(DataError, match="different numbers of features"):
        manifold_scores(normal(9, 2), normal(9, 3))
    with pytest.raises(DataError, match="not finite"):
        nearest(normal(9, 2) / 0, normal(9, 2))
