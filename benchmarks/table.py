"""Markdown tables, and medians of alternating measurements."""

from collections.abc import Callable, Sequence
from statistics import median


def alternate(
    measures: dict[str, Callable[[], float]], rounds: int
) -> dict[str, tuple[float, float, float]]:
    """Measure all in turn, `rounds` times, so that drift of the machine meets all alike.

    Returns the median, the lowest and the highest of each.
    """
    results: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            results[name].append(measure())
    return {name: (median(values), min(values), max(values)) for name, values in results.items()}


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in (headings, *rows)) for i in range(len(headings))]
    for row in (headings, ["-" * width for width in widths], *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("| " + " | ".join(cells) + " |", flush=True)
