"""`ganvas mix`, `ganvas vary` and what else a model with styles can do from the command line."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from ganvas import api
from ganvas.latent.points import Points, save_points
from tests.cli.running import Command
from tests.latent.painter import Etcher, Painter
from tests.tiny import tiny, train_quietly


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    """What every command loads."""
    model = Painter()
    monkeypatch.setattr(api, "load", lambda run, **options: model)
    return model


def size(path: str) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_mix(ganvas: Command, painter: Painter) -> None:
    result = ganvas("mix", "run", "--rows", "1, 2,2", "--cols", "4,5", "--layers", "0-2,5")
    assert result.code == 0, result.err
    assert result.out == "Rows 1,2,2 with layers 0-2,5 of columns 4,5: run/mix-0-2,5.png\n"
    width, height = size("run/mix-0-2,5.png")
    assert height > width  # a row for each of the three and one above them, three columns
    assert ganvas("mix", "run", "--truncation", "0.5", "--out", "sheets/a.png").code == 0
    assert "layers 0-2 " in ganvas("mix", "run").out
    assert Path("sheets/a.png").read_bytes() != Path("run/mix-coarse.png").read_bytes()


def test_points_are_mixed_with_seeds(ganvas: Command, painter: Painter) -> None:
    values = torch.randn(1, painter.layers, painter.latent_size)
    save_points(Path("me.safetensors"), Points("w+", values, ("me",)), painter)
    result = ganvas("mix", "run", "--rows", "1,me.safetensors", "--cols", "4", "--out", "a.png")
    assert result.out == "Rows 1,me.safetensors with layers 0-2 of columns 4: a.png\n"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--rows", "1,x"), "--rows '1,x'"),
        (("--rows", "1,none.safetensors"), "no file none.safetensors"),
        (("--cols", ""), "--cols ''"),
        (("--cols", "1," + "9" * 30), "--cols"),
        (("--layers", "0-8"), "coarse (0-2)"),
        (("--layers", "finest"), "all (0-7)"),
        (("--labels", "cat"), "without classes"),
        (("--out", "sheet.jpg"), "sheet.jpg"),
        (("--out", "folder"), "folder"),
    ],
)
def test_mix_explains(
    ganvas: Command, painter: Painter, arguments: tuple[str, str], part: str
) -> None:
    result = ganvas("mix", "run", *arguments)
    assert result.code == 2
    assert result.err.startswith("ganvas: ")
    assert part in result.err
    assert result.err.count("\n") == 1
    assert not Path("run").exists()


def test_vary(ganvas: Command, painter: Painter) -> None:
    result = ganvas("vary", "run", "--seed", "3", "-n", "5", "--over", "20")
    assert result.code == 0, result.err
    assert "5 pictures of seed 3 and the map on run/noise-3.png" in result.out
    assert "over 20 noises: white = " in result.out
    width, height = size("run/noise-3.png")
    assert width > height  # no noise and the map; the pictures in two rows of three
    assert ganvas("vary", "run", "--out", "a.gif").code == 2


def test_sample_with_noise(ganvas: Command, painter: Painter) -> None:
    def drawn(*noise: str) -> bytes:
        assert ganvas("sample", "run", "-n", "2", *noise, "--out", "sheet.png").code == 0
        return Path("sheet.png").read_bytes()

    plain = drawn()
    assert drawn("--noise", "constant") == plain
    assert drawn("--noise", "random") != plain
    assert "constant, random, none" in ganvas("sample", "run", "--noise", "some").err


def test_walk_in_w(ganvas: Command, painter: Painter) -> None:
    walk = ("interpolate", "run", "--seeds", "1,2", "--steps", "3", "--out", "w")
    assert ganvas(*walk, "--space", "w").code == 0
    assert len(list(Path("w").iterdir())) == 3
    assert "--mode slerp" in ganvas(*walk, "--space", "w", "--mode", "slerp").err
    assert "none of z, w" in ganvas(*walk, "--space", "x").err


def test_models_without_styles_or_noise_say_so(
    ganvas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_quietly(tiny("gan", "training.images=8"), Path("gan"))
    for line in (("mix", "gan"), ("vary", "gan"), ("interpolate", "gan", "--space", "w")):
        assert "no styles" in ganvas(*line).err
    assert "no noise" in ganvas("sample", "gan", "--noise", "none").err
    monkeypatch.setattr(api, "load", lambda run, **options: Etcher())
    assert "no noise" in ganvas("vary", "run").err
    assert ganvas("mix", "run").code == 0


def test_a_trained_run(ganvas: Command) -> None:
    small = ("model.max_width=8", "model.mapping_layers=2", "training.images=16")
    run = train_quietly(tiny("stylegan2", *small, "model.conditional=true"), Path("run"))
    commands = (
        ("mix", run, "--rows", "1,2", "--cols", "3", "--layers", "middle", "--labels", "1,0"),
        ("mix", run, "--layers", "all", "--truncation", "0.5", "--checkpoint", "16"),
        ("vary", run, "-n", "2", "--over", "4", "--label", "1", "--truncation", "0.5"),
        ("sample", run, "-n", "2", "--noise", "random", "--truncation", "0.7"),
        ("interpolate", run, "--seeds", "1,2", "--space", "w", "--label", "1"),
    )
    for line in commands:
        result = ganvas(*line)
        assert result.code == 0, result.err
    for name in ("mix-middle", "mix-all", "noise-0", "samples-0", "interpolation"):
        assert size(f"run/{name}.png")[0] > 100
    for wrong, part in (
        ("mix --layers fine", "no fine layers (64 px and up)"),
        ("mix --layers 6", "all (0-5)"),
        ("mix --truncation nan", "from -2 to 2"),
        ("vary --label cow", "no class 'cow'"),
    ):
        verb, *options = wrong.split()
        result = ganvas(verb, run, *options)
        assert result.code == 2
        assert part in result.err
