import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from ganvas.cli.data import app
from ganvas.data import DataConfig, open_pack
from ganvas.data.inspect import Report, Spread, inspect
from ganvas.data.inspect_text import as_text
from ganvas.data.progress import _bar, progress_bar
from tests.data.making import SHARED, bomb, encode, fill_folder, picture, write_parquet

Run = Callable[..., Any]


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(picture(), "JPEG", exif=exif)


BROKEN = {
    "zero.png": (b"", "empty"),
    "text.jpg": (b"<html>not found</html>", "not an image"),
    "cut.jpg": (encode(picture(), "JPEG")[:-200], "truncated"),
    "cut.png": (encode(picture())[:-40], "truncated"),
    "bomb.png": (bomb(), "bomb"),
    "float.tif": (encode(Image.fromarray(np.zeros((20, 20), np.float32)), "TIFF"), "unsupported"),
}
CHANGED = {
    "moving.gif": (
        encode(picture(), "GIF", save_all=True, append_images=[picture(seed=1)]),
        {"animated", "palette"},
    ),
    "print.jpg": (encode(picture("CMYK"), "JPEG"), {"CMYK"}),
    "scan.png": (encode(picture("I;16")), {"16-bit"}),
    "icon.png": (encode(picture("P")), {"palette"}),
    "clear.png": (encode(picture("RGBA")), {"alpha"}),
    "phone.jpg": (turned(6), {"EXIF rotation"}),
    "upright.jpg": (turned(1), set()),
}


@pytest.fixture
def mess(tmp_path: Path) -> Path:
    """A folder with one of everything that goes wrong, and ten sound pictures."""
    for name, (content, _) in (BROKEN | CHANGED).items():
        (tmp_path / name).write_bytes(content)
    fill_folder(tmp_path, [f"ok{i}.png" for i in range(10)], size=(70, 50))
    (tmp_path / "copy.png").write_bytes((tmp_path / "ok3.png").read_bytes())
    (tmp_path / "notes.txt").write_text("x")
    return tmp_path


def text_of(report: Report, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(as_text(report))
    return console.export_text()


def test_every_file_that_cannot_be_used_is_named_with_the_reason(mess: Path) -> None:
    report = inspect(str(mess))
    assert {p.name: p.kind for p in report.problems} == {n: k for n, (_, k) in BROKEN.items()}
    assert all(problem.reason for problem in report.problems)
    assert report.found == 24
    assert report.usable == 18
    assert report.ignored == 1


def test_every_file_that_is_changed_is_named_with_what_is_done(mess: Path) -> None:
    report = inspect(str(mess))
    for name, (_, kinds) in CHANGED.items():
        assert {change.kind for change in report.changes if change.name == name} == kinds
    assert {change.name for change in report.changes} == {n for n, (_, k) in CHANGED.items() if k}


def test_what_is_in_it_is_counted(mess: Path) -> None:
    report = inspect(str(mess))
    assert report.formats == {"PNG": 14, "JPEG": 3, "GIF": 1}
    assert sum(report.modes.values()) == 18
    assert report.modes["I;16"] == report.modes["CMYK"] == 1
    assert report.width == Spread(30, 70, 70)  # 30: turned by its EXIF
    assert report.height == Spread(30, 50, 50)
    assert report.aspect is not None
    assert report.aspect.smallest == 30 / 40
    assert report.duplicates == (("copy.png", "ok3.png"),)


def test_inspect_and_pack_agree(mess: Path, tmp_path: Path) -> None:
    report = inspect(str(mess))
    pack = open_pack(DataConfig(source=str(mess)), cache=tmp_path / "cache", progress=False)
    assert len(pack) == report.usable
    assert set(pack.skipped) == set(report.problems)
    assert report.resolution is not None
    assert pack.shape == (report.channels, *report.resolution)


def test_the_text_names_the_files_and_groups_long_lists(mess: Path, tmp_path: Path) -> None:
    text = text_of(inspect(str(mess)))
    for name in (*BROKEN, "moving.gif", "copy.png", "ok3.png"):
        assert name in text
    assert "Ready to train, by default at 48x48 with 3 channels" in text
    for index in range(25):
        (mess / f"empty{index:02}.png").write_bytes(b"")
    text = text_of(inspect(str(mess)), width=200)
    assert "and 16 more" in text
    assert "empty15.png" not in text
    assert "More than half cannot be used" in text


def test_names_are_no_markup(tmp_path: Path) -> None:
    fill_folder(tmp_path, ["[red]a[/bold]/b.png", "c/d.png", "[blink]/e.png"])
    (tmp_path / "[blink]/f.png").write_bytes(b"")
    text = text_of(inspect(str(tmp_path)))
    assert "[blink]/f.png" in text
    assert "[blink]  " in text


def test_classes_and_their_balance(tmp_path: Path) -> None:
    fill_folder(tmp_path, ["few/a.png", *(f"many/{i}.png" for i in range(9))])
    (tmp_path / "few/b.png").write_bytes(b"")
    report = inspect(str(tmp_path))
    assert report.classes == {"few": 1, "many": 9}
    assert "90.0%" in text_of(report)


def test_mixed_folders_say_why_there_are_no_classes(tmp_path: Path) -> None:
    fill_folder(tmp_path, ["x/a.png", "b.png"])
    assert "no classes" in text_of(inspect(str(tmp_path)))


def test_parquet_is_inspected_too(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="Parquet needs the hub extra")
    contents = [encode(picture("L", seed=i % 3)) for i in range(6)] + [None, b"x"]
    path = write_parquet(tmp_path / "a.parquet", contents, [0, 1] * 4, ["cat", "dog"])
    report = inspect(str(path))
    assert report.classes == {"cat": 3, "dog": 3}
    assert [p.name for p in report.problems] == ["a.parquet#6", "a.parquet#7"]
    assert len(report.duplicates) == 3
    assert report.channels == 1


@pytest.mark.parametrize("name", ["avatars", "avatars:hat", "ring", "swiss-roll"])
def test_what_ganvas_makes_itself_has_no_problems(name: str) -> None:
    report = inspect(name)
    assert not report.problems + report.changes + report.duplicates
    assert sum(report.classes.values()) in (0, report.found)
    assert "Ready to train" in text_of(report)


# ------------------------------------------------------------------ the command line


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


def test_json_has_everything(mess: Path, run: Run) -> None:
    result = run("inspect", mess, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert {p["name"] for p in report["problems"]} == set(BROKEN)
    assert report["width"] == {"smallest": 30, "median": 70, "largest": 70}
    assert report["resolution"] == [48, 48]


def test_text_is_the_default(mess: Path, run: Run) -> None:
    result = run("inspect", mess)
    assert result.exit_code == 0
    assert "Cannot be used: 6" in result.stdout


def test_pack_says_where_how_many_and_what_is_left_out(
    mess: Path, run: Run, tmp_path: Path
) -> None:
    options = ("--resolution", "16x24", "--channels", "4", "--fit", "pad", "--images", "20")
    result = run("pack", mess, *options, "--background", "red", "--cache", tmp_path / "mine")
    assert result.exit_code == 0, result.exception
    assert "of 16x24x4" in result.stdout
    assert str(tmp_path / "mine") in result.stdout
    assert "images/s" in result.stdout
    packed = run("pack", mess)
    assert "18 of 48x48x3" in packed.stdout
    assert "packed before" in run("pack", mess).stdout
    for name in BROKEN:
        assert f"left out {name}: " in packed.stdout


def test_wrong_options_reach_the_user_as_ganvas_errors(mess: Path, run: Run) -> None:
    from ganvas.errors import ConfigError

    for wrong in (("--fit", "cropp"), ("--channels", "2"), ("--resolution", "6f")):
        result = run("pack", mess, *wrong)
        assert isinstance(result.exception, ConfigError)


def test_the_command_line_starts_without_numpy_and_torch() -> None:
    import subprocess

    code = "import sys, ganvas.cli.data; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------ the progress bar


def test_the_bar_appears_only_when_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    shown: list[int] = []

    @contextlib.contextmanager
    def bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
        yield shown.append

    monkeypatch.setattr("ganvas.data.progress.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("ganvas.data.progress._bar", bar)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_bar("Packing", 4) as advance:
        advance(1)
        assert shown == []
        clock[0] = 3.0
        advance(1)
        advance(2)
    with progress_bar("Packing", 4, show=False) as advance:
        clock[0] = 9.0
        advance(4)
    assert shown == [2, 4]


def test_nothing_of_the_bar_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with _bar("Packing", 4) as update:
        update(4)
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data sets are not here")
def test_facades_are_sound() -> None:
    report = inspect(str(SHARED / "facades.zip"), progress=False)
    assert report.usable == report.found == 606
    assert not report.problems + report.changes
    assert report.classes == {}
    assert "used together" in report.notes[0]
