import pytest
import torch

from ganvas.evaluation import blocks
from ganvas.evaluation.blocks import average, pack, products, spans
from tests.evaluation.sample_sets import normal


@pytest.mark.parametrize("count", [1, 2048, 2049, 10_000])
def test_spans_are_equal_and_cover_everything(count: int) -> None:
    found = spans(count)
    lengths = [span.stop - span.start for span in found]
    assert [i for span in found for i in range(count)[span]] == list(range(count))
    assert max(lengths) <= blocks.BLOCK
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize(("a", "b", "size"), [(1, 1, 1), (1, 9, 3), (50, 1, 300), (40, 30, 2048)])
def test_products(monkeypatch: pytest.MonkeyPatch, onednn: bool, a: int, b: int, size: int) -> None:
    if not onednn:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    first, second = normal(a, size), normal(b, size, seed=1)
    expected = first.double() @ second.double().T
    found = products(pack(first), pack(second))
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6 * (size + 10))


def test_average_is_taken_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 7)
    values = torch.tensor([[2.0**30], [1.0], [1.0], [1.0]] * 10)
    assert average(values).item() == pytest.approx((2.0**30 + 3) / 4, rel=1e-15)
