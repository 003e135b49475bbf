"""`ganvas train --from RUN`."""

import os
from pathlib import Path

import pytest

from ganvas.training.config import read_config
from tests.cli.running import TINY, Command
from tests.cli.test_bad_input import assert_explained
from tests.tiny import tiny, train_quietly


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def source() -> Path:
    """A run in the working folder."""
    return train_quietly(tiny("gan", "training.images=16"), Path("source"))


def test_the_source_is_named_for_good(ganvas: Command, source: Path) -> None:
    result = ganvas("train", "gan", *TINY, "--from", source, "--out", "run")
    assert result.code == 0, result.err
    assert "Starting from the weights of" in result.out
    start = read_config(Path("run/config.yaml")).training.start_from
    assert start is not None
    assert start.run == str(source.resolve())
    assert start.checkpoint == "000000016"
    assert start.sha256 is not None
    Path("inner").mkdir()
    os.chdir("inner")
    assert ganvas("train", "--config", "../run/config.yaml", "--out", "again").code == 0


def test_a_setting_does_the_same(ganvas: Command, source: Path) -> None:
    chosen = ("--set", f"training.start_from={source}:16")
    assert ganvas("train", "gan", *TINY, "--from", source, "--out", "first").code == 0
    assert ganvas("train", "gan", *TINY, *chosen, "--out", "second").code == 0
    texts = {Path(run, "config.yaml").read_text() for run in ("first", "second")}
    assert len(texts) == 1
    other = ("train", "--config", "first/config.yaml", "--from", "first", "--out", "third")
    assert ganvas(*other).code == 0  # another source than the file names, with a fingerprint


def test_what_cannot_be_started_from_is_explained(ganvas: Command, source: Path) -> None:
    train = ("train", "gan", *TINY, "--out", "run", "--from")
    assert_explained(ganvas(*train, "absent"), "does not exist")
    assert_explained(ganvas(*train, "."), "is not a run folder")
    assert_explained(ganvas(*train, f"{source}:best"), "no checkpoint 'best'")
    assert_explained(ganvas(*train, f"{source}:77"), "There are: last, 000000016")
    other = ("train", "dcgan", *TINY, "--out", "run", "--from", source)
    assert_explained(ganvas(*other), "another family")
    for path in (source / "checkpoints").glob("*/weights.safetensors"):
        os.truncate(path, 100)
    assert_explained(ganvas(*train, source), "is damaged")
    assert not list(Path().glob("run/*"))
    ok = ("--set", "training.start_from.run=absent")
    assert_explained(ganvas("train", "gan", *TINY, *ok), "does not exist")


def test_frozen_blocks_need_a_source(ganvas: Command) -> None:
    result = ganvas("train", "stylegan2", "--set", "model.freeze_discriminator=2")
    assert_explained(result, "--from RUN")
