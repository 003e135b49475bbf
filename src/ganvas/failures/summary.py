"""The results of a case over its seeds: rows of a table, claims, curves, and a JSON file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from ganvas.evaluation import curves
from ganvas.evaluation.compare import Claim
from ganvas.evaluation.curves import Chart, compact
from ganvas.evaluation.protocol import Record
from ganvas.failures.cases import Case, Recipe
from ganvas.failures.results import Measure, Result

HEADS = ("Modes", "All covered", "Good samples", "KL to uniform", "G gradient", "Seconds")
"""The columns of the table."""


@dataclass(frozen=True)
class Row:
    """One recipe over all seeds, as text by the names of `HEADS`."""

    recipe: Recipe
    fails: bool
    """Whether it is the recipe that is to be mended."""
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """A case with everything that there is to say of it."""

    case: Case
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    gradients: Chart | None
    """Norm of the generator's gradient over images shown, the median over the seeds."""
    results: tuple[Result, ...]
    stopped: tuple[str, ...]
    """Which trainings had to stop, and why."""


class Findings(Record):
    """What `failures.json` holds."""

    format: int = 1
    version: str
    """Of ganvas."""
    claims: dict[str, list[dict[str, str | bool | None]]]
    """By case."""
    results: tuple[Result, ...]


def tell(case: Case, results: Sequence[Result]) -> Told:
    """Summarise the results of a case; those of other cases are left out."""
    mine = [result for result in results if result.case == case.name]
    by_recipe = {r.name: [x for x in mine if x.recipe == r.name] for r in case.recipes}
    return Told(
        case,
        tuple(
            Row(recipe, recipe in case.failing, _cells(by_recipe[recipe.name]))
            for recipe in case.recipes
            if by_recipe[recipe.name]
        ),
        tuple(claim.decide(by_recipe) for claim in case.claims),
        _gradients({recipe.label: by_recipe[recipe.name] for recipe in case.recipes}),
        tuple(mine),
        tuple(f"{r.recipe}, seed {r.seed}: {r.stopped}" for r in mine if r.stopped),
    )


def findings(told: Sequence[Told], version: str) -> Findings:
    """Everything in numbers, for a file."""
    return Findings(
        version=version,
        claims={
            part.case.name: [
                {"text": c.text, "holds": c.holds, "evidence": c.evidence} for c in part.claims
            ]
            for part in told
        },
        results=tuple(result for part in told for result in part.results),
    )


def table(told: Sequence[Told]) -> str:
    """All cases as plain text for the terminal."""
    lines: list[str] = []
    for part in told:
        lines += ["", part.case.title, *_aligned(part.rows), *map(_verdict, part.claims)]
        lines += [f"  stopped: {reason}" for reason in part.stopped]
    return "\n".join(lines[1:])


def _aligned(rows: Sequence[Row]) -> list[str]:
    cells = [("", *HEADS), *((row.recipe.label, *row.cells) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  " + "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in cells
    ]


def _verdict(claim: Claim) -> str:
    mark = {True: "holds", False: "does not hold", None: "open"}[claim.holds]
    return f"  {mark}: {claim.text} ({claim.evidence})"


def _cells(results: Sequence[Result]) -> tuple[str, ...]:
    total = max(result.total for result in results)
    covering = sum(result.covers_all and result.total > 0 for result in results)
    return (
        f"{_spread(results, 'modes', lambda v: f'{v:,.0f}')} of {total:,}",
        f"{covering} of {len(results)}",
        _spread(results, "good", lambda v: f"{v:.1%}"),
        _spread(results, "divergence", lambda v: f"{v:.2f}"),
        _spread(results, "gradient", compact),
        compact(median(result.seconds for result in results)),
    )


def _spread(results: Sequence[Result], measure: Measure, text: Callable[[float], str]) -> str:
    """The median over the seeds and the range, or a dash where nothing is known."""
    values = [v for v in (result.value(measure) for result in results) if v is not None]
    if not values:
        return "–"
    low, high = text(min(values)), text(max(values))
    return text(median(values)) + (f" ({low} to {high})" if low != high else "")


def _gradients(by_label: dict[str, list[Result]]) -> Chart | None:
    series = {label: _median_curve(results) for label, results in by_label.items() if any(results)}
    return curves.lines("Norm of the generator's gradient", "images shown", series)


def _median_curve(results: Sequence[Result]) -> tuple[list[float], list[float | None]]:
    """The median over the seeds at every line of the log that all have."""
    length = min(len(result.at) for result in results)
    known = [[np.nan if g is None else g for g in r.gradients[:length]] for r in results]
    return [float(at) for at in results[0].at[:length]], [
        float(value) for value in np.median(np.array(known).reshape(len(results), length), axis=0)
    ]
