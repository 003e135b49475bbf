"""The training's progress: a bar with an ETA on a terminal, a line now and then elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from ganvas.training.loop import Watcher

if TYPE_CHECKING:
    from rich.console import Console

_SECONDS_BETWEEN_LINES = 20.0


@contextlib.contextmanager
def training_progress(
    label: str, done: int, total: int, say: Callable[[str], None], show: bool
) -> Iterator[Watcher]:
    """Give the function that the loop calls after each line of its log."""
    from rich.console import Console

    console = Console(stderr=True)
    if not show:
        yield lambda images, losses, speed: None
    elif console.is_terminal:
        with _bar(label, done, total, console) as watch:
            yield watch
    else:
        yield _lines(total, say)


@contextlib.contextmanager
def _bar(label: str, done: int, total: int, console: "Console") -> Iterator[Watcher]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        TextColumn(label),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        Remaining(),
        TextColumn("{task.fields[status]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=total, completed=done, status="")

        def watch(images: int, losses: Mapping[str, float], speed: float) -> None:
            bar.update(task, completed=images, status=f"{speed:,.0f} images/s  {_brief(losses)}")

        yield watch


def _lines(total: int, say: Callable[[str], None]) -> Watcher:
    """A line every 20 seconds, for logs and notebooks, with the time left."""
    last = time.monotonic()

    def watch(images: int, losses: Mapping[str, float], speed: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _SECONDS_BETWEEN_LINES and images < total:
            return
        last = now
        left = max(0, total - images) / max(speed, 1e-9)
        say(
            f"{images:>9,} of {total:,} images  {speed:,.0f}/s  "
            f"{int(left // 60)}:{int(left % 60):02} left  {_brief(losses)}"
        )

    return watch


def _brief(losses: Mapping[str, float]) -> str:
    """The phases' totals only."""
    totals = {k.removesuffix("/total"): v for k, v in losses.items() if k.endswith("/total")}
    return "  ".join(f"{name} {value:,.3g}" for name, value in totals.items())
