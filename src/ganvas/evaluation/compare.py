"""A page that compares runs on equal terms, and may tell a story about them.

Like the report of a run it opens from disk, loads nothing and stays under 5 MB; what evaluations
and logs say may come from a stranger and is bounded and escaped.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from ganvas._version import __version__
from ganvas.errors import ConfigError, RunError
from ganvas.evaluation import curves, page, ranking
from ganvas.evaluation.curves import Chart
from ganvas.evaluation.guidance import by_guidance, guidance_charts
from ganvas.evaluation.protocol import TRANSLATED, Evaluation
from ganvas.evaluation.ranking import Table
from ganvas.evaluation.report import duration, moment
from ganvas.evaluation.table import comparison_text
from ganvas.files import write_text
from ganvas.pictures import data_uri
from ganvas.training.run_log import History, ScoreRecord

_SIDE = 800  # pixels of a sheet's longer side
_SHEET_BYTES = 200_000  # of one sheet, at most
_ALL_SHEETS_BYTES = 3_000_000  # base64 makes 4 MB of them
_MOST_EVALUATION = 100_000  # characters: twenty scores take some 10,000
_MOST_CURVES = 6  # scores of the log that are drawn


@dataclass(frozen=True)
class Entry:
    """One of the things that are compared."""

    name: str
    """The run folder's name; no other entry of a page has it."""
    evaluation: Evaluation
    history: History | None
    """For curves and costs; None for a folder of pictures."""
    samples: Image.Image | None
    """A sheet drawn from the same seeds and labels as the other entries'."""
    reconstructions: Image.Image | None
    """Unseen pictures and their reconstructions in turn, where the model encodes."""
    pairs: Image.Image | None = None
    """The drawn pictures nearest to the training set, each beside its neighbour there."""


@dataclass(frozen=True)
class Claim:
    """A sentence, and whether the numbers bear it out."""

    text: str
    holds: bool | None
    """None where the numbers do not tell."""
    evidence: str
    """The numbers."""


@dataclass(frozen=True)
class Chapter:
    """A part of a story about some of the entries."""

    title: str
    text: str
    """Paragraphs, parted by empty lines."""
    names: tuple[str, ...]
    """The entries that it is about; those that are not on the page are left out."""
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class Costs:
    """What an entry took; None where it is not known."""

    parameters: int | None
    training_seconds: float | None
    training_speed: float | None
    """Median, in images per second."""
    sampling_speed: float | None
    """In pictures per second."""


@dataclass(frozen=True)
class _View:
    """An entry as the page shows it."""

    entry: Entry
    costs: Costs
    samples: str
    """Sheets as data URIs; "" where there is none."""
    reconstructions: str
    pairs: str


def write_comparison(
    entries: Sequence[Entry],
    out: Path,
    *,
    title: str = "Comparison",
    introduction: str = "",
    chapters: Sequence[Chapter] = (),
) -> Path:
    """Write the page.

    Args:
        entries: What to compare, in the order to show it; one is enough.
        out: The page's file.
        title: The page's headline.
        introduction: What stands below it, in paragraphs parted by empty lines.
        chapters: A story to tell before the tables.

    Returns:
        The path of the page.

    Raises:
        ConfigError: There is nothing to compare, or two entries have one name.
        RunError: An evaluation is larger than any that ganvas makes, or the page cannot be
            written.
    """
    _check(entries)
    filters: dict[str, Callable[..., object]] = {
        "duration": duration,
        "moment": moment,
        "paragraphs": _paragraphs,
    }
    text = page.render(
        "compare.html.j2",
        filters,
        title=title,
        introduction=introduction,
        chapters=chapters,
        claims=[claim for chapter in chapters for claim in chapter.claims],
        views={view.entry.name: view for view in _views(entries, chapters)},
        tables=_tables(entries),
        curves=_curves(entries),
        guided={e.name: _guided(e.evaluation) for e in entries if e.evaluation.guided},
        colours={entry.name: number for number, entry in enumerate(entries)},
        in_words=ranking.protocol_in_words,
        translations=all(e.evaluation.protocol.draws == TRANSLATED for e in entries),
        version=__version__,
    )
    write_text(out, text)
    return out


def ranking_groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Entries of equal protocol together; only within such a group is anything ranked."""
    by_name = {entry.name: entry for entry in entries}
    return [[by_name[row.name] for row in table.rows] for table in _tables(entries)]


def comparison_table(entries: Sequence[Entry]) -> str:
    """The scores side by side as plain text for the terminal."""
    _check(entries)
    return comparison_text(_tables(entries))


def _guided(evaluation: Evaluation) -> dict[str, object]:
    """What the page shows of the strengths of guidance."""
    return {
        "n": evaluation.guided[0].n,
        "charts": guidance_charts(evaluation),
        "tables": ranking.tables(by_guidance(evaluation)),
    }


def _tables(entries: Sequence[Entry]) -> list[Table]:
    return ranking.tables({entry.name: entry.evaluation for entry in entries})


def costs(entry: Entry) -> Costs:
    """What it took to train and takes to sample."""
    parameters = entry.evaluation.parameters
    progress = entry.history.progress if entry.history else []
    speeds = [r.images_per_second for r in progress if r.images_per_second is not None]
    seconds = [r.seconds for r in progress if r.seconds is not None]
    return Costs(
        parameters=sum(parameters.values()) if parameters else None,
        training_seconds=seconds[-1] if seconds else None,
        training_speed=median(speeds) if speeds else None,
        sampling_speed=entry.evaluation.sampling_speed,
    )


def _paragraphs(text: str) -> list[str]:
    return [part for part in text.split("\n\n") if part.strip()]


def _check(entries: Sequence[Entry]) -> None:
    if not entries:
        raise ConfigError("There is nothing to compare: name at least one run.")
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"Two of the runs to compare are named {twice[0]!r}, so that nobody could tell them "
            "apart: rename one of the folders, or leave it out."
        )
    for entry in entries:
        size = len(repr(entry.evaluation))
        if size > _MOST_EVALUATION:
            raise RunError(
                f"The evaluation of {entry.name} holds {size:,} characters, more than any that "
                "ganvas writes: measure the run again (ganvas evaluate)."
            )


def _views(entries: Sequence[Entry], chapters: Sequence[Chapter]) -> list[_View]:
    """The entries with their sheets, which share what the page may weigh."""
    told = [name for chapter in chapters for name in chapter.names]
    shown = 0
    for entry in entries:
        twice = sum(sheet is not None for sheet in (entry.samples, entry.reconstructions))
        shown += twice * (1 + told.count(entry.name)) + (entry.pairs is not None)
    limit = min(_SHEET_BYTES, _ALL_SHEETS_BYTES // max(1, shown))
    return [
        _View(
            entry,
            costs(entry),
            *(_uri(sheet, limit) for sheet in (entry.samples, entry.reconstructions, entry.pairs)),
        )
        for entry in entries
    ]


def _uri(sheet: Image.Image | None, limit: int) -> str:
    if sheet is None:
        return ""
    sheet = sheet if sheet.mode in {"L", "RGB", "RGBA"} else sheet.convert("RGB")
    return data_uri(sheet, _SIDE, max(limit, 2_000))


def _curves(entries: Sequence[Entry]) -> list[list[Chart]]:
    """Of every score that was taken during training, a chart over images and one over time.

    Runs on different data are not drawn together.
    """
    drawn = []
    for group in _by_data(entries):
        measured = {entry.name: entry.history.scores if entry.history else [] for entry in group}
        names = dict.fromkeys(m.name for scores in measured.values() for m in scores)
        for name in list(names)[:_MOST_CURVES]:
            of_name = {
                run: [m for m in scores if m.name == name] for run, scores in measured.items()
            }
            histories = {entry.name: entry.history for entry in group}
            charts = _over_images(name, of_name), _over_time(name, of_name, histories)
            drawn.append([chart for chart in charts if chart is not None])
    return [pair for pair in drawn if pair]


def _by_data(entries: Iterable[Entry]) -> list[list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.evaluation.protocol.real_fingerprint, []).append(entry)
    return list(groups.values())


def _over_images(name: str, measured: Mapping[str, Sequence[ScoreRecord]]) -> Chart | None:
    series = {
        run: ([float(m.images) for m in scores], [m.value for m in scores])
        for run, scores in measured.items()
        if scores
    }
    return curves.lines(name, "images shown", series)


def _over_time(
    name: str,
    measured: Mapping[str, Sequence[ScoreRecord]],
    histories: Mapping[str, History | None],
) -> Chart | None:
    """The same over training time, which is known where progress was logged."""
    series: dict[str, tuple[list[float], list[float | None]]] = {}
    for run, scores in measured.items():
        times = _times(histories[run], [m.images for m in scores])
        if times and scores:
            series[run] = times, [m.value for m in scores]
    longest = max((x[-1] for x, _ in series.values()), default=0.0)
    unit, size = _unit(longest)
    scaled = {run: ([t / size for t in times], y) for run, (times, y) in series.items()}
    return curves.lines(name, f"{unit} of training", scaled)


def _times(history: History | None, images: Sequence[int]) -> list[float]:
    """Seconds of training at those counts of images; empty where no time was logged."""
    progress = history.progress if history else []
    known = [(record.images, record.seconds) for record in progress if record.seconds is not None]
    if not known:
        return []
    shown, seconds = zip((0, 0.0), *known, strict=True)
    return [float(time) for time in np.interp(images, shown, seconds)]


def _unit(seconds: float) -> tuple[str, float]:
    """In what to count a time span, and how many seconds that is."""
    if seconds > 3 * 3600:
        return "hours", 3600.0
    return ("minutes", 60.0) if seconds > 180 else ("seconds", 1.0)
