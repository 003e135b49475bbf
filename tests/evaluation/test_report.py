import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganvas.errors import RunError
from ganvas.evaluation.report import duration, moment, write_report
from ganvas.pictures import grid, save_png
from ganvas.training.run_log import RunLog

CONFIG = (
    "name: gan\ndata:\n  source: avatars\n"
    "model:\n  name: gan\n  networks: dcgan\ntraining:\n  seed: 41\n"
)
DATA: dict[str, Any] = {
    "source": "avatars",
    "count": 20000,
    "shape": [3, 32, 48],
    "classes": ["cat", "dog"],
    "class_counts": [15000, 5000],
    "fingerprint": "0123456789abcdef" * 4,
    "skipped": [{"name": "broken.jpg", "reason": "it is cut short"}],
}


class Page(HTMLParser):
    """What the tests want to know of a page; fails on tags that do not nest."""

    VOID = frozenset({"meta", "img", "input", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def write_run(
    run: Path, *, lines: int = 30, sheets: int = 3, end: str | None = "finished", side: int = 16
) -> Path:
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(CONFIG)
    (run / "data.json").write_text(json.dumps(DATA))
    log = RunLog(run / "log.jsonl")
    log.write(
        "start",
        images=0,
        time="2026-01-02T03:04:05+00:00",
        command="ganvas train gan --images 3000",
        versions={"ganvas": "0.1.0", "torch": "2.13.0"},
        device="cpu",
        precision="bfloat16",
        parameters={"generator": 3576704, "discriminator": 2765568},
    )
    for n in range(1, lines + 1):
        log.write("progress", images=n * 100, **measurements(n))
    random = np.random.default_rng(0)
    for n in range(sheets):
        images = n * lines * 100 // max(1, sheets - 1)
        path = f"samples/{images:09d}.png"
        save_png(grid(random.integers(0, 256, (16, side, side, 3), np.uint8)), run / path)
        log.write("samples", images=images, path=path)
    if end:
        log.write("end", images=lines * 100, seconds=float(lines), reason=end)
    return run


def measurements(n: int) -> dict[str, Any]:
    return {
        "step": n,
        "seconds": float(n),
        "images_per_second": 100.0,
        "losses": {"discriminator/total": 1.0 + 1 / n, "discriminator/real": 0.5 / n}
        | {"generator/total": 2.0},
        "gradient_norms": {"discriminator": 3.0, "generator": 4.0},
    }


def page(run: Path) -> Page:
    return Page(write_report(run).read_text())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "my run")


def test_the_page_says_what_the_run_was(run: Path) -> None:
    assert write_report(run) == run / "report.html"
    text = page(run).text
    for fact in (
        "gan on avatars",
        "Finished. The training ran to its end.",
        "Images shown 3,000",
        "Training time 30 s",
        "Begun 2026-01-02 03:04 UTC",
        "32 × 48, RGB",
        "cat 15,000",
        "broken.jpg it is cut short",
        "generator 3,576,704",
        "together 6,342,272",
        "ganvas train --config config.yaml",
        "ganvas train gan --images 3000",
        "Seed 41",
        "torch 2.13.0",
        "cpu, bfloat16",
        "ganvas resume 'my run'",
        "ganvas sample 'my run'",
    ):
        assert fact in text
    assert "could not show" not in text
    assert CONFIG in "".join(page(run).words)


def test_every_picture_and_chart_can_be_read_aloud(run: Path) -> None:
    tags = page(run)
    assert len(tags.all("img")) == 1 + 3
    assert all(image["alt"] for image in tags.all("img"))
    labels = [svg["aria-label"] for svg in tags.all("svg")]
    assert len(labels) == 4
    assert str(labels[0]).startswith("discriminator over images shown; at the end: total 1.0")
    levels = [int(tag[1]) for tag, _ in tags.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert [html["lang"] for html in tags.all("html")] == ["en"]


def test_the_page_loads_nothing(run: Path) -> None:
    text = write_report(run).read_text()
    tags = Page(text)
    for _, attributes in tags.tags:
        for name in {"src", "href", "srcset", "action", "data"} & attributes.keys():
            assert str(attributes[name]).startswith("data:image/")
    assert not re.search(r"https?:|@import|url\((?!#)|\bfetch\(|XMLHttp", text)
    assert "default-src 'none'" in text


HOSTILE = "</code></pre><script>alert('x')</script>\"'><img src=x onerror=alert(1)>"


def test_whatever_the_files_say_is_only_text(run: Path) -> None:
    write_scores(run, 0.5, np.nan)
    clean = [(tag, sorted(attributes)) for tag, attributes in page(run).tags]
    (run / "config.yaml").write_text(
        json.dumps({"name": HOSTILE, "model": {}, "data": {"source": HOSTILE}, "training": {}})
    )
    data = DATA | {"source": HOSTILE, "classes": [HOSTILE, HOSTILE], "fingerprint": HOSTILE}
    data["skipped"] = [{"name": HOSTILE, "reason": HOSTILE}]
    (run / "data.json").write_text(json.dumps(data))
    lines = (run / "log.jsonl").read_text()
    quoted = json.dumps(HOSTILE)[1:-1]
    words = ("discriminator", "2.13.0", "bfloat16", "ganvas train gan", "2026-01-02T03", NAME)
    for word in words:
        lines = lines.replace(word, quoted)
    (run / "log.jsonl").write_text(lines)
    hostile = page(run)
    assert [tag for tag, _ in hostile.tags if tag == "script"] == ["script"]
    assert hostile.text.count("<script>alert('x')</script>") > 10
    names = {name for _, attributes in hostile.tags for name in attributes}
    assert "onerror" not in names
    assert names <= {name for _, attributes in clean for name in attributes}


@pytest.mark.parametrize(
    ("end", "state"),
    [
        ("interrupted", "Interrupted."),
        ("stopped", "Stopped."),
        (None, "Not ended. It is still running, or it was killed"),
    ],
)
def test_the_state_of_the_run(tmp_path: Path, end: str | None, state: str) -> None:
    assert state in page(write_run(tmp_path / "run", end=end)).text


def test_a_configuration_of_a_stranger_cannot_exhaust_the_memory(run: Path) -> None:
    """YAML aliases that would print as 9^9 words, and a number too long to print."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join(['*' + before] * 9)}]")
    bomb = "\n".join([*lines, "name: *i", "training: {seed: 0x" + "f" * 6000 + "}"])
    (run / "config.yaml").write_text(bomb)
    assert write_report(run).stat().st_size < 5_000_000


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("log.jsonl", "log.jsonl is not there"),
        ("data.json", "data.json is not there"),
        ("samples", "Sample sheets that are missing or cannot be read: samples/000000000.png"),
    ],
)
def test_what_is_missing_is_said(run: Path, name: str, complaint: str) -> None:
    (run / name).rename(run / "elsewhere")
    text = page(run).text
    assert complaint in text
    assert "ganvas train --config config.yaml" in text


def test_without_a_log_the_sheets_are_found_by_name(run: Path) -> None:
    (run / "log.jsonl").unlink()
    (run / "samples" / "notes.png").write_bytes(b"")
    assert len(page(run).all("img")) == 1 + 3


def test_a_run_that_has_just_begun(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("")
    text = page(run).text
    assert "Not begun." in text
    assert "There are no sample sheets" in text
    assert "No losses have been logged." in text


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("data.json", b"{", "data.json cannot be read"),
        ("data.json", b'{"count": "many"}', "data.json cannot be read"),
        ("config.yaml", b"a: [", "config.yaml is not valid YAML"),
        ("config.yaml", b"\xff\x00", "config.yaml is not valid YAML"),
        ("config.yaml", b"- 3", "my run"),
        ("log.jsonl", b'{"event": "progress", "images": 3}', "a progress record"),
        ("log.jsonl", b'{"event": "sam', "Nothing has been logged"),
        ("samples/000000000.png", b"no picture", "cannot be read: samples/000000000.png"),
    ],
)
def test_files_that_are_broken_are_said(
    run: Path, name: str, content: bytes, complaint: str
) -> None:
    (run / name).write_bytes(content)
    assert complaint in page(run).text


@pytest.mark.parametrize("name", ["../secret.png", "/dev/null", "samples/\0.png", "samples", "."])
def test_a_log_cannot_show_pictures_from_outside_its_folder(run: Path, name: str) -> None:
    save_png(grid(np.zeros((1, 8, 8, 3), np.uint8)), run.parent / "secret.png")
    RunLog(run / "log.jsonl").write("samples", images=9000, path=name)
    tags = page(run)
    assert len(tags.all("img")) == 1 + 3
    assert "missing or cannot be read" in tags.text


def test_a_picture_bomb_is_not_opened(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)  # the sheets have far more
    assert "missing or cannot be read" in page(run).text


def test_a_resumed_run_reads_like_one_that_was_not_interrupted(tmp_path: Path) -> None:
    plain = write_run(tmp_path / "plain" / "run", end=None)
    killed = write_run(tmp_path / "killed" / "run", end=None)
    log = RunLog(killed / "log.jsonl")
    log.write("resume", images=2000, time="", note=None)
    for n in range(21, 31):
        log.write("progress", images=n * 100, **measurements(n))
    log.write("samples", images=3000, path="samples/000003000.png")
    with log.path.open("ab") as stream:
        stream.write(b'{"event": "progress", "images": 31')
    a, b = page(plain), page(killed)
    assert [p["d"] for p in a.all("path")] == [p["d"] for p in b.all("path")]
    assert [i["src"] for i in a.all("img")] == [i["src"] for i in b.all("img")]
    assert "Resumed 1 time" in b.text


def test_a_value_that_was_not_finite_is_told(run: Path) -> None:
    log = RunLog(run / "log.jsonl")
    log.write("progress", images=3100, **measurements(31) | {"losses": {"generator/total": np.nan}})
    tags = page(run)
    assert "1 value is missing or not a finite number." in tags.text
    assert not any("nan" in str(path["d"]) for path in tags.all("path"))


@pytest.mark.slow
def test_a_long_run_stays_within_the_budget(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines=20_000, sheets=40, side=256)  # noise, the worst case
    data = DATA | {
        "classes": [f"class {i}" for i in range(5000)],
        "class_counts": [1] * 5000,
        "skipped": [{"name": f"{i}.jpg", "reason": "bad"} for i in range(50_000)],
    }
    (run / "data.json").write_text(json.dumps(data))
    report = write_report(run)
    assert report.stat().st_size < 5_000_000
    tags = Page(report.read_text())
    shown = [re.sub(r"\D", "", str(image["alt"])) for image in tags.all("img")]
    assert len(shown) == 1 + 8
    assert (shown[0], shown[1], shown[8]) == ("2000000", "0", "2000000")
    gaps = np.diff([int(images) for images in shown[1:]])
    assert gaps.max() < 1.5 * gaps.min()
    assert "and 4,960 more classes" in tags.text
    assert "50,000 files were left out" in tags.text


def test_a_file_name_of_an_old_system_does_no_harm(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    bad = "Caf\udce9.jpg"  # Latin-1 bytes, as Python reads them on Linux
    (run / "data.json").write_text(json.dumps(DATA | {"skipped": [{"name": bad, "reason": "bad"}]}))
    RunLog(run / "log.jsonl").write("samples", images=9000, path=f"samples/{bad}")
    text = page(run).text
    assert "Caf?.jpg bad" in text
    assert "missing or cannot be read: samples/Caf?.jpg" in text


def test_a_second_domain_is_named(run: Path) -> None:
    second = {"target_count": 1200, "target_shape": [1, 32, 48], "paired": True}
    (run / "data.json").write_text(json.dumps(DATA | second))
    assert "Second domain 1,200 (32 × 48, grey), one for each image" in page(run).text
    (run / "data.json").write_text(json.dumps(DATA))
    assert "Second domain" not in page(run).text


def test_points_are_counted_as_points(run: Path) -> None:
    (run / "data.json").write_text(json.dumps(DATA | {"shape": [2], "classes": []}))
    assert "Points 20,000" in page(run).text


NAME = "kid, random features, 1,000 validation pictures"


def write_scores(run: Path, *values: float, kept: int | None = None, name: str = NAME) -> None:
    log = RunLog(run / "log.jsonl")
    for n, value in enumerate(values, 1):
        note = None if np.isfinite(value) else "It was not <finite>."
        log.write("score", images=n * 600, name=name, value=value, seconds=21.0, note=note)
    if kept is not None:
        best = run / "checkpoints" / "best"
        best.mkdir(parents=True)
        score = {"name": name, "value": values[kept - 1], "images": kept * 600}
        (best / "score.json").write_text(json.dumps(score))


def test_a_run_that_was_not_scored_says_nothing_of_scores(run: Path) -> None:
    assert "Score" not in page(run).text
    assert "Time for scores" not in page(run).text


def test_scores_are_drawn_and_the_best_is_named(run: Path) -> None:
    write_scores(run, 0.5, 0.125, 0.0123, 0.25, 0.0123, kept=3)
    tags = page(run)
    assert "Best 0.0123 at 1,800 images, kept in checkpoints/best . Measuring took" in tags.text
    assert "Measuring took 1 min 45 s, beside 30 s of training." in tags.text
    assert "Time for scores 1 min 45 s" in tags.text
    drawn = [str(svg["aria-label"]) for svg in tags.all("svg")]
    assert f"{NAME} over images shown; at the end: score 0.0123." in drawn
    assert "could not be measured" not in tags.text


def test_a_best_that_is_not_kept_is_not_promised(run: Path) -> None:
    write_scores(run, 0.5, 0.125, 0.25, kept=3)
    assert "Best 0.125 at 1,200 images; those weights are not kept." in page(run).text


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": 3}', "[" * 99999])
def test_a_best_that_cannot_be_read_is_not_promised(run: Path, content: str) -> None:
    write_scores(run, 0.5, kept=1)
    (run / "checkpoints" / "best" / "score.json").write_text(content)
    assert "those weights are not kept" in page(run).text


def test_scores_that_could_not_be_measured_are_told(run: Path) -> None:
    write_scores(run, 0.5, np.nan, np.inf)
    text = page(run).text
    assert "2 of 3 scores could not be measured. It was not <finite>." in text
    assert "Best 0.5 at 600 images" in text


def test_no_score_could_be_measured(run: Path) -> None:
    write_scores(run, np.nan)
    text = page(run).text
    assert "1 of 1 scores could not be measured." in text
    assert "Best" not in text


def test_scores_of_two_kinds_are_not_mixed(run: Path) -> None:
    write_scores(run, 0.001, name="another")
    write_scores(run, 0.5, 0.125)
    tags = page(run)
    assert "Best 0.125 at 1,200 images" in tags.text
    assert len(tags.all("svg")) == 4 + 2


def test_a_folder_that_is_no_run_is_an_error(tmp_path: Path, run: Path) -> None:
    with pytest.raises(
        RunError, match=r"runs is not a run folder: it does not exist.*config\.yaml"
    ):
        write_report(tmp_path / "runs")
    with pytest.raises(RunError, match=r"holds no config\.yaml.*Did you mean .*my run\?"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(0.04, "0.0 s"), (0.44, "0.4 s"), (59.6, "1 min 0 s"), (272, "4 min 32 s")],
        *[(3900, "1 h 5 min"), (3599.7, "1 h 0 min"), (183600, "2 d 3 h")],
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ("2026-01-02T03:04:05+02:00", "2026-01-02 01:04 UTC"),
        ("yesterday", "yesterday"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_moments(time: str, text: str) -> None:
    assert moment(time) == text
