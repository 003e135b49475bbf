"""The report of a run: one page that opens from disk, needs no network, and is under 5 MB.

Everything on it is read from the run folder, whose files may come from a stranger: they are bounded
in size, confined to the folder, and escaped.
"""

import datetime
import json
import re
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from statistics import median
from typing import Any

import yaml
from PIL import Image
from pydantic import BaseModel, Field, NonNegativeInt

from ganvas._version import __version__
from ganvas.errors import RunError
from ganvas.evaluation import curves, page
from ganvas.evaluation.curves import Chart
from ganvas.files import write_text
from ganvas.pictures import data_uri
from ganvas.training.checkpoint import read_best
from ganvas.training.run_log import History, Progress, Samples, ScoreRecord

_SHEETS = 8  # shown over time
_HEADLINE = (1200, 1_200_000)  # longer side in pixels, bytes
_THUMBNAIL = (800, 200_000)
_MOST_TEXT = 200_000  # characters of config.yaml
_MOST_ROWS = 40  # classes, and files left out, that are listed
_LONGEST_NAME, _LONGEST_NOTE = 200, 1000  # characters of a score's name, and of what went wrong

_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_NOTHING_LOGGED = History(
    start=None, progress=[], samples=[], scores=[], resumes=0, end=None, images=0
)


class Skipped(BaseModel):
    """A file that could not be used."""

    name: str
    reason: str


class DataSummary(BaseModel):
    """What `data.json` says of the data; the shape is (C, H, W), or (2,) for points."""

    source: str
    count: int
    shape: list[NonNegativeInt] = Field(min_length=1)
    classes: list[str]
    class_counts: list[NonNegativeInt]
    fingerprint: str
    skipped: list[Skipped]
    target_count: NonNegativeInt | None = None
    """Of a second domain, if there is one: how many, of what form, and whether they are pairs."""
    target_shape: list[NonNegativeInt] | None = None
    paired: bool = False

    @property
    def size(self) -> str:
        """The shape in words: `32 × 48, RGB` is 32 pixels high."""
        return _size(self.shape)

    @property
    def target(self) -> str:
        """The second domain in words; empty where there is none."""
        if self.target_count is None or self.target_shape is None:
            return ""
        pairs = "one for each image" if self.paired else "not in pairs"
        return f"{self.target_count:,} ({_size(self.target_shape)}), {pairs}"

    @property
    def balance(self) -> list[tuple[str, int]]:
        """Classes with their counts, in the data's order."""
        return list(zip(self.classes, self.class_counts, strict=False))


@dataclass(frozen=True)
class Title:
    """What `config.yaml` calls the run; empty where it does not say."""

    model: str
    networks: str
    source: str
    seed: str
    images: str
    """Length of the training that was asked for, in images shown."""


@dataclass(frozen=True)
class Sheet:
    """A sample sheet inside the page."""

    images: int
    uri: str


@dataclass(frozen=True)
class Best:
    """The best score of a run."""

    value: str
    images: int
    kept: bool
    """Whether its weights are in `checkpoints/best`."""


def write_report(run: Path) -> Path:
    """Write `report.html` into a run folder.

    It may be called at any time, also while the run goes on or after a kill. What is missing or
    unreadable is named on the page.

    Args:
        run: A folder that `ganvas train` made.

    Returns:
        The path of the report.

    Raises:
        RunError: `run` is not a run folder, or the report cannot be written.
    """
    if not (run / "config.yaml").is_file():
        raise RunError(_not_a_run(run))
    path = run / "report.html"
    write_text(path, _page(run))
    return path


def _page(run: Path) -> str:
    missing: list[str] = []
    config = (run / "config.yaml").read_text("utf-8", errors="replace")
    history = _history(run / "log.jsonl", missing)
    headline, strip = _sheets(run, history.samples, missing)
    name = _printable(run.resolve().name)
    return page.render(
        "report.html.j2",
        {"duration": duration, "moment": moment},
        name=name,
        argument=shlex.quote(name),
        title=_title(config, missing),
        config=config[:_MOST_TEXT],
        config_is_cut=len(config) > _MOST_TEXT,
        history=history,
        last=history.progress[-1] if history.progress else None,
        written=_modified(run / "log.jsonl"),
        state=_state(history),
        headline=headline,
        strip=strip,
        losses=_loss_charts(history.progress),
        norms=_norm_chart(history.progress),
        scores=_score_charts(history.scores),
        best=_best(run, history.scores),
        unscored=_unscored(history.scores),
        speed=_speed_chart(history.progress),
        median_speed=_median_speed(history.progress),
        data=_data(run / "data.json", missing),
        most_rows=_MOST_ROWS,
        missing=missing,
        version=__version__,
    )


def duration(seconds: float) -> str:
    """A time span in its two largest units, such as `4 min 32 s`."""
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    if minutes:
        return f"{minutes} min {whole % 60} s"
    return f"{whole} s" if whole else f"{max(seconds, 0):.1f} s"


def moment(time: str) -> str:
    """An ISO 8601 time to the minute in UTC; any other text as it is."""
    try:
        when = datetime.datetime.fromisoformat(time).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return time
    return when.strftime("%Y-%m-%d %H:%M UTC")


def _printable(text: str) -> str:
    """The text with `?` for what is no character, such as bytes in file names of old systems."""
    return text.encode(errors="replace").decode()


def _not_a_run(run: Path) -> str:
    if not run.exists():
        problem, inside = "does not exist", []
    else:
        problem = "holds no config.yaml"
        inside = sorted(path.parent for path in run.glob("*/config.yaml"))
    advice = f" Did you mean {inside[-1]}?" if inside else ""
    return (
        f"{run} is not a run folder: it {problem}. A run folder is what `ganvas train --out "
        "FOLDER` writes, with config.yaml, log.jsonl, samples/ and checkpoints/ in it." + advice
    )


def _history(path: Path, missing: list[str]) -> History:
    try:
        return History.read(path)
    except OSError:
        missing.append("log.jsonl is not there, so there are no curves and no times.")
    except RunError as error:
        missing.append(_printable(str(error)))
    return _NOTHING_LOGGED


def _data(path: Path, missing: list[str]) -> DataSummary | None:
    try:
        text = json.dumps(json.loads(path.read_bytes()), ensure_ascii=False)
        return DataSummary.model_validate_json(_printable(text))
    except OSError:
        missing.append("data.json is not there, so the page cannot say what the data was.")
    except (ValueError, RecursionError):
        missing.append("data.json cannot be read, so the page cannot say what the data was.")
    return None


def _title(config: str, missing: list[str]) -> Title:
    try:
        values = yaml.safe_load(config)
    except (yaml.YAMLError, RecursionError, ValueError):
        missing.append("config.yaml is not valid YAML.")
        values = None
    return Title(
        model=_setting(values, "name"),
        networks=_setting(values, "model", "networks"),
        source=PurePath(_setting(values, "data", "source")).name,
        seed=_setting(values, "training", "seed"),
        images=_setting(values, "training", "images"),
    )


def _setting(value: Any, *path: str) -> str:
    """One setting as text; a configuration of another version may not have it."""
    try:
        for name in path:
            value = value[name]
    except (KeyError, TypeError, IndexError):
        return ""
    if type(value) is int and abs(value) < 10**15:
        return f"{value:,}"
    return value[:200] if isinstance(value, str) else ""


def _state(history: History) -> tuple[str, str]:
    """One word for the run's state, and a sentence."""
    match history.end.reason if history.end else None:
        case "finished":
            return "finished", "The training ran to its end."
        case "interrupted":
            return "interrupted", "It was stopped from outside and can be resumed."
        case "stopped":
            return "stopped", "It stopped itself because of an error; the console named the cause."
        case None if history.images or history.start:
            return "not ended", "It is still running, or it was killed and can be resumed."
        case None:
            return "not begun", "Nothing has been logged."


def _size(shape: Sequence[int]) -> str:
    """A shape in words."""
    if len(shape) != 3:
        return " × ".join(map(str, shape))
    channels, height, width = shape
    kind = {1: "grey", 3: "RGB", 4: "RGBA"}.get(channels, f"{channels} channels")
    return f"{height} × {width}, {kind}"


def _modified(path: Path) -> str:
    """When a file was last written, in UTC; empty if there is none."""
    if not path.exists():
        return ""
    return datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC).isoformat()


def _sheets(
    run: Path, samples: list[Samples], missing: list[str]
) -> tuple[Sheet | None, list[Sheet]]:
    """The newest sheet, large, and up to eight smaller ones spread evenly over time."""
    samples = samples or _unlogged(run / "samples")
    if not samples:
        missing.append("There are no sample sheets in samples/.")
    headline, strip, bad = None, [], []
    ordered = sorted(samples, key=lambda sample: sample.images)
    for sample in _evenly(ordered, _SHEETS):
        image = _open(run, sample.path)
        if image is None:
            bad.append(sample.path[:80])
            continue
        strip.append(Sheet(sample.images, data_uri(image, *_THUMBNAIL)))
        headline = sample.images, image
    if bad:
        missing.append(f"Sample sheets that are missing or cannot be read: {', '.join(bad)}.")
    if headline is None:
        return None, []
    images, image = headline
    return Sheet(images, data_uri(image, *_HEADLINE)), strip


def _unlogged(folder: Path) -> list[Samples]:
    """Sheets of a run without a log: their names say how many images had been shown."""
    paths = [path for path in folder.glob("*.png") if re.fullmatch("[0-9]{1,15}", path.stem)]
    return [Samples(images=int(p.stem), path=f"{folder.name}/{p.name}") for p in paths]


def _evenly(samples: Sequence[Samples], count: int) -> list[Samples]:
    """At most `count` of them at even distances in images shown, with the first and the last."""
    if len(samples) <= count:
        return list(samples)
    first, last = samples[0].images, samples[-1].images
    wanted = [first + (last - first) * i / (count - 1) for i in range(count - 1)]
    nearest = {
        min(range(len(samples)), key=lambda i: abs(samples[i].images - place)) for place in wanted
    }
    return [samples[index] for index in sorted(nearest | {len(samples) - 1})]


def _open(run: Path, name: str) -> Image.Image | None:
    """A sheet within the run folder, in a mode fit for a page; None if there is no such one."""
    try:
        path = (run / name).resolve()
        if not path.is_relative_to(run.resolve()):
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=["PNG"]) as image:
                image.load()
                return image if image.mode in {"L", "RGB", "RGBA"} else image.convert("RGB")
    except (OSError, ValueError, SyntaxError, *_BOMBS):
        return None


def _loss_charts(progress: list[Progress]) -> list[Chart]:
    """One chart for each phase, whose name stands before the slash."""
    names = list(dict.fromkeys(name for record in progress for name in record.losses))
    phases = dict.fromkeys(name.partition("/")[0] for name in names)
    charts = []
    for phase in phases:
        series = {
            name.partition("/")[2] or name: [record.losses.get(name) for record in progress]
            for name in names
            if name.partition("/")[0] == phase
        }
        charts.append(curves.chart(phase, _images(progress), series))
    return [chart for chart in charts if chart is not None]


def _norm_chart(progress: list[Progress]) -> Chart | None:
    names = dict.fromkeys(name for record in progress for name in record.gradient_norms)
    series = {name: [record.gradient_norms.get(name) for record in progress] for name in names}
    return curves.chart("gradient norms", _images(progress), series)


def _score_charts(scores: list[ScoreRecord]) -> list[Chart]:
    """One chart for each kind of score; more than one where the configuration was changed."""
    charts = []
    for name in dict.fromkeys(score.name for score in scores):
        of_name = [score for score in scores if score.name == name]
        places = [float(score.images) for score in of_name]
        series = {"score": (places, [score.value for score in of_name])}
        charts.append(curves.lines(_printable(name[:_LONGEST_NAME]), "images shown", series))
    return [chart for chart in charts if chart is not None]


def _best(run: Path, scores: list[ScoreRecord]) -> Best | None:
    """The best of the newest kind of score; of equal ones the first, as while training."""
    newest = [score for score in scores if score.name == scores[-1].name]
    measured = [(score.value, score.images) for score in newest if score.value is not None]
    if not measured:
        return None
    value, images = min(measured)
    kept = read_best(run / "checkpoints")
    return Best(curves.compact(value), images, kept is not None and kept.images == images)


def _unscored(scores: list[ScoreRecord]) -> str:
    """How many scores are missing, and why the last of them; empty where none is."""
    missing = [score for score in scores if score.value is None]
    if not missing:
        return ""
    reason = _printable((missing[-1].note or "The log does not say why.")[:_LONGEST_NOTE])
    return f"{len(missing):,} of {len(scores):,} scores could not be measured. {reason}"


def _speed_chart(progress: list[Progress]) -> Chart | None:
    speeds = [record.images_per_second for record in progress]
    series = {"images per second": speeds}
    return curves.chart("speed", _images(progress), series, from_zero=True)


def _median_speed(progress: list[Progress]) -> float | None:
    speeds = [r.images_per_second for r in progress if r.images_per_second is not None]
    return median(speeds) if speeds else None


def _images(progress: list[Progress]) -> list[int]:
    return [record.images for record in progress]
