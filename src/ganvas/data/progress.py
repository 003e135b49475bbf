"""A progress bar on standard error that appears only when the work turns out to be long."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

PATIENCE = 2.0
"""Seconds after which a bar is shown."""


@contextlib.contextmanager
def progress_bar(label: str, total: int, show: bool = True) -> Iterator[Callable[[float], None]]:
    """Give a function to call with the number of things just done, or with a part of one.

    Args:
        label: What is being done: "Packing".
        total: How many things there are.
        show: False never shows a bar; nor does anything but a terminal.
    """
    started = time.monotonic()
    shown = show and sys.stderr.isatty()  # a file would get escape codes and empty lines
    done = 0.0
    with contextlib.ExitStack() as stack:
        update: Callable[[float], None] | None = None

        def advance(count: float) -> None:
            nonlocal done, update
            done += count
            if update is None and shown and time.monotonic() - started > PATIENCE:
                update = stack.enter_context(_bar(label, total))
            if update is not None:
                update(done)

        yield advance


@contextlib.contextmanager
def _bar(label: str, total: int) -> Iterator[Callable[[float], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.update(task, completed=done)
