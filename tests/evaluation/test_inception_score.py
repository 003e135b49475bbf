import pytest
import torch

from ganvas.errors import DataError
from ganvas.evaluation.inception_score import inception_score
from tests.evaluation.sample_sets import NAMES, golden, normal


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_torch_fidelity(name: str) -> None:
    sets, expected = golden(name)
    mean, deviation = inception_score(sets["logits"])
    assert mean == pytest.approx(expected["inception_score_mean"], rel=1e-5)
    assert deviation == pytest.approx(expected["inception_score_std"], rel=1e-5)


def test_sure_and_varied_is_the_number_of_classes() -> None:
    sure = 1e4 * torch.eye(7).repeat(20, 1)
    assert inception_score(sure, splits=10) == pytest.approx((7, 0))


def test_unsure_or_all_of_one_class_is_one() -> None:
    assert inception_score(torch.zeros(40, 7)) == pytest.approx((1, 0))
    assert inception_score(1e6 * torch.eye(7)[[2] * 40]) == pytest.approx((1, 0))


def test_parts_differ_in_size_by_one_at_most() -> None:
    logits = normal(23, 5)
    mean, deviation = inception_score(logits, splits=2)
    parts = [inception_score(part, splits=1)[0] for part in (logits[:11], logits[11:])]
    assert mean == pytest.approx(sum(parts) / 2)
    assert deviation == pytest.approx(abs(parts[0] - parts[1]) / 2)


def test_bad_logits() -> None:
    with pytest.raises(DataError, match="at least 10 pictures"):
        inception_score(normal(9, 5))
    with pytest.raises(DataError, match="at least 10 pictures"):
        inception_score(normal(20, 5)[0])
    with pytest.raises(DataError, match="not finite"):
        inception_score(normal(20, 5) / 0)
