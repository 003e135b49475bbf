"""Evaluations as plain text for the terminal, the same through a pipe: no colours, no cuts."""

from collections.abc import Sequence

from rich.cells import cell_len

from ganvas.evaluation import ranking
from ganvas.evaluation.guidance import by_guidance
from ganvas.evaluation.protocol import TRANSLATED, Better, Evaluation, Protocol, Score
from ganvas.evaluation.ranking import Mark, Table

_BETTER: dict[Better, str] = {"lower": "lower", "higher": "higher", "floor": "like the floor"}
_ARROWS: dict[Better, str] = {"lower": "↓", "higher": "↑", "floor": "→"}
_SIGNS: dict[Mark, str] = {"best": " *", "level": " ≈", "": "  "}


def evaluation_table(evaluation: Evaluation) -> str:
    """Every score of an evaluation on a line of its own, with the protocol below.

    Returns:
        Lines without a final newline.
    """
    scores = evaluation.scores
    head = ["score", "value", "95% interval", "floor", "better"]
    rows = [head, *(_line(score) for score in scores)]
    if any(score.baseline is not None for score in scores):
        baselines = ("baseline", *(_optional(score.baseline, score) for score in scores))
        for row, text in zip(rows, baselines, strict=True):
            row.insert(4, text)
    lines = [*_aligned(rows, left={0, len(head) - 1}), "", *_protocol(evaluation.protocol)]
    return _joined([*lines, *(f"Note: {note}" for note in evaluation.notes)])


def guidance_table(evaluation: Evaluation) -> str:
    """What every strength of guidance does, side by side.

    Returns:
        Lines without a final newline.
    """
    return comparison_text(ranking.tables(by_guidance(evaluation)))


def comparison_text(tables: Sequence[Table]) -> str:
    """Evaluations side by side, one table for each protocol, with the protocols below.

    Args:
        tables: As `ganvas.evaluation.ranking.tables` makes them.

    Returns:
        Lines without a final newline.
    """
    lines: list[str] = []
    for table in tables:
        if table.differences:
            differences = "; ".join(
                f"{what} “{there}” there, “{here}” here" for what, there, here in table.differences
            )
            lines += [
                "",
                f"Not ranked against the first table, measured differently: {differences}.",
            ]
        lines += [*_side_by_side(table), "", *_protocol(table.protocol)]
    signs = {cell.mark for table in tables for row in table.rows for cell in row.cells}
    if "best" in signs:
        lines.append("* the best; its 95% interval, where known, lies apart from all others.")
    if "level" in signs:
        lines.append("≈ the best, and what cannot be told apart from it: their intervals overlap.")
    return _joined(lines)


def _line(score: Score) -> list[str]:
    return [
        score.label,
        "not finite" if score.value is None else ranking.number(score.value, score.digits),
        ranking.interval(score),
        _optional(score.floor, score),
        _BETTER[score.better],
    ]


def _optional(value: float | None, score: Score) -> str:
    return "" if value is None else ranking.number(value, score.digits)


def _side_by_side(table: Table) -> list[str]:
    """Scores down, runs across: a terminal is rarely wide enough for all scores."""
    head = ["", *(f"{row.name}  " for row in table.rows), "floor"]
    body = [
        [
            f"{column.label} {_ARROWS[column.better]}",
            *(row.cells[i].value + _SIGNS[row.cells[i].mark] for row in table.rows),
            table.floor[i],
        ]
        for i, column in enumerate(table.columns)
    ]
    lines = [head, *body]
    if any(table.baseline):
        for line, text in zip(lines, ("baseline", *table.baseline), strict=True):
            line.append(text)
    return _aligned(lines, left={0})


def _protocol(protocol: Protocol) -> list[str]:
    """How it was measured, in two lines."""
    size = " × ".join(map(str, protocol.shape))
    truncation = "" if protocol.truncation is None else f", truncation {protocol.truncation}"
    translated = protocol.draws == TRANSLATED
    origin = f"{'' if translated else 'latents '}from {protocol.draws}{truncation}"
    return [
        f"{'Translated' if translated else 'Drawn'}: {protocol.n_fake:,}, seed {protocol.seed}, "
        f"{origin}. Real: {protocol.n_real:,} of {protocol.real} ({protocol.split}, {size}, "
        f"{protocol.real_fingerprint[:12]}).",
        f"Features: {protocol.features} ({protocol.features_hash[:12]}), {protocol.preparation}.",
    ]


def _aligned(rows: Sequence[Sequence[str]], left: set[int]) -> list[str]:
    """Columns as wide as their widest text on the screen, those not in `left` set right."""
    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
            gap = " " * (width - cell_len(cell))
            cells.append(cell + gap if index in left else gap + cell)
        lines.append("  ".join(cells).rstrip())
    return lines


def _joined(lines: Sequence[str]) -> str:
    """The lines with `?` for control characters: a file must not steer the terminal."""
    return "\n".join(
        "".join(char if char.isprintable() else "?" for char in line) for line in lines
    )
