"""Files of the authors' structure become runs that draw the authors' pictures."""

import hashlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

from ganvas import api
from ganvas.errors import DataError, RunError
from ganvas.interop import r3gan_names
from ganvas.interop.importing import import_official
from ganvas.interop.official_records import network, read_official
from ganvas.interop.pickles import Stream
from ganvas.models.base import LatentModel, Styles, Truncates
from ganvas.networks import build_discriminator, build_generator, r3gan
from ganvas.training.checkpoint import find_checkpoint, read_networks
from tests.cli.conftest import ganvas as ganvas
from tests.cli.running import Command
from tests.interop.official_files import (
    TRAINING_SET,
    golden,
    part,
    persistent,
    r3gan_file,
    stand_ins,
    stylegan_file,
)

STYLEGANS = [
    "stylegan2_32.safetensors",
    "stylegan2_32_conditional.safetensors",
    "stylegan3t_32.safetensors",
    "stylegan3r_32.safetensors",
]


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def imported(data: bytes, folder: Path) -> tuple[LatentModel, Path]:
    """The run of a file, and its model with averaged weights."""
    file = folder / "network-snapshot-025000.pkl"
    file.write_bytes(data)
    run = import_official(file, folder / "run", progress=False).path
    return api.load(run, device="cpu"), run


def classes_of(tensors: dict[str, Tensor]) -> Tensor | None:
    one_hot = tensors["in.c"]
    return one_hot.argmax(1) if one_hot.shape[1] else None


@pytest.mark.parametrize("name", STYLEGANS)
def test_the_authors_pictures(name: str, tmp_path: Path) -> None:
    tensors, _ = golden(name)
    model, _ = imported(stylegan_file(name), tmp_path)
    assert isinstance(model, Styles)
    w = model.map(tensors["in.z"], classes_of(tensors))
    assert_close(w, tensors["out.w"])
    styles = w[:, None].expand(-1, model.layers, -1)
    expected = tensors["out.image" if "out.image" in tensors else "out.image_const"]
    assert_close(model.synthesise(styles), expected.clamp(-1, 1))
    if "out.image_none" in tensors:
        assert_close(model.synthesise(styles, "none"), tensors["out.image_none"].clamp(-1, 1))


@pytest.mark.parametrize("name", STYLEGANS[:2])
def test_truncation_and_the_discriminator(name: str, tmp_path: Path) -> None:
    tensors, _ = golden(name)
    model, run = imported(stylegan_file(name), tmp_path)
    labels = classes_of(tensors)
    assert isinstance(model, Styles)
    assert isinstance(model, Truncates)
    with model.truncated(0.7):
        assert_close(model.map(tensors["in.z"], labels), tensors["out.w_psi0.7"])
    logits = model.get_submodule("discriminator")(tensors["in.real"], labels)
    assert_close(logits, tensors["out.logits"])
    raw, averaged = read_networks(find_checkpoint(run / "checkpoints", "last", []))
    assert any(name.startswith("discriminator.") for name in raw)
    centre = "generator.mapping.centre"
    assert torch.equal(raw[centre], averaged[centre] + 1)
    assert all(torch.equal(t, raw[name]) for name, t in averaged.items() if name != centre)


def test_without_a_generator_in_training(tmp_path: Path) -> None:
    data = stylegan_file("stylegan2_32.safetensors", content={"G": None})
    _, run = imported(data, tmp_path)
    raw, averaged = read_networks(find_checkpoint(run / "checkpoints", "last", []))
    assert all(torch.equal(tensor, raw[name]) for name, tensor in averaged.items())


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file.pkl"
    file.write_bytes(stylegan_file("stylegan2_32.safetensors"))
    import_official(file, tmp_path / "first")  # torch imports parts of itself, which pickle, late

    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError("a pickle was loaded")

    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    assert (import_official(file, tmp_path / "run").path / "config.yaml").is_file()


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_protocols(protocol: int, tmp_path: Path) -> None:
    model, _ = imported(stylegan_file("stylegan2_32.safetensors", protocol), tmp_path)
    assert model.shape == (3, 32, 32)


def test_what_the_run_says_of_itself(tmp_path: Path) -> None:
    data = stylegan_file("stylegan2_32_conditional.safetensors")
    model, run = imported(data, tmp_path)
    assert model.classes == ("0", "1", "2")
    origin = json.loads((run / "import.json").read_text())
    assert origin["sha256"] == hashlib.sha256(data).hexdigest()
    assert origin["bytes"] == len(data)
    assert origin["file"] == "network-snapshot-025000.pkl"
    assert origin["training_set"] == TRAINING_SET
    assert origin["licence"].startswith("Copyright (c) 2021, SOMEBODY. All rights reserved.")
    assert origin["notes"] == []
    config = yaml.safe_load((run / "config.yaml").read_text())
    model_settings = {
        "networks": "stylegan2", "latent_size": 64, "width": 32, "max_width": 64,
        "mapping_layers": 8, "conditional": True,
    }  # fmt: skip
    assert model_settings.items() <= config["model"].items()
    assert config["data"]["resolution"] == [32, 32]


@pytest.mark.parametrize(("field", "says"), [
    ({"license": "CC BY-NC 4.0\x1b[31m"}, "CC BY-NC 4.0 [31m"),
    ({"Licence": "MIT"}, "MIT"),
])  # fmt: skip
def test_a_licence_field_is_kept(field: dict[str, str], says: str, tmp_path: Path) -> None:
    _, run = imported(stylegan_file("stylegan2_32.safetensors", content=field), tmp_path)
    assert json.loads((run / "import.json").read_text())["licence"] == says


@pytest.mark.parametrize("settings", [
    {"use_noise": False},
    {"architecture": "resnet"},
    {"synthesis_kwargs": {"activation": "relu"}},
    {"mapping_kwargs": {"num_layers": 8, "lr_multiplier": 0.1}},
    {"something_new": 3},
    {"nested": [[[]]]},
])  # fmt: skip
def test_other_settings_are_refused(settings: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="was made with "):
        imported(stylegan_file("stylegan2_32.safetensors", settings=settings), tmp_path)
    assert not (tmp_path / "run").exists()


def test_usual_settings_are_taken(tmp_path: Path) -> None:
    settings = {"conv_clamp": 256, "num_fp16_res": 4, "resample_filter": [1, 3, 3, 1]}
    _, run = imported(stylegan_file("stylegan2_32.safetensors", settings=settings), tmp_path)
    assert api.load(run, device="cpu").sample(1, seed=0).shape == (1, 3, 32, 32)


WITHOUT: dict[str, Any] = {
    "absent": {"content": {"D": None}},
    "of another kind": {"discriminator_settings": {"architecture": "orig"}},
    "with classes": {"discriminator_of": "stylegan2_32_conditional.safetensors"},
}


@pytest.mark.parametrize("kind", WITHOUT)
def test_without_its_discriminator(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "file.pkl"
    file.write_bytes(stylegan_file("stylegan2_32.safetensors", **WITHOUT[kind]))
    made = import_official(file, tmp_path / "run", progress=False)
    assert "discriminator" in " ".join(made.notes)
    assert api.load(made.path).sample(2).shape == (2, 3, 32, 32)


def r3gan_networks(blocks: int = 1, classes: int = 0) -> tuple[dict[str, Tensor], ...]:
    """States of an R3GAN's G and D at 16 px, under this package's names."""
    torch.manual_seed(1)
    G = build_generator("r3gan", 8, (3, 16, 16), 8, classes, blocks)
    D = build_discriminator("r3gan", (3, 16, 16), 8, classes, blocks=blocks)
    with torch.no_grad():
        for parameter in (*G.parameters(), *D.parameters()):
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return G.state_dict(), D.state_dict()


def r3gan_official(ours: dict[str, Tensor], of: str) -> dict[str, Tensor]:
    """A state under the authors' names: what the name map undoes."""
    translate = getattr(
        r3gan_names, "generator_from_official" if of == "G" else "discriminator_from_official"
    )
    tensors, _ = golden("r3gan_32.safetensors")
    known = [n[2:] for n in tensors if n.startswith(f"{of}.")] + ["EmbeddingLayer.weight"]
    kernel = next(t for n, t in tensors.items() if n.endswith("Kernel"))
    result = {}
    for name in known:
        if name.endswith("Kernel"):
            result[name] = kernel
            continue
        (mine,) = translate({name: torch.zeros(1, 1)})
        if mine in ours:
            result[name] = ours[mine].T if mine == "embedding.weight" else ours[mine]
    return result


@pytest.mark.parametrize("classes", [0, 3])
def test_r3gan(classes: int, tmp_path: Path) -> None:
    ours = r3gan_networks(classes=classes)
    data = r3gan_file(r3gan_official(ours[0], "G"), r3gan_official(ours[1], "D"))
    model, run = imported(data, tmp_path)
    assert len(model.classes) == classes
    for of, expected in zip(("generator", "discriminator"), ours, strict=True):
        found = model.get_submodule(of).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in found)
    assert "forbids commercial use" in json.loads((run / "import.json").read_text())["licence"]


def test_the_authors_picture_by_r3gan() -> None:
    """The recorded network has stages that no configuration here gives: built by hand."""
    tensors, about = golden("r3gan_32.safetensors")
    data = r3gan_file(part(tensors, "G"), part(tensors, "D"))
    modules = read_official(Stream(io.BytesIO(data), len(data)))
    assert isinstance(modules, dict)
    state = {n.removeprefix("Model."): t for n, t in network(modules["G_ema"]).copied().items()}
    stages = [about["G"][f"{what}PerStage"] for what in ("Width", "Cardinality", "Blocks")]
    G = r3gan.Generator(32, 3, (4, 4), *stages)  # type: ignore[arg-type]
    G.load_state_dict(r3gan_names.generator_from_official(state))
    assert_close(G(tensors["in.z"]), tensors["out.image"])


def test_r3gan_of_other_stages(tmp_path: Path) -> None:
    tensors, _ = golden("r3gan_32.safetensors")  # a different depth for each stage
    with pytest.raises(RunError, match="stages of different depths"):
        imported(r3gan_file(part(tensors, "G"), part(tensors, "D")), tmp_path)


ODD = {
    "synthesis.b4.const": (5,),
    "synthesis.b32.conv1.weight": (1, 100_000),
    "synthesis.b32.torgb.weight": (3,),
    "synthesis.b99999.torgb.weight": (3, 32, 1, 1),
    "synthesis.b123456.torgb.weight": (3, 32, 1, 1),
    "synthesis.b16.conv0.weight": (64, 64, 1, 1),
    "synthesis.b16.conv0.resample_filter": (),
    "mapping.embed.weight": (1, 100_001),
    "mapping.fc0.weight": (64,),
    "mapping.fc8.weight": (64, 64),
    "mapping.w_avg": (1,),
    "mapping.more": (1,),
}


@pytest.mark.parametrize("name", ODD)
def test_shapes_of_no_network(name: str, tmp_path: Path) -> None:
    tensors, _ = golden("stylegan2_32.safetensors")
    state = part(tensors, "G") | {name: torch.zeros(ODD[name])}
    with stand_ins():
        data = pickle.dumps({"G_ema": persistent(state, "Generator", {})})
    with pytest.raises(RunError, match="was not imported"):
        imported(data, tmp_path)


@pytest.mark.parametrize(("name", "shape"), [
    ("synthesis.L14_0_3.weight", (3, 32, 1, 1)),
    ("synthesis.L0_36_32.down_filter", (5, 5)),
    ("synthesis.input.transform", (2, 2)),
    ("synthesis.L9_52_32.weight", (32, 32)),
])  # fmt: skip
def test_shapes_of_no_stylegan3(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    tensors, _ = golden("stylegan3t_32.safetensors")
    state = part(tensors, "G") | {name: torch.zeros(shape)}
    with stand_ins():
        data = pickle.dumps({"G_ema": persistent(state, "Generator", {})})
    with pytest.raises(RunError, match="was not imported"):
        imported(data, tmp_path)


def test_names_of_r3gan_are_complete() -> None:
    with pytest.raises(RunError, match=r"'MainLayers\.0\.Layers\.1\.More'"):
        r3gan_names.generator_from_official({"MainLayers.0.Layers.1.More": torch.zeros(1)})
    with pytest.raises(RunError, match="resampling filter"):
        r3gan_names.discriminator_from_official(
            {"MainLayers.0.Layers.1.Resampler.Kernel": torch.ones(4, 4) / 16}
        )


# The verbs.


def test_the_command_line(ganvas: Command, tmp_path: Path) -> None:
    file = tmp_path / "ffhq.pkl"
    file.write_bytes(stylegan_file("stylegan2_32.safetensors"))
    run = tmp_path / "run"
    result = ganvas("import", file, "--out", run)
    assert (result.code, result.err) == (0, "")
    assert "Licence of the weights: Copyright (c) 2021, SOMEBODY." in result.out
    assert f"ganvas sample {run}" in result.out
    assert ganvas("sample", run, "-n", "2", "--truncation", "0.7", "--noise", "none").code == 0
    assert ganvas("mix", run, "--rows", "1,2", "--cols", "3", "--layers", "coarse").code == 0
    assert ganvas("report", run).code == 0
    again = ganvas("import", file, "--out", run)
    assert again.code == 2
    assert "is there already" in again.err


def test_default_folders(ganvas: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my net.pkl").write_bytes(stylegan_file("stylegan2_32.safetensors"))
    for name in ("my-net", "my-net-2"):
        assert ganvas("import", "my net.pkl").code == 0
        assert (tmp_path / "runs" / name / "config.yaml").is_file()


@pytest.mark.parametrize("verb", ["resume", "evaluate"])
def test_verbs_that_need_pictures(verb: str, ganvas: Command, tmp_path: Path) -> None:
    _, run = imported(stylegan_file("stylegan2_32.safetensors"), tmp_path)
    result = ganvas(verb, run)
    assert result.code == 2
    assert "nor the state of its optimisers, so it cannot be resumed" in result.err
    assert "ganvas train --from RUN --data PICTURES" in result.err


def test_compared_with_a_run_that_has_pictures(ganvas: Command, tmp_path: Path) -> None:
    _, run = imported(stylegan_file("stylegan2_32.safetensors"), tmp_path)
    result = ganvas("compare", run, run)
    assert result.code == 2
    assert f"{run} was imported without its pictures" in result.err
    assert f"ganvas evaluate {run} --against PICTURES" in result.err


def test_paths_may_be_texts(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(stylegan_file("stylegan2_32.safetensors"))
    made = import_official(str(tmp_path / "a.pkl"), str(tmp_path / "run"), progress=False)
    assert made.path == tmp_path / "run"


def test_evaluated_against_pictures(ganvas: Command, tmp_path: Path) -> None:
    _, run = imported(stylegan_file("stylegan2_32.safetensors"), tmp_path)
    (tmp_path / "real").mkdir()
    for i in range(20):
        pixels = torch.randint(256, (32, 32, 3), dtype=torch.uint8).numpy()
        Image.fromarray(pixels).save(tmp_path / "real" / f"{i}.png")
    result = ganvas("evaluate", run, "--against", tmp_path / "real", "--features", "random")
    assert (result.code, result.err) == (0, "")
    assert (run / "evaluation.json").is_file()


def test_trained_on(ganvas: Command, tmp_path: Path) -> None:
    _, run = imported(stylegan_file("stylegan2_32.safetensors"), tmp_path)
    result = ganvas(
        "train", "--config", run / "config.yaml", "--from", run, "--data", "avatars",
        "--images", "8", "--out", tmp_path / "on", "--set", "training.batch=4",
        "--set", "data.images=20", "--set", "training.device=cpu",
        "--set", "training.score_every=0",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    taken = (tmp_path / "on" / "transfer.txt").read_text()
    counts = [line.split()[1:] for line in taken.splitlines() if line.startswith("  ")][1:]
    assert counts
    assert all(len(numbers) == 1 for numbers in counts), "not all of it was copied"


def test_an_imported_source_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganvas.data.sources import IMPORTED, absolute, open_source

    monkeypatch.chdir(tmp_path)
    Path(IMPORTED).mkdir()
    assert absolute(IMPORTED) == IMPORTED
    with pytest.raises(DataError, match="This run was imported"):
        open_source(IMPORTED)
