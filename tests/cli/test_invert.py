"""`ganvas invert` from the command line."""

import json
from pathlib import Path

import pytest
from PIL import Image

from ganvas import api
from ganvas.latent import inversion, verdict
from ganvas.latent.points import read_points
from tests.cli.running import Command
from tests.latent.painter import Painter
from tests.tiny import tiny, train_quietly


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inversion, "_LOOK_ALIKES", 16)
    monkeypatch.setattr(verdict, "OWN_PICTURES", 2)
    Path("photos").mkdir()
    Image.new("RGB", (24, 40), "teal").save("photos/wide.png")
    Image.new("RGB", (16, 16), "red").save("photos/fits.png")
    Path("photos/broken.jpg").write_bytes(b"\xff\xd8")


@pytest.fixture
def gan() -> Path:
    return train_quietly(tiny("dcgan", "training.images=16"), Path("run"))


def test_a_folder(ganvas: Command, gan: Path) -> None:
    result = ganvas("invert", gan, "photos", "--steps", "3")
    assert result.code == 0, result.err
    for part in (
        "Left out: broken.jpg",
        "wide.png: cropped and resized from 24x40 to 16x16",
        "Self-check on 2 pictures",
        "Self-check: of 2 pictures that the model made itself",
        "what this model can make (PSNR ",
        "run/inversions/photos-z/ (z)",
    ):
        assert part in result.out
    assert "fits.png: cropped" not in result.out
    place = Path("run/inversions/photos-z")
    points = read_points(place / "points.safetensors", api.load(gan, say=lambda line: None))
    assert points.names == ("fits.png", "wide.png")
    assert points.scores is not None
    records = json.loads((place / "scores.json").read_text())
    assert [record["psnr"] for record in records] == pytest.approx(points.scores["psnr"])
    with Image.open(place / "sheet.png") as sheet:
        assert sheet.width > sheet.height

    again = ganvas("invert", gan, "photos/fits.png", "--steps", "3", "--out", "elsewhere")
    assert again.code == 0, again.err
    assert "Self-check on" not in again.out  # it is known
    assert "Self-check: of" in again.out
    assert Path("elsewhere/points.safetensors").is_file()
    assert "Self-check on" in ganvas("invert", gan, "photos/fits.png", "--steps", "4").out


def test_in_every_space_of_styles(ganvas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train_quietly(tiny("stylegan2", "training.images=16"), Path("run"))
    painter = Painter()
    monkeypatch.setattr(api, "load", lambda run, **options: painter)
    for options, space in (((), "w+"), (("--space", "z"), "z"), (("--space", "w"), "w")):
        result = ganvas("invert", run, "photos/wide.png", "--steps", "2", *options)
        assert result.code == 0, result.err
        assert Path(f"run/inversions/wide-{space}/sheet.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("photos", "--space", "w"), "no styles"),
        (("photos", "--space", "x"), "--space 'x'"),
        (("absent.png",), "absent.png"),
        (("photos/broken.jpg",), "broken.jpg"),
        (("ring",), "ring"),
        (("photos", "--out", "sheet.png"), "such as sheet"),
        (("photos", "--checkpoint", "7"), "7"),
    ],
)
def test_explains(ganvas: Command, gan: Path, arguments: tuple[str, ...], part: str) -> None:
    before = sorted(Path().rglob("*"))
    result = ganvas("invert", gan, *arguments)
    assert result.code == 2
    assert result.err.startswith("ganvas: ")
    assert part in result.err
    assert result.err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_models_that_cannot(ganvas: Command) -> None:
    for recipe, part in (("autoencoder", "reconstruct"), ("pix2pix", "translate")):
        run = train_quietly(tiny(recipe, "training.images=8"), Path(recipe))
        result = ganvas("invert", run, "photos")
        assert result.code == 2
        assert part in result.err
