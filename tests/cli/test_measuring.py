"""`ganvas evaluate`, `compare` and `story`, and what they say of bad input."""

import dataclasses
import functools
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas import measuring
from ganvas.evaluation.protocol import Evaluation
from ganvas.recipes import story
from tests.cli.running import Command
from tests.data.making import fill_folder
from tests.tiny import tiny, train_quietly

SMALL = ("-n", "24", "--features", "random")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name in ("gan", "vae"):
        train_quietly(tiny(name, "training.images=16", "training.score_every=8"), folder / name)
    return folder


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pictures() -> str:
    return str(fill_folder(Path("pictures"), [f"{i:02d}.png" for i in range(16)]))


def test_evaluate_a_run(ganvas: Command, runs: Path) -> None:
    result = ganvas("evaluate", runs / "gan", *SMALL)
    assert result.code == 0, result.err
    for words in ("Fréchet distance", "95% interval", "floor", "random", "Drawn: 24"):
        assert words in result.out
    assert str(runs / "gan" / "evaluation.html") in result.out


def test_evaluate_the_best_checkpoint_as_json(ganvas: Command, runs: Path) -> None:
    result = ganvas("evaluate", runs / "vae", *SMALL, "--checkpoint", "best", "--json")
    assert result.code == 0, result.err
    found = Evaluation.model_validate_json(result.out)
    assert found.checkpoint == "best"
    assert json.loads((runs / "vae" / "evaluation.json").read_text()) == json.loads(result.out)


def test_a_target_is_for_runs_that_translate(ganvas: Command, runs: Path, pictures: str) -> None:
    for arguments in (
        (runs / "gan", "--target", pictures),
        (pictures, "--against", pictures, "--target", pictures),
        (runs / "gan", "--against", pictures, "--target", pictures),
    ):
        result = ganvas("evaluate", *arguments, *SMALL)
        assert result.code != 0
        assert "--target" in result.err
        assert "translate" in result.err


def test_evaluate_pictures(ganvas: Command, pictures: str) -> None:
    result = ganvas("evaluate", pictures, "--against", pictures, *SMALL, "--resolution", "16")
    assert result.code == 0, result.err
    assert "16 pictures on each side" in result.out


def test_compare(ganvas: Command, runs: Path) -> None:
    result = ganvas("compare", runs / "gan", runs / "vae", *SMALL, "--out", "page.html")
    assert result.code == 0, result.err
    assert "vae" in result.out
    assert Path("page.html").stat().st_size < 5_000_000


def test_sample_from_the_best_checkpoint(ganvas: Command, runs: Path) -> None:
    assert (
        ganvas("sample", runs / "gan", "-n", "4", "--checkpoint", "best", "--out", "a.png").code
        == 0
    )
    wrong = ganvas("sample", runs / "gan", "--checkpoint", "7", "--out", "b.png")
    assert wrong.code == 2
    assert "no checkpoint '7'" in wrong.err


def test_strengths_of_guidance_that_make_no_sense(ganvas: Command, runs: Path) -> None:
    no_list = ganvas("evaluate", runs / "gan", *SMALL, "--guidances", "1,two")
    assert no_list.code == 2
    assert "no list of numbers" in no_list.err
    no_guidance = ganvas("evaluate", runs / "gan", *SMALL, "--guidances", "1,2")
    assert no_guidance.code == 2
    assert "leave it out" in no_guidance.err


@pytest.mark.slow
def test_a_story_in_small_is_told_once(ganvas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ("data.images=40", "model.width=8", "training.batch=8", "training.score_every=0")
    short = {"autoencoder", "vae-wide", "autoencoder-kl-tiny", "latent-diffusion-tiny"}
    parts = tuple(
        dataclasses.replace(part, settings=(*part.settings, *few), share=1)
        for part in story.STORY.parts
        if part.name in short
    )
    small = dataclasses.replace(story.STORY, resolution=16, parts=parts)
    monkeypatch.setattr(story, "STORY", small)
    options = functools.partial(measuring.story, options=measuring.Options("random", 24))
    monkeypatch.setattr(measuring, "story", options)
    asked = ("story", "--out", "told", "--images", "16")
    first = ganvas(*asked)
    assert first.code == 0, first.err
    assert "The autoencoder remembers" in Path("told/story.html").read_text()
    weights = {p: p.stat().st_mtime_ns for p in Path("told").glob("*/checkpoints/*/state.pt")}
    assert {path.parts[1] for path in weights} == {part.name for part in parts}
    assert ganvas(*asked).code == 0
    assert {p: p.stat().st_mtime_ns for p in weights} == weights  # nothing is trained twice
    other = ganvas("story", "--out", "told", "--images", "128")
    assert other.code == 2
    assert "other settings" in other.err


def folder_of(name: str, *images: Image.Image) -> str:
    Path(name).mkdir()
    for i, image in enumerate(images):
        image.save(Path(name) / f"{i}.png")
    return name


def test_too_few_pictures(ganvas: Command, pictures: str) -> None:
    empty = folder_of("empty")
    one = folder_of("one", Image.new("RGB", (16, 16)))
    three = folder_of("three", *(Image.new("RGB", (16, 16), (i, 0, 0)) for i in range(3)))
    for few in (empty, one, three):
        for arguments in ((few, "--against", pictures), (pictures, "--against", few)):
            result = ganvas("evaluate", *arguments, *SMALL, "--resolution", "16")
            assert result.code == 2
            assert few in result.err
            assert "Traceback" not in result.err


def test_pictures_of_mixed_sizes_are_brought_to_one(ganvas: Command, pictures: str) -> None:
    random = np.random.default_rng(0)
    mixed = folder_of("mixed", *(
        Image.fromarray(random.integers(0, 255, (16 + i, 20, 3), np.uint8)) for i in range(8)
    ))  # fmt: skip
    result = ganvas("evaluate", mixed, "--against", pictures, *SMALL, "--resolution", "16")
    assert result.code == 0, result.err
    assert "crop" in result.out


def test_constant_pictures(ganvas: Command, pictures: str) -> None:
    grey = folder_of("grey", *(Image.new("RGB", (16, 16), (90, 90, 90)) for _ in range(8)))
    as_real = ganvas("evaluate", pictures, "--against", grey, *SMALL, "--resolution", "16")
    assert as_real.code == 2
    assert "single colour" in as_real.err
    as_fake = ganvas("evaluate", grey, "--against", pictures, *SMALL, "--resolution", "16")
    assert as_fake.code == 0, as_fake.err  # it is simply bad
    assert "0.000" in as_fake.out


def test_wrong_weights_are_refused_by_their_hash(ganvas: Command, pictures: str) -> None:
    Path("wrong.pth").write_bytes(struct.pack("<I", 7) * 100)
    result = ganvas(
        "evaluate", pictures, "--against", pictures, "--features", "inception",
        "--weights", "wrong.pth", "--resolution", "16",
    )  # fmt: skip
    assert result.code == 2
    assert "wrong.pth" in result.err
    assert "6726825d" in result.err


def test_labels_that_are_missing(ganvas: Command, pictures: str) -> None:
    result = ganvas(
        "evaluate", pictures, "--against", pictures, "--features", "classifier",
        "--resolution", "16",
    )  # fmt: skip
    assert result.code == 2
    assert "labels" in result.err
    assert "--features random" in result.err


def test_what_cannot_be_measured(ganvas: Command, runs: Path, pictures: str) -> None:
    for arguments, words in (
        ((pictures,), "--against"),
        (("absent",), "no such folder"),
        ((runs / "gan", "--resolution", "16"), "leave out --resolution"),
        ((runs / "gan", "--features", "inceptoin"), "Did you mean 'inception'"),
        ((runs / "gan", "--checkpoint", "bets"), "no checkpoint 'bets'"),
        ((runs / "gan", "-n", "2"), "too few"),
        ((runs / "gan", "--against", "absent"), "There is no data source 'absent'"),
    ):
        result = ganvas("evaluate", *arguments)
        assert result.code == 2
        assert words in result.err
    assert ganvas("compare", runs / "gan", "absent").code == 2
