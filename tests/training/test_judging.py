"""Scores while training: when, of which weights, and which are kept, also across kills."""

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ganvas import api
from ganvas.data.held_out import held_out_examples
from ganvas.data.pack import open_pack
from ganvas.errors import DataError, RunError
from ganvas.models import build_model
from ganvas.models.base import Model
from ganvas.training import judging, loop
from ganvas.training.checkpoint import (
    checkpoint_images,
    find_checkpoint,
    list_checkpoints,
    load_weights,
    read_best,
    save_best,
)
from ganvas.training.config import read_config
from ganvas.training.distributed import Processes
from ganvas.training.judging import Judge
from ganvas.training.prepare import complete, prepare
from ganvas.training.run_folder import RunFolder
from ganvas.training.run_log import History, read_log
from ganvas.training.step import train_step
from tests.tiny import assert_same_bits, final_state, tiny, train_quietly
from tests.training.judges import HashJudge, ScriptedJudge, fingerprint

SCORES = (0.5, 0.6, 0.3, 0.4, 0.2, 0.9)
"""Of a run that is scored at 16, 32, ..., 96 images."""

Appoint = Callable[[Judge | None], None]


class Killed(BaseException):
    """Ends a run at once: no code that handles errors sees it."""


@pytest.fixture
def appoint(monkeypatch: pytest.MonkeyPatch) -> Appoint:
    """Let a judge score all trainings from now on."""

    def use(judge: Judge | None) -> None:
        monkeypatch.setattr(api, "make_judge", lambda *_: judge)

    return use


def train_scored(out: Path, *settings: str, recipe: str = "gan") -> Path:
    config = tiny(recipe, "training.score_every=16", "training.keep_checkpoints=10", *settings)
    return train_quietly(config, out)


def scores(run: Path) -> list[tuple[int, float | None]]:
    return [(s.images, s.value) for s in History.read(run / "log.jsonl").scores]


def best_files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "checkpoints" / "best").iterdir()}


def silent(line: str) -> None:
    pass


def test_scores_come_when_due_and_the_best_is_kept(tmp_path: Path, appoint: Appoint) -> None:
    judge = ScriptedJudge(SCORES)
    appoint(judge)
    run = train_scored(tmp_path / "run", "training.checkpoint_every=16")
    assert scores(run) == list(zip(range(16, 97, 16), SCORES, strict=True))
    best = json.loads((run / "checkpoints" / "best" / "score.json").read_text())
    assert best == {"name": "scripted", "value": 0.2, "images": 80}
    kept = load_file(run / "checkpoints/best/weights.safetensors")
    saved = load_file(run / "checkpoints/000000080/weights.safetensors")
    assert_same_bits(kept, saved)
    assert [path.name for path in (run / "checkpoints").iterdir() if path.name[0] == "."] == []


def test_the_averaged_weights_are_judged_in_evaluation_mode(
    tmp_path: Path, appoint: Appoint
) -> None:
    class Looker(HashJudge):
        def __call__(self, model: Model) -> float:
            assert not model.training
            assert not torch.is_grad_enabled()
            return super().__call__(model)

    appoint(Looker())
    run = train_scored(tmp_path / "run", "training.checkpoint_every=16")
    shape, classes = RunFolder(run).read_data_summary()
    model = build_model(read_config(run / "config.yaml").model, shape, classes)
    for images, value in scores(run):
        load_weights(model, run / "checkpoints", str(images))
        assert HashJudge()(model) == value


def test_of_equal_scores_the_first_is_kept(tmp_path: Path, appoint: Appoint) -> None:
    appoint(ScriptedJudge([0.5, 0.5, 0.5, 0.5, 0.5, 0.5]))
    best = read_best(train_scored(tmp_path / "run") / "checkpoints")
    assert best is not None
    assert best.images == 16


@pytest.mark.parametrize(
    ("images", "every", "expected"),
    [
        (96, "null", [16, 24, 32, 40, 48, 56, 64, 72, 88, 96]),  # every 9, in steps of 8
        (96, "0", []),
        (96, "1000", [96]),
        (40, "24", [24, 40]),
    ],
)
def test_when_scores_are_due(
    tmp_path: Path, appoint: Appoint, images: int, every: str, expected: list[int]
) -> None:
    appoint(HashJudge())
    run = train_quietly(
        tiny("gan", f"training.images={images}", f"training.score_every={every}"), tmp_path / "run"
    )
    assert [place for place, _ in scores(run)] == expected
    assert (run / "checkpoints" / "best").exists() == bool(expected)
    decided = read_config(run / "config.yaml").training.score_every
    assert decided == (9 if every == "null" else int(every))


REFUSAL = "A picture holds values that are not finite numbers."


def refuse() -> float:
    raise DataError(REFUSAL)


def test_a_score_that_fails_stops_nothing_and_is_never_the_best(
    tmp_path: Path, appoint: Appoint
) -> None:
    appoint(ScriptedJudge([math.nan, refuse, 0.7, -math.inf, refuse, 0.9]))
    run = train_scored(tmp_path / "run")
    assert [value for _, value in scores(run)] == [None, None, 0.7, None, None, 0.9]
    notes = [score.note for score in History.read(run / "log.jsonl").scores]
    assert notes[:3] == ["It was not a finite number.", REFUSAL, None]
    best = read_best(run / "checkpoints")
    assert best is not None
    assert (best.value, best.images) == (0.7, 48)


def test_without_a_finite_score_there_is_no_best(tmp_path: Path, appoint: Appoint) -> None:
    appoint(ScriptedJudge([math.nan] * 6))
    run = train_scored(tmp_path / "run")
    assert read_best(run / "checkpoints") is None
    with pytest.raises(RunError, match=r"no checkpoint 'best' \(kept by .*There are: last, 0000"):
        find_checkpoint(run / "checkpoints", "best", [])


def test_other_errors_of_a_judge_are_not_hidden(tmp_path: Path, appoint: Appoint) -> None:
    appoint(ScriptedJudge([lambda: 1 / 0]))
    with pytest.raises(ZeroDivisionError):
        train_scored(tmp_path / "run")


class Disturbing:
    """Takes random numbers from everywhere and leaves the model's parts in another mode."""

    name = "disturbing"

    def __call__(self, model: Model) -> float:
        np.random.random()  # noqa: NPY002 - the global state, on purpose
        model.train()
        return float(torch.rand(1))


@pytest.mark.parametrize("recipe", ["vae", "dcgan"])
def test_judging_does_not_disturb_the_training(
    tmp_path: Path, appoint: Appoint, recipe: str
) -> None:
    appoint(None)
    plain = train_scored(tmp_path / "plain", recipe=recipe)
    appoint(Disturbing())
    judged = train_scored(tmp_path / "judged", recipe=recipe)
    assert scores(plain) == []
    assert len(scores(judged)) == 6
    assert_same_bits(final_state(plain), final_state(judged))
    clocks = {"time", "seconds", "images_per_second"}
    logs = [
        [
            {name: value for name, value in record.items() if name not in clocks}
            for record in read_log(run / "log.jsonl")
            if record["event"] != "score"
        ]
        for run in (plain, judged)
    ]
    assert logs[0] == logs[1]


def test_the_time_for_scores_is_no_training_time(
    tmp_path: Path, appoint: Appoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def step_of_a_second(*arguments: object) -> object:
        nonlocal now
        now += 1
        return train_step(*arguments)  # type: ignore[arg-type]

    class Slow(HashJudge):
        def __call__(self, model: Model) -> float:
            nonlocal now
            now += 100
            return super().__call__(model)

    monkeypatch.setattr(loop, "train_step", step_of_a_second)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    appoint(Slow())
    history = History.read(train_scored(tmp_path / "run") / "log.jsonl")
    assert [record.seconds for record in history.progress] == list(range(1, 13))
    assert {record.images_per_second for record in history.progress} == {8.0}
    assert [score.seconds for score in history.scores] == [100.0] * 6
    assert history.scoring_seconds == 600
    assert history.end is not None
    assert history.end.seconds == 12


def killing(moment: str, judge: ScriptedJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill when weights are scored for the first time: before, within or after keeping them."""
    killed: set[bytes] = set()

    def kill_once() -> None:
        if judge.seen[-1] not in killed:
            killed.add(judge.seen[-1])
            raise Killed

    if moment == "before the note":
        intact_judge = ScriptedJudge.__call__

        def call(self: ScriptedJudge, model: Model) -> float:
            value = intact_judge(self, model)
            kill_once()
            return value

        monkeypatch.setattr(ScriptedJudge, "__call__", call)
        return
    if moment == "between two renames":
        intact_rename = Path.rename

        def rename(self: Path, target: Path) -> Path:
            if self.name == ".best.partial":
                kill_once()
            return intact_rename(self, target)

        monkeypatch.setattr(Path, "rename", rename)
        return

    def save(*arguments: object) -> None:
        if moment == "after the note":
            kill_once()
        save_best(*arguments)  # type: ignore[arg-type]
        kill_once()

    monkeypatch.setattr(judging, "save_best", save)


@pytest.mark.parametrize(
    "moment", ["before the note", "after the note", "between two renames", "after keeping"]
)
def test_the_best_is_the_same_whenever_the_run_is_killed(
    tmp_path: Path, appoint: Appoint, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Checkpoints at 40, 80 and 96 images: most kills lose scores, and the best, on the way."""
    judge = ScriptedJudge(SCORES)
    appoint(judge)
    settings = ("training.checkpoint_every=40",)
    whole = train_scored(tmp_path / "whole", *settings)
    run, kills = tmp_path / "run", 0
    with monkeypatch.context() as patched:
        killing(moment, judge, patched)
        go_on: Callable[[], object] = lambda: train_scored(run, *settings)  # noqa: E731
        while True:
            try:
                go_on()
                break
            except Killed:
                kills += 1
                go_on = lambda: api.resume(run, say=silent)  # noqa: E731
    assert kills == (len(SCORES) if moment == "before the note" else 3)
    assert scores(run) == scores(whole)
    assert best_files(run) == best_files(whole)
    assert names(run) == names(whole)
    assert_same_bits(final_state(whole), final_state(run))


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


@pytest.mark.parametrize("left", [16, 40, 80])
@pytest.mark.parametrize("state", ["from beyond", "missing", "unreadable"])
def test_the_best_is_found_again_from_any_checkpoint(
    tmp_path: Path, appoint: Appoint, left: int, state: str
) -> None:
    appoint(ScriptedJudge((0.5, 0.6, 0.3, 0.4, 0.9, 0.2)))
    run = train_scored(tmp_path / "run", "training.checkpoint_every=8")
    expected, all_scores = best_files(run), scores(run)
    for path in list_checkpoints(run / "checkpoints"):
        if int(path.name) > left:
            shutil.rmtree(path)
    if state == "missing":
        shutil.rmtree(run / "checkpoints" / "best")
    if state == "unreadable":
        (run / "checkpoints" / "best" / "score.json").write_text('{"value": "low"}')
    api.resume(run, say=silent)
    assert best_files(run) == expected
    assert scores(run) == all_scores


def test_a_best_from_beyond_is_replaced_where_the_run_now_goes_another_way(
    tmp_path: Path, appoint: Appoint
) -> None:
    """As after the learning rate was changed: its record is gone from the history, too."""
    appoint(ScriptedJudge(SCORES))
    run = train_scored(tmp_path / "run", "training.checkpoint_every=40")
    for name in ("000000080", "000000096"):
        shutil.rmtree(run / "checkpoints" / name)
    appoint(ScriptedJudge([0.8, 0.7, 0.9, 0.9]))  # at 48, 64, 80, 96
    api.resume(run, say=silent)
    best = read_best(run / "checkpoints")
    assert best is not None
    assert (best.value, best.images) == (0.7, 64)


def test_a_best_from_before_the_checkpoint_is_respected(tmp_path: Path, appoint: Appoint) -> None:
    appoint(ScriptedJudge((0.5, 0.1, 0.3, 0.4, 0.9, 0.2)))
    run = train_scored(tmp_path / "run", "training.checkpoint_every=32")
    kept = run / "checkpoints" / "best" / "score.json"
    before = kept.stat().st_mtime_ns
    shutil.rmtree(run / "checkpoints" / "000000096")
    api.resume(run, say=silent)
    assert kept.stat().st_mtime_ns == before


def test_a_score_of_another_kind_takes_the_place_of_the_best(
    tmp_path: Path, appoint: Appoint
) -> None:
    appoint(ScriptedJudge(SCORES))
    run = train_scored(tmp_path / "run", "training.images=32")
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("images: 32", "images: 48"))
    other = ScriptedJudge([9.0])
    other.name = "another"
    appoint(other)
    api.resume(run, say=silent)
    best = read_best(run / "checkpoints")
    assert best is not None
    assert (best.name, best.value, best.images) == ("another", 9.0, 48)


def test_a_run_interrupted_at_a_score_has_it(tmp_path: Path, appoint: Appoint) -> None:
    """A resumed run goes on after that place and would not score it."""
    judge = ScriptedJudge(SCORES)
    appoint(judge)
    whole = train_scored(tmp_path / "whole")
    config = tiny("gan", "training.score_every=16", "training.keep_checkpoints=10")
    folder, pack = RunFolder(tmp_path / "run"), open_pack(config.data, progress=False)
    config = complete(config, pack)
    state, plan = prepare(config, pack, folder, Processes())
    reason = loop.train(
        state, plan, pack, folder, lambda *shown: None, lambda: state.images == 32, judge
    )
    assert (reason, state.images) == ("interrupted", 32)
    assert scores(folder.path) == scores(whole)[:2]


def test_checkpoints_by_name(tmp_path: Path, appoint: Appoint) -> None:
    appoint(ScriptedJudge(SCORES))
    folder = train_scored(tmp_path / "run", "training.checkpoint_every=40") / "checkpoints"
    found = {
        which: find_checkpoint(folder, which, []).name
        for which in ("last", "best", "40", "000000080")
    }
    assert found == {"last": "000000096", "best": "best", "40": "000000040",
                     "000000080": "000000080"}  # fmt: skip
    places = [checkpoint_images(find_checkpoint(folder, which, [])) for which in found]
    assert places == [96, 80, 40, 80]
    for wrong in ("41", "", "Best", "../checkpoints/best", "best/", "9" * 5000, "²"):
        with pytest.raises(RunError, match=r"There are: last, 000000096, 000000080, .*, best\."):
            find_checkpoint(folder, wrong, [])
    (folder / "best" / "weights.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match=r"best is damaged \(weights\.safetensors has 0 of"):
        find_checkpoint(folder, "best", [])
    shutil.rmtree(folder)
    with pytest.raises(RunError, match="There are: none yet"):
        find_checkpoint(folder, "best", [])


def test_what_is_held_out_is_decided_noted_and_not_shown(tmp_path: Path) -> None:
    config = api.configure("gan", data="digits", images=32,
                           settings=["data.images=300", "training.batch=8", "model.width=4",
                                     "training.device=cpu", "training.score_every=0"])  # fmt: skip
    run = train_quietly(config, tmp_path / "run")
    noted = read_config(run / "config.yaml")
    assert noted.data.held_out == 30
    pack = open_pack(noted.data, progress=False)
    _, plan = prepare(noted, pack, RunFolder(tmp_path / "other"), Processes())
    shown = [plan.loader.fetch(8 * i)[0].permute(0, 2, 3, 1).numpy() for i in range(34)]
    seen = {image.tobytes() for batch in shown for image in batch}
    splits = [
        held_out_examples(pack, noted.data, "validation", None),
        held_out_examples(pack, noted.data, "test", None),
    ]
    held_out = [image.tobytes() for split in splits for image in split.images]
    assert len(held_out) == 30
    assert len(seen) == 270
    assert not seen & set(held_out)
    repeated = train_quietly(noted, tmp_path / "repeated")
    assert_same_bits(final_state(run), final_state(repeated))
    everything = noted.model_copy(update={"data": noted.data.model_copy(update={"held_out": 0})})
    other = final_state(train_quietly(everything, tmp_path / "everything"))
    assert any(not torch.equal(other[k], v) for k, v in final_state(run).items())


def test_judges_for_tests_are_functions_of_the_weights(tmp_path: Path) -> None:
    model = build_model(tiny("gan").model, (3, 16, 16), ())
    before = fingerprint(model)
    assert fingerprint(model) == before
    with torch.no_grad():
        next(model.parameters()).add_(1e-6)
    assert fingerprint(model) != before
