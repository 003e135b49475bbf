"""`ganvas train --auto`: what it prints, what it keeps, what it refuses."""

from pathlib import Path

import pytest

from ganvas.training.config import read_config
from tests.cli.running import Command
from tests.cli.test_bad_input import assert_explained

SMALL = (
    *("--resolution", "16", "--images", "16", "--set", "data.images=40", "--set", "model.width=4"),
    *("--set", "training.device=cpu", "--set", "training.score_every=0"),
)


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_choices_are_printed_and_kept(ganvas: Command) -> None:
    rate = "model.generator.learning_rate"
    result = ganvas("train", "gan", "--auto", *SMALL, "--set", f"{rate}=0.001", "--out", "run")
    assert result.code == 0, result.err
    lines = [line for line in result.out.splitlines() if line.startswith("Chose ")]
    assert lines[0].startswith("Chose training.batch: min(4096 // 16 px, 32 on cpu, 40 pictures")
    assert "Chose model.r1_gamma: 0.0002 * 16 * 16 pixels / batch 8 = 0.0064 (Karras" in result.out
    assert "data.flip" in result.out
    assert f"Chose {rate}" not in result.out
    config = read_config(Path("run/config.yaml"))
    assert [f"Chose {name}: {text}" for name, text in config.chosen.items()] == lines
    assert config.training.batch == 8
    assert config.model.generator.learning_rate == 0.001  # type: ignore[union-attr]


def test_without_it_nothing_is_chosen(ganvas: Command) -> None:
    result = ganvas("train", "gan", *SMALL, "--out", "run")
    assert result.code == 0, result.err
    assert "Chose" not in result.out
    assert "data.flip" not in result.out
    assert read_config(Path("run/config.yaml")).chosen == {}


def test_a_finished_configuration_has_nothing_to_choose(ganvas: Command) -> None:
    assert ganvas("train", "gan", *SMALL, "--out", "run").code == 0
    result = ganvas("train", "--config", "run/config.yaml", "--auto", "--out", "again")
    assert_explained(result, "--auto has nothing to choose: training.batch, ")
    assert not Path("again").exists()


def test_a_field_without_a_rule_is_named(ganvas: Command) -> None:
    result = ganvas("train", "gan", *SMALL, "--set", "choose=[training.bach]", "--out", "run")
    assert_explained(result, "Did you mean 'training.batch'?")
    assert not Path("run").exists()
