"""The commands, as a user gives them, and how they are stopped."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas._version import __version__
from ganvas.recipes import RECIPES
from ganvas.training.run_log import History, read_log
from tests.cli.running import TINY, Command, start
from tests.tiny import assert_same_bits, final_state, tiny, train_quietly


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a gan, of a vae, and of a vae with classes."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("gan", "vae"):
        train_quietly(tiny(name, "training.images=16"), folder / name)
    classes = ("model.conditional=true", "training.images=16")
    train_quietly(tiny("vae", *classes), folder / "classes")
    return folder


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_train_says_where_everything_is(ganvas: Command) -> None:
    result = ganvas("train", "gan", *TINY, "--out", "run")
    assert result.code == 0, result.err
    assert "Training gan on 40 x 3x16x16 from avatars" in result.out
    for path in ("run/samples/000000016.png", "run/report.html", "run/checkpoints/000000016"):
        assert path in result.out
        assert Path(path).exists()
    told = result.out.rsplit("Draw more: ganvas ", 1)[1].split()
    assert ganvas(*told).code == 0  # what it tells to do works
    again = ganvas("resume", "run")
    assert again.code == 0
    assert "This run is finished" in again.out


def test_train_from_the_configuration_of_a_run_repeats_it(
    ganvas: Command,
    runs: Path,
) -> None:
    config = runs / "gan" / "config.yaml"
    assert ganvas("train", "--config", config, "--out", "again").code == 0
    assert_same_bits(final_state(Path("again")), final_state(runs / "gan"))


def test_the_default_folder(ganvas: Command) -> None:
    for expected in ("gan-avatars", "gan-avatars-2"):
        assert ganvas("train", "gan", *TINY).code == 0
        assert Path("runs", expected, "report.html").exists()


def test_sample(ganvas: Command, runs: Path) -> None:
    result = ganvas("sample", runs / "gan", "-n", "9", "--seed", "5", "--out", "sheet.png")
    assert result.code == 0
    assert "9 pictures on sheet.png" in result.out
    assert ganvas("sample", runs / "gan", "-n", "3", "--seed", "7", "--out", "some").code == 0
    names = sorted(path.name for path in Path("some").iterdir())
    assert names == ["seed0007.png", "seed0008.png", "seed0009.png"]
    with Image.open("some/seed0007.png") as picture:
        assert picture.size == (16, 16)
        alone = np.asarray(picture)
    ganvas("sample", runs / "gan", "-n", "1", "--seed", "7", "--out", "one")
    with Image.open("one/seed0007.png") as picture:
        assert np.abs(np.asarray(picture).astype(int) - alone).max() <= 1


def test_reconstruct_and_interpolate(ganvas: Command, runs: Path) -> None:
    assert ganvas("reconstruct", runs / "vae", "-n", "4", "--out", "pairs").code == 0
    assert len(list(Path("pairs").iterdir())) == 8
    assert ganvas("reconstruct", runs / "classes", "-n", "4", "--out", "classes.png").code == 0
    assert ganvas("reconstruct", runs / "vae", "digits", "-n", "4", "--out", "sheet.png").code == 0
    walk = ("interpolate", runs / "gan", "--seeds", "1, 2,3", "--steps", "5")
    for mode in ("lerp", "slerp"):
        assert ganvas(*walk, "--mode", mode, "--out", mode).code == 0
        assert len(list(Path(mode).iterdir())) == 9  # the middle one once
    images = ("--images", "avatars", "-n", "3")
    assert ganvas("interpolate", runs / "vae", *images, "--out", "between.png").code == 0


def test_models(ganvas: Command) -> None:
    listed = json.loads(ganvas("models", "--json").out)
    assert [row["name"] for row in listed] == list(RECIPES)
    dcgan = next(row for row in listed if row["name"] == "dcgan")
    assert dcgan["parameters"] == {"generator": 3_576_704, "discriminator": 2_765_568}
    assert all(name in ganvas("models").out for name in RECIPES)


def test_report(ganvas: Command, runs: Path) -> None:
    run = Path(shutil.copytree(runs / "gan", "run"))
    (run / "report.html").unlink()
    result = ganvas("report", run)
    assert result.code == 0
    assert Path(result.out.strip()).exists()


def test_version_and_help(ganvas: Command) -> None:
    assert ganvas("--version").out.strip() == f"ganvas {__version__}"
    for verb in ((), ("train",), ("data", "pack")):
        result = ganvas(*verb, "--help")
        assert result.code == 0
        assert "Usage" in result.out


LONG = ("train", "gan", *TINY, "--images", "6000", "--set", "training.log_every=8")


def interrupt(process: "subprocess.Popen[str]", run: Path, *signals: signal.Signals) -> str:
    """Send signals once the training is under way; return what it printed."""
    log = run / "log.jsonl"
    while process.poll() is None and not (log.exists() and '"progress"' in log.read_text()):
        time.sleep(0.01)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.001)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_says_how_to_go_on(
    number: signal.Signals,
    ganvas: Command,
) -> None:
    run = Path("run")
    with start(*LONG, "--out", run) as process:
        out = interrupt(process, run, number)
    assert process.returncode == 130
    assert "Stopping after this step and saving" in out
    assert "Interrupted at " in out
    stopped = History.read(run / "log.jsonl")
    assert stopped.end is not None
    assert stopped.end.reason == "interrupted"
    assert (run / "checkpoints" / f"{stopped.images:09d}").is_dir()
    assert ganvas("sample", run, "-n", "2").code == 0
    told = out.rsplit("Go on: ganvas ", 1)[1].split()
    assert told == ["resume", "run"]
    assert ganvas(*told).code == 0
    assert ganvas(*LONG, "--out", "whole").code == 0
    assert_same_bits(final_state(run), final_state(Path("whole")))
    losses, expected = (
        [r["losses"] for r in read_log(path / "log.jsonl") if r["event"] == "progress"]
        for path in (run, Path("whole"))
    )
    assert losses == expected


@pytest.mark.slow
def test_twice_ctrl_c_stops_at_once() -> None:
    run = Path("run")
    with start(*LONG, "--set", "training.checkpoint_every=8", "--out", run) as process:
        interrupt(process, run, *[signal.SIGINT] * 2)
    assert process.returncode == 130
    whole = [path for path in (run / "checkpoints").iterdir() if path.name.isdigit()]
    assert all((path / "manifest.json").exists() for path in whole)


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error() -> None:
    command = '"$0" -m ganvas models --json | head -c 1'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], capture_output=True, text=True, check=True
    )
    assert done.stdout == "["
    assert not done.stderr
