"""DINOv2 from a tiny model, since the real one is large and far away."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from ganvas.errors import ConfigError, DataError
from ganvas.evaluation.features.dinov2 import Dinov2Features
from tests.evaluation.features.seeded import tiny_dinov2

CPU = torch.device("cpu")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_dinov2(tmp_path / "model")


def test_the_class_token(dinov2_folder: Path) -> None:
    """On 224x224 pictures, where nothing is resized: what the plain model gives.

    Its position embeddings are scaled a little differently, hence not exactly.
    """
    from transformers import Dinov2Model

    images = torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
    plain = Dinov2Model.from_pretrained(dinov2_folder)
    with torch.no_grad():
        expected = plain((images / 255 - mean) / std).pooler_output
    features = Dinov2Features(CPU, str(dinov2_folder))
    assert features.size == 32
    ours = features.extract(images)
    assert ours.logits is None
    torch.testing.assert_close(ours.features, expected, rtol=0.02, atol=0.02)


def test_positions_are_scaled_as_dinov2_does(dinov2_folder: Path) -> None:
    from transformers import Dinov2Model

    learnt = Dinov2Model.from_pretrained(dinov2_folder).embeddings.position_embeddings
    grid = learnt[:, 1:].reshape(1, 37, 37, 32).permute(0, 3, 1, 2)
    expected = F.interpolate(grid, scale_factor=16.1 / 37, mode="bicubic")
    fitted = Dinov2Features(CPU, str(dinov2_folder))._network.embeddings.position_embeddings
    assert torch.equal(fitted[:, 0], learnt[:, 0])
    torch.testing.assert_close(fitted[:, 1:].reshape(1, 16, 16, 32).permute(0, 3, 1, 2), expected)


def test_identity_is_of_the_weights(dinov2_folder: Path, tmp_path: Path) -> None:
    first = Dinov2Features(CPU, str(dinov2_folder)).identity
    assert Dinov2Features(CPU, str(tiny_dinov2(tmp_path / "same"))).identity == first
    assert Dinov2Features(CPU, str(tiny_dinov2(tmp_path / "other", seed=1))).identity != first


def test_no_package(dinov2_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match="pip install transformers"):
        Dinov2Features(CPU, str(dinov2_folder))


@pytest.mark.parametrize("name", ["./absent", "/absent/folder", "no name", "a/b/c", "dinov2"])
@pytest.mark.usefixtures("dinov2_folder")
def test_neither_folder_nor_hub_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="neither a folder nor a name"):
        Dinov2Features(CPU, name)


@pytest.mark.usefixtures("dinov2_folder")
def test_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        DataError, match=r"nobody/nothing cannot be loaded.*another machine"
    ) as caught:
        Dinov2Features(CPU, "nobody/nothing")
    assert "\n" not in str(caught.value)


def test_an_empty_folder(tmp_path: Path, dinov2_folder: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be loaded.*config.json"):
        Dinov2Features(CPU, str(tmp_path))


def test_damaged_weights(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"not a safetensors file at all")
    with pytest.raises(DataError, match="cannot be loaded"):
        Dinov2Features(CPU, str(model))


def test_a_pickle_is_refused(model: Path) -> None:
    (model / "model.safetensors").unlink()
    torch.save({}, model / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"cannot be loaded.*safetensors"):
        Dinov2Features(CPU, str(model))


def edit_config(model: Path, **changes: Any) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | changes))


def test_another_kind_of_model(model: Path) -> None:
    edit_config(model, model_type="vit")
    with pytest.raises(DataError, match="is a vit, not a DINOv2"):
        Dinov2Features(CPU, str(model))


def test_missing_weights(model: Path) -> None:
    edit_config(model, num_hidden_layers=3)
    with pytest.raises(DataError, match=r"is not whole: it lacks encoder.layer.2"):
        Dinov2Features(CPU, str(model))


def test_weights_of_another_size(model: Path) -> None:
    edit_config(model, hidden_size=64)
    with pytest.raises(DataError, match="cannot be loaded"):
        Dinov2Features(CPU, str(model))


def test_code_in_the_folder_is_not_run(model: Path) -> None:
    trace = model / "trace"
    (model / "own.py").write_text(f"open({str(trace)!r}, 'w')\nOwn = None")
    edit_config(model, model_type="own", auto_map={"AutoConfig": "own.Own", "AutoModel": "own.Own"})
    with pytest.raises(DataError, match="cannot be loaded"):
        Dinov2Features(CPU, str(model))
    assert not trace.exists()
