"""Runs that are killed, at any moment and again and again, end as if they never had been."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganvas.recipes import RECIPES
from ganvas.training.config import write_config
from ganvas.training.run_log import read_log
from tests.killing import NEVER, Moment, Nursery, Outcome, open_nursery
from tests.tiny import assert_same_bits, final_state, tiny

Record = dict[str, Any]
KILLS = 10

MOMENTS = {
    "packing": Moment(1, "append", "data/array_writer.py"),
    "before the pack gets its name": Moment(1, "_publish", "data/pack.py"),
    "before config.yaml": Moment(1, "write_config", "training/config.py"),
    "after config.yaml": Moment(1, "write", "training/run_log.py"),
    "before the first sheet is drawn": Moment(1, "_draw_samples", "training/loop.py"),
    "after the first sheet, before a step": Moment(1, "train_step", "training/step.py"),
    "before the first checkpoint": Moment(2, "train_step", "training/step.py"),
    "between two phases or after a phase": Moment(4, "_update", "training/step.py"),
    "before weights.safetensors": Moment(1, "_write_files", "training/checkpoint.py"),
    "between weights.safetensors and state.pt": Moment(1, "save", "torch/serialization.py"),
    "while state.pt is written": Moment(3, "persistent_id", "torch/serialization.py"),
    "before manifest.json": Moment(1, "_digest", "training/checkpoint.py"),
    "before the checkpoint gets its name": Moment(2, "_digest", "training/checkpoint.py"),
    "right after the checkpoint has its name": Moment(1, "sync_folder", "ganvas/files.py"),
    "before old checkpoints are removed": Moment(3, "list_checkpoints", "training/checkpoint.py"),
    "while an old checkpoint is removed": Moment(2, "unlink"),
    "before the second checkpoint's note": Moment(2, "_checkpoint", "training/loop.py"),
    "before the first score": Moment(1, "_judged", "training/judging.py"),
    "between a score's note and its weights": Moment(1, "save_best", "training/checkpoint.py"),
    "while the best weights are written": Moment(3, "_digest", "training/checkpoint.py"),
    "before the last score": Moment(4, "_judged", "training/judging.py"),
    "within the second checkpoint": Moment(6, "_digest", "training/checkpoint.py"),
    "before the last step": Moment(12, "train_step", "training/step.py"),
    "before the end is noted": Moment(1, "write_report", "evaluation/report.py"),
}


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with open_nursery(tmp_path_factory.mktemp("nursery")) as started:
        yield started


class Runs:
    """A recipe's run that was never killed, and others of the same configuration."""

    def __init__(self, nursery: Nursery, recipe: str, folder: Path) -> None:
        self.nursery = nursery
        self.folder = folder
        self.config = folder / "config.yaml"
        intervals = ("training.checkpoint_every=16", "training.score_every=24")
        write_config(tiny(recipe, *intervals), self.config)
        self.whole = folder / "whole"
        end = self.start(self.whole, Moment(NEVER))
        assert end.code == 0, end.output
        self.calls = end.calls

    def start(self, run: Path, moment: Moment | None = None) -> Outcome:
        """Begin or, where there is a run already, resume."""
        cache = run.parent / f"{run.name}-cache"
        begun = (run / "config.yaml").exists()
        command = ("resume", str(run)) if begun else ("train", "--config", str(self.config))
        out = () if begun else ("--out", str(run))
        return self.nursery.run(*command, *out, cache=cache, moment=moment)

    def assert_finishes_like_whole(self, run: Path) -> None:
        """Run to the end; weights, averages, optimisers, history and sheets are the same."""
        end = self.start(run)
        assert end.code == 0, end.output
        assert_same_bits(final_state(self.whole), final_state(run))
        assert history(run) == history(self.whole)
        sheets = {path.name: path.read_bytes() for path in (self.whole / "samples").iterdir()}
        drawn = {path.name: path.read_bytes() for path in (run / "samples").glob("*.png")}
        assert drawn == sheets
        assert names(run / "checkpoints") == names(self.whole / "checkpoints")
        assert best(run) == best(self.whole)
        assert (run / "report.html").stat().st_size > 1000


def history(run: Path) -> list[Record]:
    """The log without what tells of clocks and of being resumed."""
    clocks = {"time", "command", "seconds", "images_per_second"}
    return [
        {name: value for name, value in record.items() if name not in clocks}
        for record in read_log(run / "log.jsonl")
        if record["event"] != "resume"
    ]


def best(run: Path) -> dict[str, bytes]:
    """The files of the checkpoint with the best score."""
    return {path.name: path.read_bytes() for path in (run / "checkpoints" / "best").iterdir()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def whole_runs(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Runs]:
    return {name: Runs(nursery, name, tmp_path_factory.mktemp(name)) for name in RECIPES}


def kill_at_random(runs: Runs, run: Path, kills: int, randomness: random.Random) -> None:
    """Kill `kills` times, each after up to a third of the calls that a whole run makes."""
    for _ in range(kills):
        outcome = runs.start(run, Moment(randomness.randrange(1, runs.calls // 3)))
        if not outcome.killed:  # done already: the next kill falls on another run
            assert outcome.code == 0, outcome.output
            run = run.with_name(f"{run.name}-more")
    runs.assert_finishes_like_whole(run)


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_killed_at_random_moments(whole_runs: dict[str, Runs], number: int, tmp_path: Path) -> None:
    """Ten kills, shared by the recipes."""
    recipe = list(RECIPES)[number]
    kills = len(range(number, KILLS, len(RECIPES)))
    kill_at_random(whole_runs[recipe], tmp_path / "run", kills, random.Random(number))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("seed", range(3))
def test_killed_ten_times(
    whole_runs: dict[str, Runs], recipe: str, seed: int, tmp_path: Path
) -> None:
    kill_at_random(whole_runs[recipe], tmp_path / "run", KILLS, random.Random(f"{recipe}{seed}"))


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_killed_at_a_delicate_moment(
    whole_runs: dict[str, Runs], moment: Moment, tmp_path: Path
) -> None:
    runs = whole_runs["dcgan"]
    outcome = runs.start(tmp_path / "run", moment)
    assert outcome.killed, outcome.output
    runs.assert_finishes_like_whole(tmp_path / "run")


def test_resuming_a_finished_run_changes_nothing(whole_runs: dict[str, Runs]) -> None:
    runs = whole_runs["dcgan"]
    before = {path: path.stat().st_mtime_ns for path in runs.whole.rglob("*")}
    outcome = runs.start(runs.whole)
    assert outcome.code == 0
    assert "This run is finished" in outcome.output
    assert {path: path.stat().st_mtime_ns for path in runs.whole.rglob("*")} == before
