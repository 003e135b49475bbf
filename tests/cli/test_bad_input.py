"""Whatever is wrong with what the user gives: one paragraph, exit code 2, and a free folder."""

import errno
import os
import re
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.running import TINY, Command, Result
from tests.tiny import tiny, train_quietly

LISTED = {
    "unknown model": (("train", "dcgna"), "Did you mean 'dcgan'?"),
    "unknown source": (("train", "--data", "avatar"), "Did you mean the built-in 'avatars'?"),
    "unknown attribute": (("train", "--data", "avatars:glases"), "glasses"),
    "misspelt field": (("train", "--set", "model.widht=3"), "Did you mean 'model.width'?"),
    "wrong section": (("train", "--set", "model.batch=3"), "Did you mean 'training.batch'?"),
    "wrong type": (("train", "--set", "model.width=wide"), "model.width"),
    "no number": (("train", "--set", "training.images=many"), "training.images"),
    "negative images": (("train", "--images", "-5"), "training.images"),
    "no resolution": (("train", "--resolution", "large"), "data.resolution"),
    "odd channels": (("train", "--set", "data.channels=2"), "data.channels"),
    "broken --set": (("train", "--set", "width"), "section.field=value"),
    "broken YAML in --set": (("train", "--set", "model.width=["), "is not valid YAML"),
    "no such device": (("train", "--set", "training.device=tpu"), "training.device"),
    "no such file": (("train", "--config", "absent.yaml"), "cannot read the configuration"),
    "model and file": (("train", "gan", "--config", "absent.yaml"), "leave out 'gan'"),
    "too wide for the memory": (("train", "gan", "--set", "model.width=100000000"), "memory"),
    "no width": (("train", "gan", "--set", "model.width=0"), "model.width"),
    "learning backwards": (
        ("train", "gan", "--set", "model.generator.learning_rate=-1"),
        "model.generator.learning_rate",
    ),
    "no variance": (("train", "vae", "--set", "model.decoder_variance=0"), "decoder_variance"),
    "unmakeable size": (("train", "dcgan", "--resolution", "17"), "16"),
    "classes of points": (
        ("train", "gan", "--data", "swiss-roll", "--set", "model.conditional=true"),
        "the data has none",
    ),
    "pictures of points": (("train", "dcgan", "--data", "ring"), "model.networks=mlp"),
    "misspelt in a schedule": (
        ("train", "r3gan", "--set", "model.r1_gamma={start: 1, ende: 2}"),
        "Did you mean 'model.r1_gamma.end'?",
    ),
    "augmented points": (
        ("train", "gan", "--data", "ring", "--set", "model.augment=ada"),
        "--set model.augment=none",
    ),
    "more blocks than a computer can hold": (
        ("train", "r3gan", "--set", "model.blocks=1000000"),
        "model.blocks",
    ),
    "batch in parts": (
        ("train", "gan", *TINY, "--set", "training.accumulate=3"),
        "cannot be split",
    ),
    "two domains for one": (
        ("train", "gan", "--pair", "AB"),
        "translate pictures into others take data.pair",
    ),
    "jitter for one": (("train", "gan", "--set", "data.jitter=0.1"), "data.jitter"),
    "no partners": (("train", "pix2pix", "--data", "digits"), "--pair AB"),
    "no second domain": (("train", "cyclegan", "--data", "digits"), "--target FOLDER"),
    "two second domains": (
        ("train", "pix2pix", "--data", "digits", "--pair", "AB", "--target", "digits"),
        "give one of them",
    ),
    "no such order": (("train", "pix2pix", "--pair", "left"), "data.pair"),
    "three domains": (("train", "cyclegan", "--domains", "a,b,c"), "data.domains"),
    "classes as pairs": (
        ("train", "pix2pix", "--data", "avatars:glasses", "--domains", "none,round", *TINY),
        "learns from pairs",
    ),
    "misspelt domain": (
        ("data", "inspect", "avatars", "--domains", "lines,imgae"),
        "Did you mean 'image'?",
    ),
    "pack a misspelt domain": (
        ("data", "pack", "avatars:glasses", "--domains", "none,rond"),
        "Did you mean 'round'?",
    ),
    "absent target": (("data", "inspect", "digits", "--target", "absent"), "'absent'"),
    "resume nothing": (("resume", "absent"), "does not exist"),
    "sample nothing": (("sample", "absent"), "does not exist"),
    "report nothing": (("report", "absent"), "absent"),
    "interpolate nothing": (("interpolate", "absent"), "does not exist"),
    "reconstruct nothing": (("reconstruct", "absent"), "does not exist"),
    "inspect nothing": (("data", "inspect", "absent"), "There is no data source 'absent'"),
    "pack nothing": (("data", "pack", "absent"), "There is no data source 'absent'"),
}


def assert_explained(result: Result, part: str) -> None:
    assert result.code == 2, result
    assert result.err.startswith("ganvas: "), result.err
    assert part in result.err
    assert result.err.count("\n") == 1, "more than a paragraph"
    assert "Traceback" not in result.err
    assert not re.search(r"\.tmp|site-packages|0x[0-9a-f]{6}", result.err)


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("arguments", "part"), LISTED.values(), ids=LISTED.keys())
def test_explained(ganvas: Command, arguments: tuple[str, ...], part: str) -> None:
    assert_explained(ganvas(*arguments), part)
    assert not [path for path in Path().rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "arguments",
    [
        ("sample", "run", "-n", "0"),
        ("sample", "run", "-n", "many"),
        ("train", "--images", "abc"),
        ("train", "gan", "vae"),
        ("train", "--absent"),
        ("interpolate", "run", "--steps", "1"),
        ("absent",),
        ("resume",),
    ],
)
def test_wrong_usage(ganvas: Command, arguments: tuple[str, ...]) -> None:
    """What the parser of arguments refuses, it explains in its own form."""
    result = ganvas(*arguments)
    assert result.code == 2
    assert "Usage: " in result.err
    assert "Traceback" not in result.err


def picture(path: Path, side: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), (ord(path.name[0]), 100, 50)).save(path)


def empty_folder(place: Path) -> str:
    place.mkdir()
    return "is empty"


def only_texts(place: Path) -> str:
    place.mkdir()
    (place / "notes.txt").write_text("no picture")
    return "none of them a picture"


def one_picture(place: Path) -> str:
    picture(place / "a.png")
    return "At least 2 are needed"


def mostly_broken(place: Path) -> str:
    for name in "abc":
        picture(place / f"{name}.png")
    for i in range(5):
        (place / f"broken{i}.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    return "More than half of the 8 pictures"


def not_pictures(place: Path) -> str:
    place.write_text("a text")
    return "neither a .zip nor a .parquet"


def broken_zip(place: Path) -> str:
    place.write_bytes(b"PK\x03\x04 and no more")
    return ".zip"


def escaping_zip(place: Path) -> str:
    picture(Path("outside.png"))
    with zipfile.ZipFile(place, "w") as archive:
        archive.write("outside.png", "../../escaped.png")
        archive.write("outside.png", str(place.resolve().parent / "escaped.png"))
    Path("outside.png").unlink()
    return "escaped.png"


def bomb(place: Path) -> str:
    """Files that are a thousand times larger than the archive."""
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for i in range(3):
            archive.writestr(f"{i}.png", bytes(300 << 20))
    return ".png"


def broken_parquet(place: Path) -> str:
    place.write_bytes(b"PAR1 and no more PAR1")
    return ".parquet"


def parquet_of_numbers(place: Path) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"label": [1, 2, 3]}), place)
    return "image"


BAD_DATA: dict[str, tuple[str, Callable[[Path], str]]] = {
    "empty folder": ("data", empty_folder),
    "no pictures": ("data", only_texts),
    "one picture": ("data", one_picture),
    "mostly broken": ("data", mostly_broken),
    "another file": ("data.txt", not_pictures),
    "broken ZIP": ("data.zip", broken_zip),
    "ZIP with ../": ("data.zip", escaping_zip),
    "ZIP bomb": ("data.zip", bomb),
    "broken Parquet": ("data.parquet", broken_parquet),
    "Parquet of numbers": ("data.parquet", parquet_of_numbers),
}


@pytest.mark.parametrize(("name", "make"), BAD_DATA.values(), ids=BAD_DATA.keys())
def test_bad_data_is_explained_and_the_corrected_command_works(
    ganvas: Command,
    name: str,
    make: Callable[[Path], str],
) -> None:
    part = make(Path(name))
    assert_explained(ganvas("train", "gan", *TINY, "--data", name, "--out", "run"), part)
    assert not list(Path().rglob("escaped.png"))
    assert not (Path.cwd().parents[1] / "escaped.png").exists()
    for letter in "abcd":
        picture(Path("good") / f"{letter}.png")
    corrected = ganvas("train", "gan", *TINY, "--data", "good", "--out", "run")
    assert corrected.code == 0, corrected.err


def test_labels_that_do_not_exist(ganvas: Command) -> None:
    conditional = ("train", "gan", *TINY, "--set", "model.conditional=true", "--out", "with")
    assert ganvas(*conditional, "--data", "avatars:glasses").code == 0
    assert_explained(ganvas("sample", "with", "--labels", "moustache"), "no class 'moustache'")
    assert_explained(ganvas("sample", "with", "--labels", "99"), "no class '99'")
    assert_explained(ganvas("sample", "with", "--labels", "-1"), "no class '-1'")
    assert_explained(ganvas("sample", "with", "--labels", ""), "no class ''")
    assert ganvas("sample", "with", "--labels", "0,1", "-n", "4").code == 0


def test_what_a_model_cannot_do(ganvas: Command) -> None:
    train_quietly(tiny("gan", "training.images=8"), Path("gan"))
    train_quietly(tiny("autoencoder", "training.images=8"), Path("autoencoder"))
    assert_explained(ganvas("reconstruct", "gan"), "no encoder")
    assert_explained(ganvas("sample", "autoencoder"), "no distribution")
    assert_explained(ganvas("sample", "gan", "--labels", "0"), "without classes")
    assert_explained(ganvas("interpolate", "gan", "--seeds", "1"), "two ends")
    assert_explained(ganvas("interpolate", "gan", "--seeds", "a,b"), "--seeds 'a,b'")
    assert_explained(ganvas("interpolate", "gan", "--mode", "zigzag"), "zigzag")
    assert_explained(ganvas("sample", "gan", "--out", "sheet.gif"), "sheet.gif")
    assert_explained(ganvas("reconstruct", "autoencoder", "ring"), "ring")
    assert_explained(ganvas("reconstruct", "autoencoder", "absent"), "There is no data source")
    for seed in (2**70, -1):
        assert_explained(ganvas("interpolate", "gan", "--seeds", f"1,{seed}"), "--seeds")
        assert ganvas("sample", "gan", "--seed", str(seed)).code == 2


def test_a_folder_that_is_no_run(ganvas: Command) -> None:
    Path("folder").mkdir()
    Path("file").write_text("")
    for verb in ("resume", "sample", "interpolate", "reconstruct"):
        assert_explained(ganvas(verb, "folder"), "is not a run folder: it has no config.yaml")
        assert_explained(ganvas(verb, "file"), "is not a run folder")
    assert_explained(ganvas("report", "folder"), "folder")


def test_a_run_in_the_way(ganvas: Command) -> None:
    run = train_quietly(tiny("gan", "training.images=8"), Path("run"))
    assert_explained(ganvas("train", "gan", *TINY, "--out", run), "holds a run already")


def test_places_that_cannot_be_written(ganvas: Command) -> None:
    Path("file").write_text("mine")
    for out in ("file", "file/run", "a" * 300):
        result = ganvas("train", "gan", *TINY, "--out", out)
        assert_explained(result, out[:20])
    run = train_quietly(tiny("gan", "training.images=8"), Path("run"))
    Path("folder.png").mkdir()
    assert_explained(ganvas("sample", run, "--out", "file/sheet.png"), "file")
    assert_explained(ganvas("sample", run, "--out", "file"), "file")
    assert_explained(ganvas("sample", run, "--out", "folder.png"), "folder.png")
    assert Path("file").read_text() == "mine"


def test_a_damaged_configuration(ganvas: Command) -> None:
    run = train_quietly(tiny("gan", "training.images=8"), Path("run"))
    whole = (run / "config.yaml").read_bytes()
    for content in (whole[: whole.index(b"model:")], b"", b"\xff\xff", b"[" * 10_000):
        (run / "config.yaml").write_bytes(content)
        for verb in ("resume", "sample", "report"):
            result = ganvas(verb, run)
            if result.code == 0:  # a report can do with less
                assert verb == "report"
            else:
                assert_explained(result, "")


def test_a_truncated_checkpoint(ganvas: Command) -> None:
    run = train_quietly(tiny("gan"), Path("run"))
    state = run / "checkpoints" / "000000096" / "state.pt"
    os.truncate(state, 1000)
    result = ganvas("sample", run, "-n", "4")
    assert result.code == 0
    assert "Went back to 000000064" in result.out
    result = ganvas("resume", run)
    assert result.code == 0
    assert "Went back to 000000064" in result.out
    for path in (run / "checkpoints").glob("*/state.pt"):
        os.truncate(path, 1000)
    for verb in ("sample", "resume"):
        assert_explained(ganvas(verb, run), "No whole checkpoint is left")
    shutil.rmtree(run / "checkpoints")
    assert_explained(ganvas("sample", run), "has no checkpoint yet")


def test_a_disk_that_fills_up_while_training(
    ganvas: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At whichever write: an explanation, and `resume` goes on when there is room again."""
    train = ("train", "gan", *TINY, "--set", "training.checkpoint_every=8", "--out")
    assert ganvas(*train, "first").code == 0  # the pack is there
    sync = os.fsync
    writes = 0

    def full(descriptor: int) -> None:
        nonlocal writes
        writes += 1
        if writes == stop_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    for stop_at in (1, 2, 3, 4, 5, 8):
        writes = 0
        run = Path(f"run{stop_at}")
        assert_explained(ganvas(*train, run), "the disk is full")
        again = ganvas("resume", run) if (run / "config.yaml").exists() else ganvas(*train, run)
        assert again.code == 0, again.err
        assert not list(run.rglob(".*partial"))


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.argv = ["ganvas", *sys.argv[2:]]
from ganvas.cli.main import run
run()
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [100, 10_000, 60_000, 500_000, 1_200_000])
def test_files_that_may_not_grow(limit: int, ganvas: Command) -> None:
    """A real process under a real limit of the system."""
    train = ("train", "gan", *TINY, "--set", "model.width=64", "--out", "run")
    assert ganvas(*train[:-1], "first").code == 0
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != limit
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *train],
        capture_output=True,
        text=True,
        check=False,
    )
    assert_explained(Result(done.returncode, done.stdout, done.stderr), "larger than this process")
    begun = Path("run/config.yaml").exists()
    again = ganvas("resume", "run") if begun else ganvas(*train)
    assert again.code == 0, again.err


@pytest.mark.slow
def test_a_real_process_says_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ganvas", "train", "dcgna"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert_explained(Result(done.returncode, done.stdout, done.stderr), "Did you mean 'dcgan'?")
