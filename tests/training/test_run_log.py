import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganvas.errors import RunError
from ganvas.training.run_log import History, RunLog, read_log


def progress(log: RunLog, images: int) -> None:
    log.write(
        "progress",
        images=images,
        step=images // 10,
        seconds=images / 100,
        images_per_second=100.0,
        losses={"generator/total": 1.0},
        gradient_norms={"generator": 2.0},
    )


def score(log: RunLog, images: int, value: float, note: str | None = None) -> None:
    log.write("score", images=images, name="kid", value=value, seconds=1.5, note=note)


def measured(path: Path) -> list[tuple[str, int]]:
    return [(record["event"], record["images"]) for record in read_log(path)]


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "run" / "log.jsonl")


def test_what_is_written_is_read_and_each_record_is_on_disk_at_once(log: RunLog) -> None:
    for images in (10, 20):
        progress(log, images)
        assert measured(log.path)[-1] == ("progress", images)
    RunLog(log.path).write("samples", images=20, path="samples/Löwe.png")
    assert read_log(log.path)[-1] == {"event": "samples", "images": 20, "path": "samples/Löwe.png"}
    assert log.path.read_bytes().count(b"\n") == 3


def test_numbers_that_json_does_not_have_become_null(log: RunLog) -> None:
    bad = {"a": float("nan"), "b": [float("inf"), 1.5], "c": (-float("inf"),)}
    log.write("progress", images=1, losses=bad, note=None, ok=True)

    def refuse(text: str) -> None:
        raise AssertionError(text)

    record = json.loads(log.path.read_bytes(), parse_constant=refuse)
    assert record["losses"] == {"a": None, "b": [None, 1.5], "c": [None]}
    assert (record["note"], record["ok"]) == (None, True)


def test_a_line_torn_anywhere_costs_only_itself(log: RunLog) -> None:
    progress(log, 10)
    whole = log.path.read_bytes()
    line = whole.replace(b"10", b"20")
    for cut in range(1, len(line) - 1):
        log.path.write_bytes(whole + line[:cut])
        assert measured(log.path) == [("progress", 10)]
        progress(log, 30)
        assert measured(log.path) == [("progress", 10), ("progress", 30)]


def test_a_whole_line_that_lacks_its_end_is_kept(log: RunLog) -> None:
    progress(log, 10)
    log.path.write_bytes(log.path.read_bytes().rstrip(b"\n"))
    progress(log, 20)
    assert measured(log.path) == [("progress", 10), ("progress", 20)]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"7",
        b"null",
        b"[]",
        b"\x00\x00\x00",
        b"\xff\xfe",
        b'{"event": "progress"}',
        b"[" * 99999,
        b'{"event": 3, "images": 1}',
        b'{"event": "progress", "images": true}',
    ],
)
def test_lines_that_are_no_records_are_skipped(log: RunLog, line: bytes) -> None:
    progress(log, 10)
    with log.path.open("ab") as stream:
        stream.write(line + b"\n")
    progress(log, 20)
    assert measured(log.path) == [("progress", 10), ("progress", 20)]


def test_a_resume_rewinds_to_its_checkpoint(log: RunLog) -> None:
    log.write("start", images=0)
    for images in (10, 20, 30):
        progress(log, images)
        log.write("samples", images=images, path=f"{images}.png")
        score(log, images, 0.5)
    log.write("checkpoint", images=20, path="c20")
    log.write("checkpoint", images=30, path="c30")
    log.write("end", images=30, reason="interrupted")
    log.write("resume", images=20, note=None)
    progress(log, 30)
    assert measured(log.path) == [
        ("start", 0),
        *[("progress", 10), ("samples", 10), ("score", 10)],
        *[("progress", 20), ("samples", 20), ("score", 20)],
        *[("checkpoint", 20), ("end", 30), ("resume", 20), ("progress", 30)],
    ]


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12)), max_size=6))
def test_kills_leave_no_trace_in_the_history(
    tmp_path_factory: pytest.TempPathFactory, lives: list[tuple[int, int]]
) -> None:
    log = RunLog(tmp_path_factory.mktemp("log") / "log.jsonl")
    reached = 0
    for steps, back in lives:  # a life: some steps, a kill, and a resume from before it
        for images in range(reached + 1, reached + steps + 1):
            progress(log, images)
        reached = max(0, reached + steps - back)
        with log.path.open("ab") as stream:
            stream.write(b'{"event": "progress", "ima')
        log.write("resume", images=reached, note=None)
    for images in range(reached + 1, reached + 4):
        progress(log, images)
    shown = [images for event, images in measured(log.path) if event == "progress"]
    assert shown == list(range(1, reached + 4))


def test_a_log_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"not a folder|already there"):
        RunLog(tmp_path / "file" / "log.jsonl").write("end", images=0)


def begin(log: RunLog, **changes: Any) -> None:
    fields: dict[str, Any] = {
        "time": "2026-01-02T03:04:05+00:00",
        "command": "ganvas train",
        "versions": {"ganvas": "0.1"},
        "device": "cpu",
        "precision": "float32",
        "parameters": {"generator": 3},
    }
    log.write("start", images=0, **(fields | changes))


def test_the_history_has_typed_parts(log: RunLog) -> None:
    begin(log)
    progress(log, 10)
    log.write("samples", images=10, path="samples/10.png")
    log.write("end", images=10, seconds=1.0, reason="interrupted")
    history = History.read(log.path)
    assert history.start is not None
    assert history.start.parameters == {"generator": 3}
    assert [p.losses for p in history.progress] == [{"generator/total": 1.0}]
    assert [s.path for s in history.samples] == ["samples/10.png"]
    assert history.end is not None
    assert history.end.reason == "interrupted"
    assert (history.images, history.resumes) == (10, 0)


def test_scores_and_the_time_that_they_took(log: RunLog) -> None:
    begin(log)
    score(log, 10, 0.5)
    score(log, 20, float("nan"), "It was not a finite number.")
    score(log, 30, 0.4)
    log.write("resume", images=20, time="", note=None)
    score(log, 30, 0.3)
    history = History.read(log.path)
    assert [(s.images, s.value) for s in history.scores] == [(10, 0.5), (20, None), (30, 0.3)]
    assert [s.note for s in history.scores] == [None, "It was not a finite number.", None]
    assert history.scoring_seconds == 4.5


def test_a_resumed_run_has_not_ended(log: RunLog) -> None:
    begin(log)
    log.write("end", images=10, seconds=1.0, reason="interrupted")
    log.write("resume", images=5, time="", note="the newest checkpoint was torn")
    history = History.read(log.path)
    assert history.end is None
    assert (history.images, history.resumes) == (5, 1)


def test_a_record_with_wrong_fields_is_named(log: RunLog) -> None:
    begin(log, parameters={"generator": "many"})
    with pytest.raises(RunError, match=r"log\.jsonl holds a start record .*parameters\.generator"):
        History.read(log.path)
    log.path.unlink()
    log.write("score", images=1, name="kid", value="low", seconds=1.0)
    with pytest.raises(RunError, match=r"log\.jsonl holds a score record .* value: "):
        History.read(log.path)
