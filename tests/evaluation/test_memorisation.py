import pytest
import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.evaluation.estimate import Estimate
from ganvas.evaluation.memorisation import memorisation
from tests.evaluation.sample_sets import in_blocks, normal

TRAIN, HELD_OUT, NEW = normal(400, 8), normal(300, 8, seed=1), normal(200, 8, seed=2)


def covers(estimate: Estimate, truth: float) -> bool:
    assert estimate.interval is not None
    return estimate.interval[0] <= truth <= estimate.interval[1]


def test_new_pictures_are_as_far_as_new_real_ones() -> None:
    found = memorisation(TRAIN, HELD_OUT, NEW)
    assert covers(found.closer, 0.5)
    assert covers(found.copies, 0.01)


def test_the_interval_of_closer_covers_a_half() -> None:
    hits = sum(
        covers(memorisation(TRAIN, normal(80, 8, 3 * i + 1), normal(60, 8, 3 * i + 2)).closer, 0.5)
        for i in range(200)
    )
    assert 0.9 <= hits / 200 <= 0.99


def test_copies_are_seen_and_named() -> None:
    fake = torch.cat([NEW[:150], TRAIN[100:150]])
    found = memorisation(TRAIN, HELD_OUT, fake)
    assert found.copies.value == pytest.approx(0.25, abs=0.03)
    assert found.closer.value > 0.6
    assert len(found.pairs) == 32
    assert all(near - 100 == far - 150 for far, near, _ in found.pairs)
    assert {distance for _, _, distance in found.pairs} == {0.0}


def test_pairs_are_the_closest_first() -> None:
    found = memorisation(TRAIN, HELD_OUT, NEW, pairs=5)
    expected = torch.cdist(NEW, TRAIN).min(1)
    order = expected.values.argsort()[:5].tolist()
    assert [pair[0] for pair in found.pairs] == order
    assert [pair[1] for pair in found.pairs] == expected.indices[order].tolist()
    distances = [pair[2] for pair in found.pairs]
    assert distances == sorted(distances)
    assert len(memorisation(TRAIN, HELD_OUT, NEW[:3]).pairs) == 3


def test_nothing_but_copies_and_nothing_alike() -> None:
    copies = memorisation(TRAIN, HELD_OUT, TRAIN[:50])
    assert (copies.closer.value, copies.copies.value) == (1, 1)
    assert copies.closer.interval is not None
    assert 0.9 < copies.closer.interval[0] < copies.closer.interval[1] == 1
    unlike = memorisation(TRAIN, HELD_OUT, NEW + 100)
    assert (unlike.closer.value, unlike.copies.value) == (0, 0)


def test_closer_counts_pairs_and_ties_by_half() -> None:
    train = torch.zeros(2, 1)
    held_out, fake = torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [3.0], [0.5]])
    # Fakes at 1, 3, 0.5 against reals at 1, 2: (0.5 + 1) + 0 + (1 + 1) of 6 pairs.
    assert memorisation(train, held_out, fake).closer.value == pytest.approx(3.5 / 6)


def test_held_out_duplicates_do_not_hide_copies() -> None:
    found = memorisation(TRAIN, torch.cat([HELD_OUT, TRAIN[:20]]), TRAIN[:50])
    assert found.copies.value == 1


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    def compute() -> Tensor:
        found = memorisation(TRAIN[:90], HELD_OUT[:40], NEW[:50])
        assert found.closer.interval is not None
        numbers = [found.closer.value, *found.closer.interval, found.copies.value]
        return torch.tensor([*numbers, *(x for pair in found.pairs for x in pair)])

    one, seven, many = in_blocks(monkeypatch, compute)
    torch.testing.assert_close(one, many, rtol=1e-5, atol=0)
    torch.testing.assert_close(seven, many, rtol=1e-5, atol=0)


def test_bad_sets() -> None:
    with pytest.raises(DataError, match="held-out set has 1 sample,"):
        memorisation(TRAIN, HELD_OUT[:1], NEW)
    with pytest.raises(DataError, match="fake features hold values that are not finite"):
        memorisation(TRAIN, HELD_OUT, NEW / 0)
    with pytest.raises(DataError, match="different numbers"):
        memorisation(TRAIN, HELD_OUT, NEW[:, :4])
