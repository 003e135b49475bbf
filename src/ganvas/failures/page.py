"""The page of the failures: one HTML file that opens from disk and loads nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ganvas._version import __version__
from ganvas.evaluation import page
from ganvas.failures.cases import Case
from ganvas.failures.summary import HEADS, Told
from ganvas.files import write_text
from ganvas.pictures import data_uri

_POINTS = (200, 12_000)  # longer side in pixels, bytes: twenty of them a case
_PICTURES = (420, 60_000)


@dataclass(frozen=True)
class Film:
    """What one recipe drew as its training went on."""

    label: str
    frames: tuple[tuple[int, str], ...]
    """Images shown, and the picture as a data URI."""


def write_page(told: Sequence[Told], runs: Path, out: Path) -> Path:
    """Write the page.

    Args:
        told: The cases, in the order to show them.
        runs: The folder of their runs, for pictures of the samples over time.
        out: The page's file.

    Raises:
        RunError: It cannot be written.
    """
    claims = [claim for part in told for claim in part.claims]
    text = page.render(
        "failures.html.j2",
        {"paragraphs": lambda text: [part for part in text.split("\n\n") if part.strip()]},
        told=told,
        films={part.case.name: films(part.case, runs) for part in told},
        commands={part.case.name: command(part.case) for part in told},
        claims=claims,
        heads=HEADS,
        seeds=max((result.seed + 1 for part in told for result in part.results), default=0),
        version=__version__,
    )
    write_text(out, text)
    return out


def films(case: Case, runs: Path) -> list[Film]:
    """The samples of every recipe's first seed over its training."""
    found = []
    for recipe in case.recipes:
        sheets = sorted((runs / case.name / recipe.name / "0" / "samples").glob("*.png"))
        frames = tuple((int(path.stem), _uri(path)) for path in sheets if path.stem.isdecimal())
        found.append(Film(recipe.label, frames))
    return [film for film in found if film.frames]


def command(case: Case) -> str:
    """How anyone can train the case's first recipe without this page."""
    settings = [*case.settings, *case.failing[0].settings, f"training.images={case.images}"]
    lines = [f"ganvas train {case.begins_as} --data {case.source}"]
    return " \\\n  ".join([*lines, *(f"--set {_quoted(setting)}" for setting in settings)])


def _quoted(setting: str) -> str:
    return f"'{setting}'" if " " in setting or "{" in setting else setting


def _uri(path: Path) -> str:
    with Image.open(path) as picture:
        is_scatter = picture.mode == "RGB" and picture.width == picture.height
        side, limit = _POINTS if is_scatter else _PICTURES
        return data_uri(picture.copy(), side, limit)
