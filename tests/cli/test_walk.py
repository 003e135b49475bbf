"""`ganvas interpolate` and `ganvas sample --truncations` from the command line."""

from pathlib import Path

import pytest
import torch
from PIL import Image, ImageSequence

from ganvas import api
from ganvas.latent.points import Points, save_points
from ganvas.latent.space import open_space
from ganvas.models.vae import Vae
from ganvas.models.vae_config import VaeConfig
from tests.cli.running import Command
from tests.latent.painter import Painter


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    """What every command loads."""
    model = Painter()
    monkeypatch.setattr(api, "load", lambda run, **options: model)
    return model


def count(path: str) -> int:
    return len(list(Path(path).iterdir()))


def test_a_sheet_by_default(ganvas: Command, painter: Painter) -> None:
    result = ganvas("interpolate", "run")
    assert result.code == 0, result.err
    assert result.out == "32 pictures on run/interpolation.png\n"
    looped = ganvas("interpolate", "run", "--loop", "--out", "loop.png")
    assert looped.out == "40 pictures on loop.png\n"


def test_films(ganvas: Command, painter: Painter) -> None:
    pytest.importorskip("imageio_ffmpeg")
    walk = ("interpolate", "run", "--seeds", "1,2", "--fps", "10", "--out")
    assert ganvas(*walk, "a.gif").out == "21 frames, 2.1 s at 10 a second: a.gif\n"
    assert ganvas(*walk, "a.gif", "--loop").out == "40 frames, 4 s at 10 a second: a.gif\n"
    assert ganvas(*walk, "a.mp4", "--frames", "7").out.startswith("7 frames, 0.7 s")
    assert ganvas(*walk, "frames", "--steps", "3").out == "3 frames in frames/\n"
    assert count("frames") == 3
    with Image.open("a.gif") as gif:  # where nothing changes for a while, a frame is shown longer
        assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(gif)) == 4000


def test_seeds_and_points_in_turn(ganvas: Command, painter: Painter) -> None:
    values = torch.randn(2, *open_space(painter, "w+").shape)
    save_points(Path("me.safetensors"), Points("w+", values, ("a", "b")), painter)
    walk = ("interpolate", "run", "--steps", "2", "--out", "out")
    assert ganvas(*walk, "--seeds", "1, me.safetensors,3").out == "4 frames in out/\n"
    walk = (*walk[:-1], "points")
    assert ganvas(*walk, "--points", "me.safetensors").out == "2 frames in points/\n"
    painter.mean.data += 1
    assert "another model" in ganvas(*walk, "--points", "me.safetensors").err


def test_pictures_are_refused_before_anything_slow_happens(
    ganvas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*arguments: object, **options: object) -> None:
        raise AssertionError("something slow happened")

    monkeypatch.setattr(api, "pictures_for", slow)
    monkeypatch.setattr(api, "load", lambda run, **options: Painter())
    assert "no encoder" in ganvas("interpolate", "run", "--images", "avatars").err
    monkeypatch.setattr(api, "load", slow)
    for space in ("w", "w+"):
        refused = ganvas("interpolate", "run", "--images", "avatars", "--space", space)
        assert refused.code == 2
        assert f"a walk in {space} goes between seeds" in refused.err


def test_pictures_of_a_model_that_encodes(ganvas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    vae = Vae(VaeConfig(width=4, latent_size=8), (3, 16, 16)).eval()
    asked: list[int] = []

    def pictures(run: Path, source: str, n: int) -> tuple[torch.Tensor, None]:
        asked.append(n)
        return torch.rand(n, 3, 16, 16) * 2 - 1, None

    monkeypatch.setattr(api, "load", lambda run, **options: vae)
    monkeypatch.setattr(api, "pictures_for", pictures)
    walk = ("interpolate", "run", "--images", "avatars", "--steps", "2")
    assert ganvas(*walk, "-n", "3").out == "4 pictures on run/interpolation.png\n"
    assert asked == [3]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ("--seeds 1,2 --points a.safetensors", "exclude each other"),
        ("--seeds 1,2 --images a", "exclude each other"),
        ("--steps 3 --frames 5", "give one of them"),
        ("--points absent.safetensors", "there is no file absent.safetensors"),
        ("--seeds 1,absent.safetensors", "there is no file absent.safetensors"),
        ("--seeds 1,me.png", "--seeds '1,me.png'"),
        ("--out a.avi", ".gif or .mp4"),
        ("--out a.gif --fps 60", "1 to 50"),
        ("--space x", "none of z, w, w+"),
        ("--space z --truncation 0.5", "truncated in w"),
        ("--mode slerp", "--mode slerp"),
    ],
)
def test_what_cannot_be(arguments: str, part: str, ganvas: Command, painter: Painter) -> None:
    result = ganvas("interpolate", "run", *arguments.split())
    assert result.code == 2
    assert part in result.err
    assert result.err.count("\n") == 1
    assert not list(Path().iterdir())


def test_a_sweep_of_truncations(ganvas: Command, painter: Painter) -> None:
    result = ganvas("sample", "run", "--truncations", "0.3, 0.7,1", "-n", "4", "--seed", "2")
    assert result.code == 0, result.err
    assert result.out == (
        "run/truncations-2.png: rows: truncation 0.3, 0.7, 1; columns: seeds from 2 on\n"
    )
    for wrong, part in (
        (("--truncations", "0.3,x"), "--truncations '0.3,x'"),
        (("--truncations", "0.3,nan"), "--truncations '0.3,nan'"),
        (("--truncations", "1", "--truncation", "1"), "leave them out"),
        (("--truncations", "1", "--out", "folder"), "a .png"),
    ):
        refused = ganvas("sample", "run", *wrong)
        assert refused.code == 2
        assert part in refused.err
