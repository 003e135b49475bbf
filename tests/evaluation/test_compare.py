import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganvas.errors import ConfigError, RunError
from ganvas.evaluation.compare import (
    Chapter,
    Claim,
    Entry,
    costs,
    ranking_groups,
    write_comparison,
)
from ganvas.evaluation.curves import LEFT, RIGHT, lines
from ganvas.evaluation.protocol import TRANSLATED
from tests.evaluation.comparing import JUDGED, PROTOCOL, entry, evaluation, history, noise, score
from tests.evaluation.test_report import HOSTILE, Page

UNLIKE = PROTOCOL.model_copy(update={"draws": "a guess"})
CHAPTERS = (
    Chapter(
        "The GAN",
        "First.\n\nSecond.",
        ("gan", "absent"),
        (
            Claim("It is sharp.", True, "Sharpness 0.9."),
            Claim("It is complete.", False, "Coverage 0.2."),
            Claim("It is fast.", None, "Not measured."),
        ),
    ),
)


def three() -> list[Entry]:
    low = score("coverage", 0.2, (0.1, 0.3), floor=0.97), score("psnr", 21.0)
    return [
        entry("ae", score("coverage", 0.01), protocol=UNLIKE),
        entry("gan", *low, log=history(100.0, {2000: 0.4, 10_000: 0.2})),
        entry("dcgan", score("coverage", 0.7, (0.6, 0.8)), log=history(50.0, {2000: 0.3})),
    ]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "page.html"


def page(entries: list[Entry], out: Path, chapters: tuple[Chapter, ...] = ()) -> Page:
    return Page(write_comparison(entries, out, chapters=chapters).read_text())


def test_the_page_says_what_was_measured_and_how(out: Path) -> None:
    text = page(three(), out).text
    for fact in (
        "Comparison",
        "gan 0.200 0.100–0.300",
        "dcgan 0.700 0.600–0.800",
        "real pictures against real pictures 0.970",
        "gan gan 150,000 1,500,000 1 min 40 s 100 640",
        "dcgan dcgan 150,000 1,500,000 3 min 20 s 50 640",
        "What coverage measures.",
        "fingerprint of the real pictures 0123456789ab",
        "number of generated pictures 5,000",
        "ganvas train it ganvas evaluate gan",
        "torch 2.13.0",
        "Measured 2026-01-02 03:04 UTC",
        "Nothing was held out.",
    ):
        assert fact in text


def test_baselines_stand_below_the_floors(out: Path) -> None:
    text = page([entry("a", score("l1", 0.1, floor=0.01, baseline=0.17))], out).text
    assert "real pictures against real pictures 0.010 baseline 0.170" in text
    assert "the baseline what an answer scores that took no learning" in text
    assert "baseline" not in page(three(), out).text


def test_translations_are_not_called_drawn(out: Path) -> None:
    protocol = PROTOCOL.model_copy(update={"draws": TRANSLATED})
    assert "what the model makes of them" in page([entry("a", protocol=protocol)], out).text
    assert "what the model makes of them" not in page([entry("a")], out).text


def test_unlike_protocols_are_not_ranked(out: Path) -> None:
    entries = three()
    assert [[e.name for e in group] for group in ranking_groups(entries)] == [
        ["gan", "dcgan"],
        ["ae"],
    ]
    tags = page(entries, out)
    said = "Not ranked against the first table, because the protocol differs: latents from “prior”"
    assert said in tags.text
    best = [cell for cell in tags.all("td") if cell.get("class") == "best"]
    assert len(best) == 1  # dcgan's coverage; ae's is alone in its table
    alike = page(entries[1:], out)
    assert "Not ranked" not in alike.text


def test_what_cannot_be_told_apart_is_marked(out: Path) -> None:
    entries = [entry("a", score("s", 0.5, (0.4, 0.6))), entry("b", score("s", 0.55, (0.5, 0.6)))]
    tags = page(entries, out)
    assert [cell.get("class") for cell in tags.all("td")].count("level") == 2
    assert tags.text.count("≈") == 3  # twice in the table, once in its key
    assert not [b for b in tags.all("b") if b.get("class") == "best"]


def test_the_story_shows_which_claims_hold(out: Path) -> None:
    tags = page(three(), out, CHAPTERS)
    assert "1 of 3 claims hold. 1 does not. 1 is left open by the numbers." in tags.text
    assert "It is sharp. Holds. Sharpness 0.9." in tags.text
    assert "It is complete. Does not hold. Coverage 0.2." in tags.text
    assert "It is fast. Open. Not measured." in tags.text
    marked = [item.get("class") for item in tags.all("li")]
    assert [mark for mark in marked if mark in {"holds", "fails", "open"}] == [
        "holds",
        "fails",
        "open",
    ]
    told = [image["alt"] for image in tags.all("img")][:2]
    assert told == ["Samples of gan", "Reconstructions by gan"]


def test_a_run_alone_has_a_page_too(out: Path) -> None:
    tags = page(three()[1:2], out)
    assert "ganvas evaluation" in tags.text
    assert "5,000 of avatars" in tags.text
    assert not [cell for cell in tags.all("td") if cell.get("class") in {"best", "level"}]


def test_a_folder_of_pictures_has_no_costs_and_no_curves(out: Path) -> None:
    bare = evaluation("folder", score("s", 1.0)).model_copy(
        update={"model": "", "images": 0, "checkpoint": "", "parameters": {}, "command": ""}
        | {"sampling_speed": None, "notes": (), "versions": {}, "seconds": {}}
    )
    tags = page([Entry("folder", bare, None, None, None)], out)
    assert not tags.all("img")
    assert not tags.all("svg")
    assert "During training" not in tags.text
    assert "Nearest training pictures" not in tags.text
    assert "folder 1.000" in tags.text


def test_every_picture_and_chart_can_be_read_aloud(out: Path) -> None:
    tags = page(three(), out, CHAPTERS)
    assert all(image["alt"] for image in tags.all("img"))
    labels = [str(svg["aria-label"]) for svg in tags.all("svg")]
    assert [re.sub(".* over", "over", label) for label in labels] == [
        "over images shown; at the end: gan 0.2, dcgan 0.3.",
        "over seconds of training; at the end: gan 0.2, dcgan 0.3.",
    ]
    levels = [int(tag[1]) for tag, _ in tags.tags if re.fullmatch("h[1-6]", tag)]
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in tags.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_run_has_its_colour_in_every_chart(out: Path) -> None:
    drawn = [path["class"] for path in page(three(), out).all("path") if path.get("class")]
    lines_of = [str(name) for name in drawn if str(name).startswith("line")]
    assert lines_of == ["line c1", "line c2"] * 2  # ae, the first, has no scores


def test_time_is_that_of_the_training_not_of_the_scoring(out: Path) -> None:
    """gan took 100 s for its 10,000 images, dcgan 40 s for its first 2,000."""
    tags = page(three(), out)
    gan, dcgan = [str(p["d"]) for p in tags.all("path") if str(p.get("class")).startswith("line")][
        2:
    ]
    at = [float(x) for x in re.findall(r"[ML]([\d.]+) ", gan + dcgan)]
    assert at == pytest.approx(
        [LEFT + share * (RIGHT - LEFT) for share in (0.2, 1.0, 0.4)], abs=0.1
    )


def test_runs_on_other_data_are_not_drawn_together(out: Path) -> None:
    other = PROTOCOL.model_copy(update={"real_fingerprint": "9" * 64})
    entries = [
        entry("a", score("s", 1.0), log=history(scores={1000: 1.0})),
        entry("b", score("s", 1.0), log=history(scores={1000: 1.0}), protocol=other),
    ]
    assert len(page(entries, out).all("svg")) == 4


def test_the_page_loads_nothing(out: Path) -> None:
    tags = page(three(), out, CHAPTERS)
    text = out.read_text()
    for _, attributes in tags.tags:
        for name in {"src", "href", "srcset", "action", "data"} & attributes.keys():
            assert str(attributes[name]).startswith("data:image/")
    assert not re.search(r"https?:|@import|url\((?!#)|<script", text)
    assert "default-src 'none'" in text


def test_whatever_the_files_say_is_only_text(out: Path) -> None:
    clean = page(three(), out, CHAPTERS)
    hostile_score = score("s", 1.0).model_copy(
        update={"name": HOSTILE, "label": HOSTILE, "about": HOSTILE}
    )
    fields = {"preparation": HOSTILE, "draws": HOSTILE, "real": HOSTILE, "features": HOSTILE}
    bad = evaluation(HOSTILE, hostile_score).model_copy(
        update={
            "model": HOSTILE,
            "notes": (HOSTILE,),
            "versions": {HOSTILE: HOSTILE},
            "seconds": {HOSTILE: 1.0},
            "parameters": {HOSTILE: 3},
            "command": HOSTILE,
            "device": HOSTILE,
            "time": HOSTILE,
            "protocol": PROTOCOL.model_copy(update=fields),
        }
    )
    log = history(scores={1000: 1.0})
    log.scores[0] = log.scores[0].model_copy(update={"name": HOSTILE})
    entries = [Entry(HOSTILE, bad, log, noise(), noise(), noise()), *three()]
    told = Chapter(HOSTILE, HOSTILE, (HOSTILE,), (Claim(HOSTILE, True, HOSTILE),))
    path = write_comparison(entries, out, title=HOSTILE, introduction=HOSTILE, chapters=(told,))
    hostile = Page(path.read_text())
    assert not hostile.all("script")
    assert hostile.text.count("<script>alert('x')</script>") > 20
    names = {name for _, attributes in hostile.tags for name in attributes}
    assert names <= {name for _, attributes in clean.tags for name in attributes}


def test_a_name_of_an_old_system_does_no_harm(out: Path) -> None:
    assert "Caf?" in page([entry("Caf\udce9", score("s", 1.0))], out).text


@pytest.mark.slow
def test_many_large_sheets_stay_within_the_budget(out: Path) -> None:
    names = [f"run {i}" for i in range(8)]
    sheet = noise(side=100)  # enlarged to 800 pixels: the worst case
    values = [score(f"s{i}", 0.5, (0.4, 0.6)) for i in range(25)]
    scores: dict[int, float | None] = {i * 10: float(i % 7) for i in range(1, 1000)}
    entries = [
        Entry(name, evaluation(name, *values), history(scores=scores), sheet, sheet, sheet)
        for name in names
    ]
    told = tuple(Chapter(name, "Text.", (name,)) for name in names)
    path = write_comparison(entries, out, chapters=told)
    assert path.stat().st_size < 5_000_000
    assert len(Page(path.read_text()).all("img")) == 5 * 8


def test_pictures_of_any_mode_can_be_shown(out: Path) -> None:
    for mode in ("1", "P", "CMYK", "LA"):
        sheet = Image.new(mode, (20, 10))
        shown = Entry("a", evaluation("a", score("s", 1.0)), None, sheet, None)
        assert len(page([shown], out).all("img")) == 1


def test_what_cannot_be_compared_is_refused(out: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to compare"):
        write_comparison([], out)
    with pytest.raises(ConfigError, match="are named 'a'"):
        write_comparison([entry("a"), entry("a")], out)
    with pytest.raises(RunError, match="evaluation of a holds"):
        write_comparison(
            [entry("a", score("s", 1.0).model_copy(update={"about": "x" * 10**6}))], out
        )
    assert not out.exists()


def test_costs_that_are_not_known_are_none() -> None:
    known, unknown = costs(entry("a", log=history(200.0))), costs(entry("a"))
    assert (known.parameters, known.training_seconds, known.training_speed) == (1_500_000, 50, 200)
    assert (unknown.training_seconds, unknown.training_speed) == (None, None)


def test_lines_with_places_of_their_own_share_one_frame() -> None:
    drawn = lines(
        JUDGED, "minutes", {"a": ([0, 5, 10], [1, 2, 3]), "b": ([20], [2]), "c": ([1], [None])}
    )
    assert drawn is not None
    assert [(line.name, line.last, line.raw) for line in drawn.lines] == [
        ("a", "3", ""),
        ("b", "2", ""),
    ]
    a, b = (re.findall(r"[ML]([\d.]+) ([\d.]+)", line.smooth) for line in drawn.lines)
    assert [float(x) for x, _ in a + b] == pytest.approx(
        [LEFT + share * (RIGHT - LEFT) for share in (0, 0.25, 0.5, 1)], abs=0.1
    )
    assert a[1][1] == b[0][1]  # the same value at the same height
    assert drawn.note == "1 value is missing or not a finite number."


@given(
    st.lists(
        st.tuples(st.floats(0, 1e12), st.one_of(st.none(), st.floats())), min_size=1, max_size=30
    )
)
def test_any_line_can_be_drawn(points: list[tuple[float, float | None]]) -> None:
    ordered = sorted(points, key=lambda point: point[0])
    drawn = lines("t", "x", {"a": ([x for x, _ in ordered], [y for _, y in ordered])})
    finite = [y for _, y in points if y is not None and np.isfinite(y) and abs(y) < 1e100]
    assert (drawn is not None) == bool(finite)
    if drawn is not None:
        assert not re.search("nan|inf", drawn.lines[0].smooth)
        assert len(drawn.x_ticks) < 20
