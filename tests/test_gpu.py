"""What only a GPU can show. Run with: python -m pytest tests/test_gpu.py"""

from pathlib import Path

import pytest
import torch

from ganvas import api, measuring
from ganvas.recipes import RECIPES, find_recipe
from tests.models.test_every_model import stop_after
from tests.tiny import assert_same_bits, final_state, tiny, train_quietly

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    pytest.mark.parametrize("recipe", list(RECIPES)),
]


def test_resume_on_a_gpu_is_bit_identical(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(recipe, "training.device=cuda")
    whole = final_state(train_quietly(config, tmp_path / "whole"))
    stop_after(5, monkeypatch)
    train_quietly(config, tmp_path / "parts")
    monkeypatch.undo()
    api.resume(tmp_path / "parts", say=lambda line: None)
    assert_same_bits(whole, final_state(tmp_path / "parts"))


def test_a_run_from_a_gpu_samples_the_same_pictures_on_a_cpu(recipe: str, tmp_path: Path) -> None:
    run = train_quietly(tiny(recipe, "training.device=cuda"), tmp_path / "run")
    if find_recipe(recipe).model.needs_pairs is not None:
        images = torch.rand(4, 3, 16, 16) * 2 - 1
        translators = [api.load_translator(run, device=device) for device in ("cuda", "cpu")]
        translated = [model.translate(images).cpu() for model in translators]
        torch.testing.assert_close(*translated, atol=2e-3, rtol=0)
        return
    latents = torch.randn(4, 8)
    there, here = api.load(run, device="cuda"), api.load(run, device="cpu")
    on_gpu = there.decode_all(latents.cuda()).cpu()
    torch.testing.assert_close(on_gpu, here.decode_all(latents), atol=2e-3, rtol=0)


def test_compiled_training_stays_close_to_eager(recipe: str, tmp_path: Path) -> None:
    settings = ("training.device=cuda", "training.precision=float32", "training.images=32")
    eager = final_state(train_quietly(tiny(recipe, *settings), tmp_path / "eager"))
    compiled = tiny(recipe, *settings, "training.compile=true")
    other = final_state(train_quietly(compiled, tmp_path / "compiled"))
    for name, tensor in eager.items():
        torch.testing.assert_close(tensor, other[name], atol=1e-3, rtol=1e-2)


def test_a_run_is_measured_alike_on_a_gpu(recipe: str, tmp_path: Path) -> None:
    run = train_quietly(tiny(recipe, "training.device=cpu"), tmp_path / "run")
    found = {
        device: measuring.evaluate_run(
            run, measuring.Options("random", 100, device=device, progress=False), say=lambda _: None
        )
        for device in ("cuda", "cpu")
    }
    for there, here in zip(found["cuda"].scores, found["cpu"].scores, strict=True):
        assert there.name == here.name
        assert there.value == pytest.approx(here.value, rel=0.02, abs=0.02), here.name
