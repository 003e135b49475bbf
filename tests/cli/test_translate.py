"""`ganvas translate`, and what runs that translate say to the verbs that cannot use them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas import api
from ganvas.pictures import Bytes
from ganvas.translation.tiling import TILE
from tests.cli.running import Command
from tests.data.making import encode, fill_folder, picture
from tests.tiny import tiny, train_quietly


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of 60 x 24 that hold two each, and runs that learned from them."""
    root = tmp_path_factory.mktemp("translate")
    fill_folder(root / "pairs", [f"{i}.png" for i in range(8)], size=(60, 24))
    (root / "pairs" / "9.jpg").write_bytes(encode(picture(size=(500, 260), seed=9), "JPEG"))
    source, settings = f"data.source={root / 'pairs'}", ("data.pair=AB", "training.images=16")
    clear = ("data.domains=null", "training.sample_every=16")
    train_quietly(tiny("pix2pix", source, *clear, *settings), root / "pix2pix")
    train_quietly(tiny("cyclegan", source, *clear, *settings), root / "cyclegan")
    return root


@pytest.fixture(autouse=True)
def own_place(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs and the pictures by their names, from a folder of each test's own."""
    for name in ("pairs", "pix2pix", "cyclegan"):
        (tmp_path / name).symlink_to(place / name)
    monkeypatch.chdir(tmp_path)


def pixels(path: Path) -> Bytes:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def cells(sheet: Path, height: int, width: int) -> Iterator[Bytes]:
    """The pictures of that size on a contact sheet."""
    shown = pixels(sheet)
    scale = next(
        scale
        for scale in range(1, 100)
        if not any((side - 2) % (cell * scale + 2)
                   for side, cell in zip(shown.shape, (height, width), strict=False))
    )  # fmt: skip
    for top in range(2, shown.shape[0], height * scale + 2):
        for left in range(2, shown.shape[1], width * scale + 2):
            block = shown[top : top + height * scale, left : left + width * scale]
            yield block[::scale, ::scale]


@pytest.mark.parametrize(("run", "place_in_row"), [("pix2pix", 1), ("cyclegan", 1)])
def test_equals_what_the_training_showed(ganvas: Command, run: str, place_in_row: int) -> None:
    """Bit for bit: one pipeline from the file to the picture, noise included."""
    result = ganvas("translate", run, "pairs", "--pair", "AB", "--resize", "--out", "out")
    assert result.code == 0, result.err
    shown = list(cells(Path(run) / "samples" / "000000016.png", 16, 16))
    rows = 3 if run == "pix2pix" else 6
    names = sorted(p.stem for p in Path("pairs").iterdir())
    for i, name in enumerate(names):
        np.testing.assert_array_equal(
            pixels(Path("out") / f"{name}.png"), shown[rows * i + place_in_row]
        )
    ours = list(cells(Path("out/sheet.png"), 16, 16))
    np.testing.assert_array_equal(ours[:2], shown[:2])


def test_back_again(ganvas: Command) -> None:
    result = ganvas("translate", "cyclegan", "pairs", "--pair", "BA", "--direction", "BA")
    assert result.code == 0, result.err
    assert "9 pictures in cyclegan/translated/; see cyclegan/translated/sheet.png" in result.out
    assert pixels(Path("cyclegan/translated/9.png")).shape == (260, 250, 3)


def test_a_file_of_any_size(ganvas: Command) -> None:
    Path("a.jpg").write_bytes(encode(picture(size=(201, 97)), "JPEG"))
    for tile in ("1024", "64"):
        result = ganvas("translate", "pix2pix", "a.jpg", "--out", f"tile{tile}", "--tile", tile)
        assert result.code == 0, result.err
        assert "a.jpg has 201x97 pixels" in result.out
        assert pixels(Path(f"tile{tile}/a.png")).shape == (97, 201, 3)


def test_targets_that_cannot_be_shown_are_named(ganvas: Command) -> None:
    fill_folder(Path("targets/deeper"), [f"{i}.png" for i in range(3)])
    Path("targets/deeper/2.png").write_text("no picture")
    fill_folder(Path("four"), [f"{i}.png" for i in range(4)])
    result = ganvas("translate", "pix2pix", "four", "--target", "targets", "--out", "out")
    assert result.code == 0, result.err
    assert "no target of 2.png on the sheet: deeper/2.png of" in result.out
    assert "no target of 3.png on the sheet:" in result.out
    assert result.out.count("no target of") == 2


def test_own_pictures(ganvas: Command) -> None:
    result = ganvas("translate", "pix2pix", "--out", "own")
    assert result.code == 0, result.err
    assert "9 pictures of" in result.out
    assert "the run has seen them" in result.out
    assert {p.name for p in Path("own").iterdir()} == {
        *(f"{i}.png" for i in range(10) if i != 8), "sheet.png",
    }  # fmt: skip
    train_quietly(tiny("pix2pix", "training.images=8"), Path("drawn"))
    result = ganvas("translate", "drawn")
    assert result.code == 0, result.err
    assert "held out" in result.out
    assert len(list(Path("drawn/translated").iterdir())) == 65


def test_seeds_and_checkpoints(ganvas: Command) -> None:
    def made(*options: str) -> bytes:
        result = ganvas("translate", "pix2pix", "pairs/0.png", "--out", "out", *options)
        assert result.code == 0, result.err
        return pixels(Path("out/0.png")).tobytes()

    first = made()
    assert made("--seed", "0", "--checkpoint", "16") == first
    assert made("--seed", "1") != first


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("pix2pix", "pairs", "--direction", "BA"), "--direction BA: a pix2pix translates AB only"),
        (("pix2pix", "pairs", "--direction", "CD"), "none of AB, BA"),
        (("pix2pix", "pairs", "--pair", "AA"), "none of AB, BA"),
        (("pix2pix", "pairs", "--tile", "3"), "--tile 3 is too small"),
        (("pix2pix", "absent"), "There is no file or folder 'absent'"),
        (("pix2pix", "pairs", "--out", "pairs/out"), "lies within pairs"),
        (("pix2pix", "pairs", "--out", "out.png"), "Give a folder, such as out"),
        (("pix2pix", "pairs", "--target", "pairs", "--pair", "AB"), "give one of them"),
        (("pix2pix", "pairs", "--target", "absent"), "'absent'"),
        (("pix2pix", "--resize"), "name some after the run"),
        (("pix2pix", "pairs", "--checkpoint", "7"), "7"),
        (("pix2pix", "pix2pix/config.yaml"), "its bytes are no picture"),
        (("absent", "pairs"), "absent does not exist"),
        (("pairs", "pairs"), "not a run folder"),
    ],
)
def test_what_cannot_be_is_explained(
    ganvas: Command, arguments: tuple[str, ...], part: str
) -> None:
    result = ganvas("translate", *arguments)
    assert result.code == 2
    assert result.err.startswith("ganvas: ")
    assert part in result.err
    assert result.err.count("\n") == 1
    assert not Path("out").exists()


def test_runs_that_do_not_translate_say_so(ganvas: Command) -> None:
    train_quietly(tiny("gan", "training.images=8"), Path("gan"))
    result = ganvas("translate", "gan", "pairs")
    assert result.code == 2
    assert "gan holds a gan" in result.err
    assert "ganvas sample gan" in result.err
    assert "pix2pix, cyclegan" in result.err


@pytest.mark.parametrize("verb", ["sample", "reconstruct", "mix", "vary", "interpolate"])
def test_runs_that_translate_say_so_to_other_verbs(ganvas: Command, verb: str) -> None:
    result = ganvas(verb, "pix2pix", *(["--seeds", "1,2"] if verb == "interpolate" else []))
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "pix2pix holds a pix2pix, which translates" in result.err
    assert "ganvas translate pix2pix PICTURES" in result.err


def test_the_end_of_a_training_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    api.train(tiny("cyclegan", "training.images=8"), out=Path("run"))
    assert "ganvas translate run PICTURES" in capsys.readouterr().out


def test_the_tile_of_the_command_is_that_of_the_package(ganvas: Command) -> None:
    assert f"[default: {TILE}]" in ganvas("translate", "--help").out
