"""`ganvas sample` and `interpolate` with models that draw in steps, from text."""

import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from ganvas import api
from ganvas.data.config import DataConfig
from ganvas.data.pack import open_pack
from ganvas.errors import ConfigError
from ganvas.latent.drawing import captions_in_turn, one_condition, sampling_of, shown_drawing
from ganvas.latent.walk import interpolate
from ganvas.models.diffusion_config import Sampling
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from ganvas.models.latent_diffusion import LatentDiffusion
from tests.cli.running import Command
from tests.interop.latent_diffusions import as_run, small

pytest.importorskip("diffusers")

HAT, MAN = "A red hat", "a bald man, red"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of captions with random weights."""
    return as_run(small(), tmp_path_factory.mktemp("text") / "run")


@pytest.fixture(scope="module")
def of_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_run(small("class"), tmp_path_factory.mktemp("classes") / "run")


@pytest.fixture(scope="module")
def model(run: Path) -> LatentDiffusion:
    loaded = api.load(run, device="cpu")
    assert isinstance(loaded, LatentDiffusion)
    return loaded


def gan() -> Gan:
    return Gan(GanConfig(width=4, latent_size=8), (3, 16, 16)).eval()


def test_a_sheet_of_one_text(ganvas: Command, run: Path) -> None:
    result = ganvas("sample", run, "--text", HAT, "--seed", "3")
    assert (result.code, result.err) == (0, "")
    assert f"8 pictures on {run}/samples-3-A-red-hat.png" in result.out
    assert re.search(r"[\d.e-]+ s for each: dpm, 3 steps, guidance 3\.$", result.out.strip())
    with Image.open(run / "samples-3-A-red-hat.png") as sheet:
        assert isinstance(sheet, Image.Image)
        assert sheet.info["captions"].splitlines() == [HAT] * 8


def test_a_folder_of_several_texts(ganvas: Command, run: Path, tmp_path: Path) -> None:
    """It is a source of pictures with captions itself."""
    out = tmp_path / "drawn"
    assert ganvas("sample", run, "--text", HAT, "--text", MAN, "-n", "3", "--out", out).code == 0
    lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert lines == [
        {"file_name": "seed0000.png", "text": HAT},
        {"file_name": "seed0001.png", "text": MAN},
        {"file_name": "seed0002.png", "text": HAT},
    ]
    assert sorted(path.suffix for path in out.iterdir()) == [".jsonl", ".png", ".png", ".png"]
    assert open_pack(DataConfig(source=str(out))).captions == (HAT, MAN, HAT)


def test_each_column_has_one_text(ganvas: Command, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    assert ganvas("sample", run, "--text", HAT, "--text", MAN, "-n", "12", "--out", out).code == 0
    with Image.open(out) as sheet:
        assert sheet.width > sheet.height  # 4 columns in 3 rows
    name = "samples-0-A-red-hat-and-1-more.png"
    assert name in ganvas("sample", run, "--text", HAT, "--text", MAN, "-n", "2").out


def test_how_it_is_drawn(
    ganvas: Command, run: Path, tmp_path: Path, model: LatentDiffusion
) -> None:
    how = ("--sampler", "ddim", "--steps", "2", "--guidance", "1.5")
    result = ganvas("sample", run, "--text", MAN, "-n", "2", *how, "--out", tmp_path)
    assert "ddim, 2 steps, guidance 1.5." in result.out
    with model.drawing(Sampling(sampler="ddim", steps=2, guidance=1.5)):
        expected = model.sample(2, texts=[MAN])
    with Image.open(tmp_path / "seed0001.png") as picture:
        pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    found = pixels.reshape(16, 16, 3).permute(2, 0, 1).float() / 127.5 - 1
    assert (found - expected[1]).abs().max() <= 1.01 / 127.5
    assert (found - model.sample(2, texts=[MAN])[1]).abs().max() > 3 / 127.5


def test_without_text_it_says_which(ganvas: Command, run: Path, tmp_path: Path) -> None:
    result = ganvas("sample", run, "-n", "3", "--out", tmp_path / "drawn")
    assert f"Drawn from captions of its training, such as {HAT!r}" in result.out
    texts = (tmp_path / "drawn" / "metadata.jsonl").read_text()
    assert [json.loads(line)["text"] for line in texts.splitlines()] == [HAT, MAN, HAT]


@pytest.mark.parametrize(("options", "says"), [
    (("--text", "a red monocle"), "'monocle': never in a caption that this model learnt from"),
    (("--text", " "), "is empty: say what to draw"),
    (("--text", " ".join(["red"] * 100)), "is too long"),
    (("--text", HAT, "--labels", "cat"), "takes text, not classes: --text instead of a label"),
    (("--sampler", "euler"), "none of ddim, dpm, heun"),
    (("--steps", "1001"), "steps: Input should be less than or equal to 1000"),
    (("--guidance", "nan"), "guidance"),
])  # fmt: skip
def test_what_cannot_be_drawn(
    options: tuple[str, ...], says: str, ganvas: Command, run: Path, tmp_path: Path
) -> None:
    result = ganvas("sample", run, *options, "-n", "1", "--out", tmp_path / "drawn")
    assert result.code == 2
    assert says in result.err
    assert not (tmp_path / "drawn").exists()


def test_classes_are_not_text(ganvas: Command, of_classes: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    assert ganvas("sample", of_classes, "--labels", "Big dog", "-n", "2", "--out", out).code == 0
    result = ganvas("sample", of_classes, "--text", HAT)
    assert result.code == 2
    assert "takes no text. It takes classes: cat, Big dog." in result.err


def test_models_that_draw_at_once() -> None:
    model = gan()
    assert sampling_of(model) is None
    with pytest.raises(ConfigError, match="--steps and --guidance says nothing to it"):
        sampling_of(model, steps=3, guidance=2.0)
    assert captions_in_turn(model, [], 3) == ()
    with pytest.raises(ConfigError, match=r"takes no text\. Leave --text out"):
        captions_in_turn(model, [HAT], 3)
    with shown_drawing(model, 3):
        assert model.sample(3).shape == (3, 3, 16, 16)


def test_progress_counts_pictures(model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    from ganvas.latent import drawing

    counted: list[float] = []

    @contextmanager
    def bar(label: str, total: int, show: bool = True):  # type: ignore[no-untyped-def]
        assert total == 70
        yield counted.append

    monkeypatch.setattr(drawing, "progress_bar", bar)
    with shown_drawing(model, 70, Sampling(steps=2)):
        model.sample(70)
    assert sum(counted) == 70
    assert len(counted) > 2


# Walks.


def test_a_walk_has_one_caption(model: LatentDiffusion) -> None:
    ends = torch.cat([model.sample(1, seed, texts=[MAN]) for seed in (4, 9)])
    frames = interpolate(model, [4, 9], steps=3, text=MAN).pictures
    torch.testing.assert_close(frames[[0, 2]], ends, atol=1e-4, rtol=0)
    first = interpolate(model, [4, 9], steps=3).pictures
    torch.testing.assert_close(first, interpolate(model, [4, 9], steps=3, text=HAT).pictures)


def test_a_walk_of_a_class(of_classes: Path) -> None:
    model = api.load(of_classes, device="cpu")
    frames = interpolate(model, [4, 9], steps=2, label="Big dog").pictures
    expected = model.sample(1, 9, labels=["Big dog"])
    torch.testing.assert_close(frames[1:], expected, atol=1e-4, rtol=0)


def test_walks_that_cannot_be(model: LatentDiffusion) -> None:
    with pytest.raises(ConfigError, match="takes no text"):
        interpolate(gan(), [1, 2], text=HAT)
    with pytest.raises(ConfigError, match="'blue'"):
        interpolate(model, [1, 2], text="a blue hat")
    with pytest.raises(ConfigError, match="takes text, not classes"):
        one_condition(model, "cat", None, 2)
    with pytest.raises(ConfigError, match="no encoder"):
        interpolate(model, images=torch.zeros(2, 3, 16, 16))


def test_a_walk_by_the_command_line(ganvas: Command, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "walk.png"
    walk = ("interpolate", run, "--seeds", "1,2", "--steps", "2", "--out", out)
    assert ganvas(*walk, "--text", HAT).code == 0
    assert out.is_file()
    assert ganvas(*walk, "--space", "w").code == 2
