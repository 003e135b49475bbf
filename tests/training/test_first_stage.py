"""The first stage of latent diffusion: taken over, measured, and left alone; captions learnt."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from ganvas import api
from ganvas.cli.main import app
from ganvas.data.held_out import training_rows
from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack, open_pack
from ganvas.errors import ConfigError, DataError, GanvasError, RunError
from ganvas.models.autoencoder_kl import AutoencoderKl
from ganvas.models.base import Diffuses, Reads
from ganvas.models.latent_diffusion import LatentDiffusion
from ganvas.models.vqvae import VqVae
from ganvas.training.captions import caption_tokens, known_captions
from ganvas.training.config import RunConfig, read_config
from ganvas.training.run_folder import RunFolder
from tests.data.making import encode, fill_folder, picture
from tests.tiny import assert_same_bits, final_state, first_stage, tiny, train_quietly

RECIPE = "latent-diffusion-tiny"
SHORT = "training.images=16"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that read captions of avatars."""
    return train_quietly(tiny(RECIPE), tmp_path_factory.mktemp("text") / "run")


def newest(run: Path) -> Path:
    return max((run / "checkpoints").glob("[0-9]*"))


def loaded(run: Path) -> LatentDiffusion:
    model = api.load(run, device="cpu", say=lambda line: None)
    assert isinstance(model, LatentDiffusion)
    return model


def pack_of(config: RunConfig) -> Pack:
    return open_pack(config.data, progress=False, needs_captions=config.model.needs_captions)


# What is taken over, measured and kept.


def test_the_averaged_weights_are_taken_and_never_change(run: Path) -> None:
    theirs = load_file(newest(first_stage()) / "weights.safetensors")
    mine = load_file(newest(run) / "weights.safetensors")
    kept = {n.removeprefix("first_stage."): t for n, t in mine.items() if n.startswith("first_")}
    assert kept
    assert_same_bits({name: theirs[name] for name in kept}, kept)
    raw = torch.load(newest(first_stage()) / "state.pt", weights_only=True)["model"]
    assert any(not torch.equal(raw[name], tensor) for name, tensor in kept.items()), "no averages"
    averaged = torch.load(newest(run) / "state.pt", weights_only=True)["ema"]
    assert {name.partition(".")[0] for name in averaged} == {"unet", "text_encoder"}


def test_latents_are_measured_over_the_training(run: Path) -> None:
    config = read_config(run / "config.yaml")
    model, pack = loaded(run), pack_of(config)
    images = to_model_range(torch.from_numpy(np.array(pack.images)).permute(0, 3, 1, 2))
    maps = model.first_stage.maps_of(images).double()
    std, mean = torch.std_mean(maps, (0, 2, 3), correction=0)
    torch.testing.assert_close(model.latent_mean.flatten().double(), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.latent_std.flatten().double(), std, rtol=1e-5, atol=1e-6)
    assert std.max() > 1e-3


def test_the_run_of_the_first_stage_is_needed_no_more(tmp_path: Path) -> None:
    theirs = shutil.copytree(first_stage(), tmp_path / "theirs")
    config = tiny(RECIPE, SHORT, f"model.first_stage.run={theirs}", "training.checkpoint_every=8")
    run = train_quietly(config, tmp_path / "run")
    whole = final_state(run)
    shutil.rmtree(theirs)
    shutil.rmtree(newest(run))
    api.resume(run, say=lambda line: None)
    assert_same_bits(whole, final_state(run))
    assert loaded(run).sample(2).shape == (2, 3, 16, 16)
    with pytest.raises(RunError, match=r"no first stage .* does not exist"):
        train_quietly(read_config(run / "config.yaml"), tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_configuration_repeats_its_run(run: Path, tmp_path: Path) -> None:
    config = read_config(run / "config.yaml")
    assert config.model.name == "latent-diffusion"
    assert config.model.first_stage.model == read_config(first_stage() / "config.yaml").model
    again = train_quietly(config, tmp_path / "again")
    assert_same_bits(final_state(run), final_state(again))


def test_a_vqvae_will_do(tmp_path: Path) -> None:
    theirs = train_quietly(tiny("vqvae", SHORT, "model.downsampling=2"), tmp_path / "theirs")
    config = tiny(RECIPE, SHORT, "model.condition=none", f"model.first_stage.run={theirs}")
    model = loaded(train_quietly(config, tmp_path / "run"))
    assert isinstance(model.first_stage, VqVae)
    assert model.sample(1).shape == (1, 3, 16, 16)


def test_its_resolution_is_that_of_the_training(tmp_path: Path) -> None:
    config = tiny(RECIPE, SHORT, "model.condition=none", "data.resolution=null")
    run = train_quietly(config, tmp_path / "run")
    assert read_config(run / "config.yaml").data.resolution == (16, 16)
    assert isinstance(loaded(run).first_stage, AutoencoderKl)


# What is refused, before anything is written.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("data.resolution=32", r"3x16x16 .* avatars are 3x32x32.* \(--resolution 16x16\)"),
        ("data.channels=1", r"3x16x16 .* are 1x16x16.* \(--set data.channels=3\)"),
        ("model.first_stage.run=null", r"train autoencoder-kl-tiny --data avatars --resolution 16"),
        ("model.first_stage.run=nowhere", "no first stage to begin with"),
    ],
)
def test_first_stages_that_do_not_fit(settings: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(GanvasError, match=message):
        train_quietly(tiny(RECIPE, settings), tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_other_models_are_no_first_stage(tmp_path: Path) -> None:
    vae = train_quietly(tiny("vae", SHORT), tmp_path / "vae")
    with pytest.raises(ConfigError, match=r"holds a vae, .* autoencoder-kl or of a vqvae"):
        train_quietly(tiny(RECIPE, f"model.first_stage.run={vae}"), tmp_path / "run")


def test_a_first_stage_without_a_checkpoint(tmp_path: Path) -> None:
    theirs = shutil.copytree(first_stage(), tmp_path / "theirs")
    shutil.rmtree(theirs / "checkpoints")
    with pytest.raises(RunError, match="no checkpoint yet"):
        train_quietly(tiny(RECIPE, f"model.first_stage.run={theirs}"), tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_models_without_a_first_stage_say_so() -> None:
    done = CliRunner().invoke(app, ["train", "vae", "--first-stage", "runs/x"])
    assert isinstance(done.exception, ConfigError)
    assert "vae has no first stage" in str(done.exception)


def test_pictures_without_captions_are_refused(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "source", ["a.png", "b.png", "c.png"])
    (source / "a.txt").write_text("a ball")
    with pytest.raises(DataError, match=r"2 of the 3 pictures .* \(b.png, c.png\)"):
        train_quietly(tiny(RECIPE, f"data.source={source}"), tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()


# What is learnt of captions.


def captioned(root: Path, **texts: str) -> Path:
    """Pictures with these captions."""
    root.mkdir()
    for seed, (name, text) in enumerate(texts.items()):
        (root / f"{name}.png").write_bytes(encode(picture(seed=seed)))
        (root / f"{name}.txt").write_text(text)
    return root


def test_only_captions_of_the_training_are_known(tmp_path: Path) -> None:
    texts = {name: f"the {name} ball, {'very ' * i}red" for i, name in enumerate("abcdef")}
    source = captioned(tmp_path / "source", **texts)
    config = tiny(RECIPE, f"data.source={source}", "data.held_out=2")
    pack = pack_of(config)
    rows = training_rows(pack, config.data)
    known = known_captions(pack, config.data)
    assert rows is not None
    assert known is not None
    trained = ["abcdef"[row] for row in rows]
    assert set(known.vocabulary) - {"the", "ball", ",", "very", "red"} == set(trained)
    assert {text.split()[1] for text in known.examples} == set(trained)
    assert known.longest == 5 + max(rows)


def test_a_run_remembers_what_it_knows(run: Path) -> None:
    config = read_config(run / "config.yaml")
    assert RunFolder(run).read_captions() == known_captions(pack_of(config), config.data)
    model = loaded(run)
    assert isinstance(model, Reads)
    assert isinstance(model, Diffuses)
    assert {"smiling", "glasses"} <= set(model.vocabulary)
    assert RunFolder(first_stage()).read_captions() is None


def test_a_model_reads_the_captions_of_its_pictures(run: Path) -> None:
    model, pack = loaded(run), pack_of(read_config(run / "config.yaml"))
    tokens = caption_tokens(model, pack)
    assert tokens is not None
    assert pack.captions is not None
    assert tokens.shape == (len(pack), model.tokenizer.model_max_length)
    read = model.tokenizer.decode(tokens[3], skip_special_tokens=True)
    assert read.replace(" ", "") == pack.captions[3].replace(" ", "")


def test_other_captions_are_other_data(tmp_path: Path) -> None:
    texts = {name: f"the {name} ball" for name in "abcdef"}
    source = captioned(tmp_path / "source", **texts)
    config = tiny(RECIPE, SHORT, f"data.source={source}", "training.checkpoint_every=8")
    run = train_quietly(config, tmp_path / "run")
    shutil.rmtree(newest(run))
    (source / "a.txt").write_text("the first ball")
    with pytest.raises(RunError, match="the data has changed"):
        api.resume(run, say=lambda line: None)
    (source / "a.txt").write_text(texts["a"])
    api.resume(run, say=lambda line: None)


def test_words_keep_what_was_learnt_of_them(run: Path, tmp_path: Path) -> None:
    """A training that starts from another knows the words that both have, wherever they stand."""
    texts = {name: f"a smiling {name}" for name in ("zebra", "ant", "person")}
    source = captioned(tmp_path / "source", **texts)
    settings = (f"data.source={source}", SHORT, "training.ema_half_life=1000000000000")
    still = (f"training.start_from={run}", "model.optimizer.learning_rate=1e-12")
    config = tiny(RECIPE, *settings, *still)
    following = loaded(train_quietly(config, tmp_path / "next"))
    before, words = loaded(run), following.vocabulary
    assert words == ("a", "ant", "person", "smiling", "zebra")

    def row(model: LatentDiffusion, word: str) -> torch.Tensor:
        weights = model.text_encoder.state_dict()
        table = next(t for name, t in weights.items() if name.endswith("token_embedding.weight"))
        embedded: torch.Tensor = table[model.tokenizer.convert_tokens_to_ids(word)]
        return embedded

    for word in ("a", "smiling", "person", "<begin>"):
        torch.testing.assert_close(row(following, word), row(before, word))
    torch.testing.assert_close(row(following, "zebra"), row(before, "<unknown>"))


def test_data_json_of_earlier_versions_is_read(tmp_path: Path) -> None:
    run = train_quietly(tiny("vae", SHORT), tmp_path / "run")
    summary = json.loads((run / "data.json").read_text())
    del summary["captions"]
    (run / "data.json").write_text(json.dumps(summary))
    assert RunFolder(run).read_captions() is None
