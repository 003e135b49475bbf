"""What is exported does the same in diffusers alone; what is imported the same here."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganvas import api
from ganvas.errors import ConfigError, RunError
from ganvas.interop.autoencoder_folder import settings_of, weights_of
from ganvas.interop.diffusers import export_diffusers, folded
from ganvas.interop.importing_autoencoder import import_autoencoder
from ganvas.models.autoencoder_kl import AutoencoderKl, AutoencoderKlConfig
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from ganvas.models.vqvae import VqVaeConfig
from tests.cli.conftest import ganvas as ganvas
from tests.cli.running import Command
from tests.interop.latent_diffusions import PROMPTS, as_run, small

pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

ALONE = """
import sys
sys.modules["ganvas"] = None  # importing it is an error from here on
from pathlib import Path
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from safetensors.torch import load_file, save_file

for folder in map(Path, sys.argv[1:]):
    pipeline = StableDiffusionPipeline.from_pretrained(folder / "exported")
    pipeline.set_progress_bar_config(disable=True)
    asked = load_file(folder / "asked.safetensors")
    prompts = (folder / "prompts.txt").read_text().split("|")
    drawn = pipeline(
        prompts, latents=asked["noise"], num_inference_steps=int(asked["steps"]),
        guidance_scale=float(asked["guidance"]), output_type="pt",
    ).images
    save_file({"images": drawn.contiguous()}, folder / "drawn.safetensors")
print("ok")
"""
"""A program of someone who has diffusers and not this package."""


def alone(code: str, *arguments: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def autoencoder(size: tuple[int, int] = (32, 24), **settings: Any) -> AutoencoderKl:
    torch.manual_seed(2)
    values = {"width": 8, "blocks": 1, "downsampling": 4, "adversarial_weight": 0, **settings}
    return AutoencoderKl(AutoencoderKlConfig.parse(values), (3, *size)).eval().requires_grad_(False)


CASES: dict[str, dict[str, Any]] = {
    "none": {"condition": "none", "sampling": {"steps": 4, "sampler": "ddim"}},
    "class": {"condition": "class", "sampling": {"steps": 4, "guidance": 1.0}},
    "class, guided": {"condition": "class", "sampling": {"steps": 4, "sampler": "ddim"}},
    "text": {"condition": "text", "sampling": {"steps": 5}},
    "text, ddim": {
        "condition": "text", "size": (16, 24), "prediction": "epsilon", "schedule": "scaled_linear",
        "sampling": {"steps": 4, "sampler": "ddim", "guidance": 7.5},
    },
    "text, heun": {"condition": "text", "sampling": {"steps": 3, "sampler": "heun"}},
}  # fmt: skip


@pytest.mark.slow
def test_diffusers_alone_draws_the_same_pictures(tmp_path: Path) -> None:
    drawn_here = {}
    for i, (name, case) in enumerate(CASES.items()):
        folder = tmp_path / str(i)
        folder.mkdir()
        model = small(**case)
        made = export_diffusers(model, folder / "exported")
        assert made.kind == "StableDiffusionPipeline"
        latents = model.sample_latents(2, seed=3)
        labels = {
            "none": None,
            "class": torch.tensor([0, 1]),
            "text": model.tokenise(PROMPTS["text"]) if case["condition"] == "text" else None,
        }[case["condition"]]
        drawn_here[name] = model.decode(latents, labels)
        sampling = model.config.sampling
        asked = {
            "noise": latents.reshape(-1, *model.latent_shape),
            "steps": torch.tensor(sampling.steps),
            "guidance": torch.tensor(sampling.guidance),
        }
        save_file(asked, folder / "asked.safetensors")
        (folder / "prompts.txt").write_text("|".join(PROMPTS[case["condition"]]))
    assert alone(ALONE, *(tmp_path / str(i) for i in range(len(CASES)))).endswith("ok\n")
    for i, (name, here) in enumerate(drawn_here.items()):
        there = load_file(tmp_path / str(i) / "drawn.safetensors")["images"] * 2 - 1
        assert here.std() > 0.05, name  # a picture of one colour would show nothing
        assert (here[0] - here[1]).abs().max() > 0.1, name
        assert (there - here).abs().max() < 1e-4, name


@pytest.mark.slow
def test_the_code_of_the_card_runs_as_it_stands(tmp_path: Path) -> None:
    export_diffusers(small(), tmp_path / "my model")
    card = (tmp_path / "my model" / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) == 3
    assert '"A red hat"' in code
    place = f"import os, sys; sys.modules['ganvas'] = None; os.chdir({str(tmp_path)!r})\n"
    assert alone(f"{place}{code}print(picture.size)") == "(16, 16)\n"


def test_what_a_pipeline_is_made_of(tmp_path: Path) -> None:
    """Names that transformers 4 and 5 have, and no files but JSON, text and safetensors."""
    folder = export_diffusers(small(), tmp_path / "out").path
    index = json.loads((folder / "model_index.json").read_text())
    assert index["tokenizer"] == ["transformers", "PreTrainedTokenizerFast"]
    assert index["text_encoder"] == ["transformers", "CLIPTextModel"]
    assert index["scheduler"] == ["diffusers", "DPMSolverMultistepScheduler"]
    assert index["safety_checker"] == [None, None]
    tokenizer = json.loads((folder / "tokenizer" / "tokenizer_config.json").read_text())
    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
    files = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert files == {".json", ".safetensors", ".md"}
    assert json.loads((folder / "vae" / "config.json").read_text())["scaling_factor"] == 1


def test_folding_rescales_the_latents() -> None:
    model = autoencoder()
    mean, std = torch.randn(4, 1, 1), torch.rand(4, 1, 1) + 0.1
    images = torch.rand(2, 3, 32, 24) * 2 - 1
    before, log_variance = model.posterior(images)
    pictures = model.pictures_of(before)
    model.load_state_dict(folded(weights_of(model), mean, std))
    after, log_variance_after = model.posterior(images)
    torch.testing.assert_close(after, (before - mean) / std, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(log_variance_after, log_variance - 2 * std.log(), atol=1e-5, rtol=0)
    torch.testing.assert_close(model.pictures_of(after), pictures, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("model", "says"), [
    (lambda: small(first_stage=VqVaeConfig(width=8, codes=8, code_size=4)), "a vqvae"),
    (lambda: small(size=(15, 16)), "15x16 pixels .* mirrored .* --resolution 16"),
    (lambda: small(size=(12, 12)), "12x12 pixels .* no size that a pipeline"),
    (lambda: autoencoder((30, 32)), "30x32 pixels .* mirrored .* multiples of 4"),
    (lambda: Gan(GanConfig(width=4, latent_size=8), (3, 16, 16)), "a Gan, cannot be exported"),
])  # fmt: skip
def test_what_diffusers_has_no_class_for(model: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        export_diffusers(model(), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_t5_cannot_be_in_a_pipeline(tmp_path: Path) -> None:
    model = small()
    sizes = {"vocab_size": 20, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1}
    t5 = transformers.T5EncoderModel(transformers.T5Config(**sizes, num_heads=2))
    model.text_encoder = t5
    with pytest.raises(ConfigError, match="read by a T5EncoderModel"):
        export_diffusers(model, tmp_path / "out")


def test_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(RunError, match="is there already"):
        export_diffusers(autoencoder(), tmp_path / "out")


# Autoencoders, there and back.


def exported(folder: Path, **settings: Any) -> AutoencoderKl:
    """An autoencoder, whose folder for diffusers is then there."""
    model = autoencoder(**settings)
    export_diffusers(model, folder)
    return model


def test_scale_of_the_latents(tmp_path: Path) -> None:
    model, pictures = autoencoder(), torch.rand(20, 3, 32, 24) * 2 - 1
    folder = export_diffusers(model, tmp_path / "measured", pictures).path
    scale = json.loads((folder / "config.json").read_text())["scaling_factor"]
    assert scale == pytest.approx(1 / model.maps_of(pictures).std().item(), rel=1e-4)
    folder = export_diffusers(model, tmp_path / "unknown").path
    assert json.loads((folder / "config.json").read_text())["scaling_factor"] == 1
    assert "not measured" in (folder / "README.md").read_text()


def same_pictures(run: Path, model: AutoencoderKl) -> None:
    found = api.load(run, device="cpu")
    assert isinstance(found, AutoencoderKl)
    images = torch.rand(2, *found.shape) * 2 - 1
    maps = model.maps_of(images)
    torch.testing.assert_close(found.maps_of(images), maps)
    torch.testing.assert_close(found.pictures_of(maps), model.pictures_of(maps))


@pytest.mark.parametrize("settings", [
    {}, {"downsampling": 8, "blocks": 2, "latent_channels": 3}, {"width": 6, "size": (16, 16)},
])  # fmt: skip
def test_there_and_back(settings: dict[str, Any], tmp_path: Path) -> None:
    model = exported(tmp_path / "exported", **settings)
    made = import_autoencoder(tmp_path / "exported", tmp_path / "run")
    found = api.load(made.path, device="cpu")
    assert found.shape == model.shape
    same_pictures(made.path, model)


def test_for_another_resolution(tmp_path: Path) -> None:
    model = exported(tmp_path / "exported")
    made = import_autoencoder(tmp_path / "exported", tmp_path / "run", "16x40")
    found = api.load(made.path, device="cpu")
    assert found.shape == (3, 16, 40)
    assert isinstance(found, AutoencoderKl)
    weights = model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in found.state_dict().items())
    assert found.decode(found.encode(torch.zeros(1, 3, 16, 40))).shape == (1, 3, 16, 40)
    with pytest.raises(ConfigError, match="--resolution 3 is no size"):
        import_autoencoder(tmp_path / "exported", tmp_path / "other", 3)
    assert not (tmp_path / "other").exists()


def rewrite(folder: Path, weights: dict[str, Tensor] | None = None, **config: Any) -> None:
    """Change what a folder says, and its weights."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    if weights is not None:
        save_file(weights, folder / "diffusion_pytorch_model.safetensors")


def stored(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "diffusion_pytorch_model.safetensors")


def test_older_names_and_half_precision(tmp_path: Path) -> None:
    model = exported(tmp_path / "old")
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = {}
    for name, tensor in stored(tmp_path / "old").items():
        for new, old in older.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        weights[name] = tensor.half()
    assert sum(".query." in name for name in weights) == 4
    (tmp_path / "old" / "diffusion_pytorch_model.safetensors").unlink()
    save_file(weights, tmp_path / "old" / "diffusion_pytorch_model.fp16.safetensors")
    model.half().float()
    same_pictures(import_autoencoder(tmp_path / "old", tmp_path / "run").path, model)


def test_without_maps_beside_the_latents(tmp_path: Path) -> None:
    """As the autoencoders of later models are."""
    model = exported(tmp_path / "new")
    weights = {n: t for n, t in stored(tmp_path / "new").items() if "quant_conv" not in n}
    rewrite(tmp_path / "new", weights, use_quant_conv=False, use_post_quant_conv=False)
    images = torch.rand(2, 3, 32, 24)
    moments, (decoded, _) = model.encoder(images), model.decoder(torch.ones(1, 4, 8, 6))
    found = api.load(import_autoencoder(tmp_path / "new", tmp_path / "run").path, device="cpu")
    assert isinstance(found, AutoencoderKl)
    torch.testing.assert_close(found.maps_of(images), moments[:, :4])
    torch.testing.assert_close(found.pictures_of(torch.ones(1, 4, 8, 6)), decoded)


@pytest.mark.parametrize(("config", "says"), [
    ({"_class_name": "AutoencoderTiny"}, "is of AutoencoderTiny"),
    ({"down_block_types": ["DownEncoderBlock2D"] * 2 + ["AttnDownEncoderBlock2D"]},
     "down_block_types are not all"),
    ({"up_block_types": ["UpDecoderBlock2D"]}, "up_block_types are not all"),
    ({"block_out_channels": [8, 8, 8]}, r"are \[8, 8, 8\], where \[8, 16, 32\]"),
    ({"block_out_channels": [8]}, "not all DownEncoderBlock2D"),
    ({"block_out_channels": [10**9] * 3}, "block_out_channels.0: Input should be less"),
    ({"norm_num_groups": 4}, "norm_num_groups is 4, where 2"),
    ({"act_fn": "relu"}, "act_fn is 'relu'"),
    ({"in_channels": 4}, "in_channels 4 and out_channels 3 differ"),
    ({"mid_block_add_attention": False}, "no attention in the middle"),
    ({"layers_per_block": "2"}, "layers_per_block: Input should be a valid integer"),
    ({"layers_per_block": 3}, "does not fit its config.json: decoder.up_blocks"),
    ({"latent_channels": 3}, "does not fit its config.json: decoder.conv_in.weight has"),
    ({"sample_size": [1, 2, 3]}, "sample_size .* is no size of pictures"),
])  # fmt: skip
def test_other_networks(config: dict[str, Any], says: str, tmp_path: Path) -> None:
    exported(tmp_path / "folder")
    rewrite(tmp_path / "folder", **config)
    with pytest.raises((RunError, ConfigError), match=says):
        import_autoencoder(tmp_path / "folder", tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def without(weights: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {n: t for n, t in weights.items() if n != name}


BROKEN: dict[str, tuple[Callable[[dict[str, Tensor]], dict[str, Tensor]], str]] = {
    "missing": (lambda w: without(w, "quant_conv.bias"), "quant_conv.bias has no such weight"),
    "more": (lambda w: {**w, "loss.x\n": torch.ones(1)}, "loss.x has .* no such weight in"),
    "not finite": (lambda w: {**w, "quant_conv.bias": torch.full((8,), torch.nan)}, "not finite"),
    "quantised": (
        lambda w: {**w, "quant_conv.bias": torch.ones(8, dtype=torch.int8)}, "quantised weights"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_weights_of_no_such_network(kind: str, tmp_path: Path) -> None:
    change, says = BROKEN[kind]
    exported(tmp_path / "folder")
    rewrite(tmp_path / "folder", change(stored(tmp_path / "folder")))
    with pytest.raises(RunError, match=says):
        import_autoencoder(tmp_path / "folder", tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_damaged_files(tmp_path: Path) -> None:
    exported(tmp_path / "folder")
    config, file = (tmp_path / "folder" / name
                    for name in ("config.json", "diffusion_pytorch_model.safetensors"))  # fmt: skip
    whole = file.read_bytes()
    for content in (b"", whole[:1000], whole[:-5], b"\xff" * 100):
        file.write_bytes(content)
        with pytest.raises(RunError, match="cannot be read as safetensors"):
            import_autoencoder(tmp_path / "folder", tmp_path / "run")
    for text in ("", "[1]", "[" * 100_000, "{" + " " * 2**20 + "}", '"\xff'):
        config.write_bytes(text.encode("latin-1"))
        with pytest.raises(RunError, match=r"config\.json"):
            import_autoencoder(tmp_path / "folder", tmp_path / "run")


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    exported(tmp_path / "folder")
    (tmp_path / "folder" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(RunError, match=r"but no diffusion_pytorch_model\.safetensors"):
        import_autoencoder(tmp_path / "folder", tmp_path / "run")
    (tmp_path / "folder" / "diffusion_pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(RunError, match="a pickle, which could execute anything"):
        import_autoencoder(tmp_path / "folder", tmp_path / "run")


def test_other_folders(tmp_path: Path) -> None:
    exported(tmp_path / "whole" / "vae")
    (tmp_path / "whole" / "model_index.json").write_text("{}")
    with pytest.raises(RunError, match=f"ganvas import {tmp_path / 'whole' / 'vae'}"):
        import_autoencoder(tmp_path / "whole")
    run = import_autoencoder(tmp_path / "whole" / "vae", tmp_path / "run").path
    with pytest.raises(RunError, match="is a run of ganvas already"):
        import_autoencoder(run)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"has no config\.json\. What can be imported"):
        import_autoencoder(tmp_path / "empty")


# The verbs.


def test_the_command_line(ganvas: Command, tmp_path: Path) -> None:
    exported(tmp_path / "folder")
    run = tmp_path / "run"
    result = ganvas("import", tmp_path / "folder", "--out", run, "--resolution", "16")
    assert (result.code, result.err) == (0, "")
    assert "pictures of 16x16 pixels" in result.out
    assert f"--first-stage {run}" in result.out
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (20, 20), "red").save(tmp_path / "pictures" / name)
    assert f"ganvas reconstruct {run} PICTURES" in result.out
    assert ganvas("reconstruct", run, tmp_path / "pictures").code == 0
    assert "no distribution" in ganvas("sample", run).err
    result = ganvas("export", run)
    assert (result.code, result.err) == (0, "")
    assert f'AutoencoderKL.from_pretrained("{run}/diffusers")' in result.out
    assert (run / "diffusers" / "config.json").is_file()
    again = ganvas("export", run, "--format", "diffusers")
    assert again.code == 2
    assert "is there already" in again.err
    assert "none of diffusers" in ganvas("export", run, "--format", "gguf").err


def test_a_pipeline_by_the_command_line(ganvas: Command, tmp_path: Path) -> None:
    run = as_run(small(), tmp_path / "run")
    result = ganvas("export", run, "--out", tmp_path / "out")
    assert (result.code, result.err) == (0, "")
    assert 'picture = pipeline("A red hat", num_inference_steps=3, guidance_scale=3)' in result.out
    assert (tmp_path / "out" / "unet" / "config.json").is_file()


def test_a_resolution_is_of_folders(ganvas: Command, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").touch()
    result = ganvas("import", tmp_path / "a.pkl", "--resolution", "32")
    assert result.code == 2
    assert "--resolution is for folders" in result.err


def test_settings_are_all_that_the_library_has_to_know() -> None:
    settings = settings_of(autoencoder((32, 24), width=32))
    assert settings["norm_num_groups"] == 8
    assert settings["sample_size"] == [32, 24]
    assert settings_of(autoencoder((32, 32)))["sample_size"] == 32
