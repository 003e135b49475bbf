"""FID's Inception against the numbers of the reference implementation."""

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.evaluation.features import inception
from ganvas.evaluation.features.inception import (
    InceptionFeatures,
    load_inception,
    prepare,
    resize_tf1,
)
from tests.evaluation.features.seeded import golden, inception_state, needs_golden

CPU = torch.device("cpu")


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


@needs_golden
@pytest.mark.parametrize("case", ["32", "300x180"])
class TestGolden:
    def test_every_depth(self, inception_file: Path, case: str) -> None:
        network = load_inception(inception_file)
        depths = network(prepare(golden(f"in.images_{case}").float()))
        assert set(depths) == {64, 192, 768, 2048}
        for width, ours in depths.items():
            assert relative_error(ours, golden(f"out.{case}.{width}")) < 1e-5

    def test_features_and_logits(self, inception_file: Path, case: str) -> None:
        result = InceptionFeatures(CPU, inception_file).extract(golden(f"in.images_{case}"))
        assert relative_error(result.features, golden(f"out.{case}.2048")) < 1e-5
        assert result.logits is not None
        assert relative_error(result.logits, golden(f"out.{case}.logits_unbiased")) < 1e-5


def test_resize_is_tensorflow_1s() -> None:
    """Source pixel = target pixel * old / new, the last pixel repeated; no half pixels."""
    row = torch.tensor([0.0, 10.0, 40.0]).view(1, 1, 1, 3)
    assert resize_tf1(row, (1, 6)).flatten().tolist() == [0, 5, 10, 25, 40, 40]
    assert resize_tf1(row, (1, 2)).flatten().tolist() == [0, 25]
    assert resize_tf1(row.mT, (6, 1)).flatten().tolist() == [0, 5, 10, 25, 40, 40]
    image = torch.rand(1, 3, 299, 299)
    assert torch.equal(resize_tf1(image, (299, 299)), image)


def test_identity_is_of_the_weights(
    inception_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = inception_state()
    state["fc.weight"][0, 0] += 1
    other = tmp_path / "other.pth"
    torch.save(state, other)
    first = InceptionFeatures(CPU, inception_file)
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(other.read_bytes()).hexdigest())
    assert InceptionFeatures(CPU, other).identity != first.identity


def test_another_file_is_refused_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(b"something else")
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(DataError, match=rf"mine.pth is not the published .*{found}"):
        InceptionFeatures(CPU, path)


class Bomb:
    """Runs code when a careless reader unpickles it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def test_a_file_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"fc.weight": Bomb(tmp_path / "trace")}, tmp_path / "bomb.pth")
    with pytest.raises(DataError, match="does not hold the weights"):
        load_inception(tmp_path / "bomb.pth")
    assert not (tmp_path / "trace").exists()


def test_a_state_dict_of_something_else(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match="does not hold the weights") as caught:
        load_inception(tmp_path / "other.pth")
    assert "\n" not in str(caught.value)
