"""Which of several evaluations is best, score by score, as far as that can be known.

Only evaluations of equal protocol are ranked against each other, and the best is only called so
where its 95% interval lies apart from all others': else those that it overlaps are level with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ganvas.evaluation.protocol import Better, Evaluation, Protocol, Score

Mark = Literal["best", "level", ""]
"""`level`: not distinguishable from the best, whose own mark it then is, too."""

GROUPS = {
    "generation": "Pictures drawn",
    "translation": "Pictures translated",
    "asked": "What was asked for",
    "truth": "Against the known truth",
    "reconstruction": "Reconstructions",
    "likelihood": "Likelihood",
    "latent": "Latent space",
    "price": "Price",
}
"""The groups of scores in the order in which they are shown, with their titles."""

_FIELDS = {
    "features_hash": "weights of the features",
    "preparation": "preparation of pictures",
    "real": "real pictures",
    "real_fingerprint": "fingerprint of the real pictures",
    "split": "part of them",
    "shape": "size",
    "n_real": "number of real pictures",
    "n_fake": "number of generated pictures",
    "seed": "first seed",
    "draws": "latents from",
}


@dataclass(frozen=True)
class Column:
    """What is told of a score once for all evaluations."""

    name: str
    label: str
    about: str
    better: Better
    group: str


@dataclass(frozen=True)
class Cell:
    """One number as text; "" where there is none."""

    value: str = ""
    interval: str = ""
    mark: Mark = ""


@dataclass(frozen=True)
class Row:
    """One evaluation's numbers, in the order of the columns."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Evaluations that may be ranked against each other."""

    protocol: Protocol
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    floor: tuple[str, ...]
    """Of every column, what real pictures score against other real ones; "" where unknown."""
    baseline: tuple[str, ...]
    """Of every column, what an answer scores that took no learning; "" where there is none."""
    differences: tuple[tuple[str, str, str], ...] = ()
    """Where the protocol differs from the first table's: what, there, here."""

    def blocks(self) -> list[tuple[str, "Table"]]:
        """The table cut by groups of scores, each with its title, for pages narrower than all."""
        blocks = []
        for group, title in GROUPS.items():
            kept = [i for i, column in enumerate(self.columns) if column.group == group]
            if kept:
                part = replace(
                    self,
                    columns=tuple(self.columns[i] for i in kept),
                    rows=tuple(
                        Row(row.name, tuple(row.cells[i] for i in kept))
                        for row in self.rows
                        if any(row.cells[i].value for i in kept)
                    ),
                    floor=tuple(self.floor[i] for i in kept),
                    baseline=tuple(self.baseline[i] for i in kept),
                )
                blocks.append((title, part))
        return blocks


def tables(evaluations: Mapping[str, Evaluation]) -> list[Table]:
    """The evaluations in tables of equal protocol, the largest first.

    Args:
        evaluations: By the name to show.
    """
    groups: dict[Protocol, dict[str, Evaluation]] = {}
    for name, evaluation in evaluations.items():
        groups.setdefault(evaluation.protocol, {})[name] = evaluation
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    made = [_table(protocol, members) for protocol, members in ordered]
    return [
        replace(table, differences=_differences(made[0].protocol, table.protocol)) for table in made
    ]


def marks(scores: Sequence[Score | None]) -> list[Mark]:
    """The marks of one score's values under one protocol; None where it was not measured."""
    costs = [None if score is None else _cost(score) for score in scores]
    known = [cost for cost in costs if cost is not None]
    if len(known) < 2:
        return ["" for _ in scores]
    best = min(known)
    level = [cost is not None and (cost is best or cost[1] <= best[2]) for cost in costs]
    mark: Mark = "best" if sum(level) == 1 else "level"
    return [mark if is_level else "" for is_level in level]


def number(value: float, digits: int) -> str:
    """A score's number as text, with a proper minus sign."""
    text = f"{value:,.{digits}f}" if abs(value) < 1e9 else f"{value:.3e}"
    return text.replace("-", "\N{MINUS SIGN}")


def interval(score: Score) -> str:
    """The 95% interval as text; "" where it is not known."""
    if score.interval is None:
        return ""
    low, high = (number(end, score.digits) for end in score.interval)
    return f"{low} to {high}" if "\N{MINUS SIGN}" in low + high else f"{low}–{high}"


def protocol_in_words(protocol: Protocol) -> dict[str, str]:
    """Every field of a protocol as text, by its name in words; hashes are cut to 12 digits."""
    return {
        _field(name): _in_words(name, getattr(protocol, name)) for name in Protocol.model_fields
    }


def _cost(score: Score) -> tuple[float, float, float] | None:
    """What is to be small, with its interval; None where nothing says which values are good."""
    if score.value is None:
        return None
    low, high = score.interval or (score.value, score.value)
    match score.better:
        case "lower":
            return score.value, low, high
        case "higher":
            return -score.value, -high, -low
        case "floor":
            if score.floor is None:
                return None
            ends = abs(low - score.floor), abs(high - score.floor)
            nearest = 0.0 if low <= score.floor <= high else min(ends)
            return abs(score.value - score.floor), nearest, max(ends)


def _table(protocol: Protocol, evaluations: Mapping[str, Evaluation]) -> Table:
    columns = _columns(evaluations)
    by_column = [[e.score(column.name) for e in evaluations.values()] for column in columns]
    marked = [marks(scores) for scores in by_column]
    return Table(
        protocol,
        columns,
        tuple(
            Row(
                name,
                tuple(
                    _cell(scores[i], column[i])
                    for scores, column in zip(by_column, marked, strict=True)
                ),
            )
            for i, name in enumerate(evaluations)
        ),
        tuple(_shared([(s.floor, s.digits) for s in scores if s]) for scores in by_column),
        tuple(_shared([(s.baseline, s.digits) for s in scores if s]) for scores in by_column),
    )


def _columns(evaluations: Mapping[str, Evaluation]) -> tuple[Column, ...]:
    """One for each name of a score, by group, then as first met."""
    found: dict[str, Column] = {}
    for evaluation in evaluations.values():
        for s in evaluation.scores:
            column = Column(s.name, s.label, s.about, s.better, s.group)
            if found.setdefault(s.name, column).label != s.label:  # "worst (tilt)", "worst (turn)"
                found[s.name] = replace(column, label=s.label.partition(" (")[0])
    return tuple(sorted(found.values(), key=lambda column: list(GROUPS).index(column.group)))


def _cell(score: Score | None, mark: Mark) -> Cell:
    if score is None:
        return Cell()
    if score.value is None:
        return Cell("not finite")
    return Cell(number(score.value, score.digits), interval(score), mark)


def _shared(values: Sequence[tuple[float | None, int]]) -> str:
    """The floor, or baseline, of scores with their digits; a range where it differs."""
    known = sorted((value, digits) for value, digits in values if value is not None)
    return " to ".join(dict.fromkeys(number(*value) for value in known[:1] + known[-1:]))


def _differences(first: Protocol, other: Protocol) -> tuple[tuple[str, str, str], ...]:
    there, here = protocol_in_words(first), protocol_in_words(other)
    fields = [_field(name) for name in first.differences(other)]
    return tuple((field, there[field], here[field]) for field in fields)


def _field(name: str) -> str:
    return _FIELDS.get(name, name.replace("_", " "))


def _in_words(name: str, value: object) -> str:
    match value:
        case None:
            return "none"
        case tuple():
            return " × ".join(map(str, value))
        case int():
            return f"{value:,}"
    text = str(value)
    return text[:12] if name in {"features_hash", "real_fingerprint"} else text
