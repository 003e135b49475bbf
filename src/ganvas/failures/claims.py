"""What is claimed of the runs of a case, decided by their numbers over all seeds.

As in `ganvas.evaluation.story`, a claim is computed, never written beside the numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ganvas.evaluation.compare import Claim
from ganvas.evaluation.curves import compact
from ganvas.failures.results import MEASURES, Measure, Result

ByRecipe = Mapping[str, Sequence[Result]]
"""The results of a case, one a seed, by the name of the recipe."""

Quorum = Literal["every", "most"]


@dataclass(frozen=True)
class Bound:
    """In every seed, or in more than half of them, a number reaches a bound or stays below it."""

    text: str
    recipe: str
    measure: Measure
    relation: Literal["at least", "below"]
    bound: float
    seeds: Quorum = "every"

    def decide(self, results: ByRecipe) -> Claim:
        """The claim with its evidence; open where a run is missing or could not be measured."""
        values = _values(results, self.recipe, self.measure)
        if values is None:
            return Claim(self.text, None, f"Not measured: {MEASURES[self.measure]}.")
        kept = sum((value >= self.bound) == (self.relation == "at least") for value in values)
        holds = kept == len(values) if self.seeds == "every" else 2 * kept > len(values)
        evidence = (
            f"{MEASURES[self.measure]}: {_listed(values)}; {self.relation} {compact(self.bound)} "
            f"in {kept} of {len(values)} seeds."
        )
        return Claim(self.text, holds, evidence)


@dataclass(frozen=True)
class Apart:
    """In every seed of one recipe a number is so many times smaller than in any of another."""

    text: str
    measure: Measure
    smaller: str
    larger: str
    factor: float = 1.0

    def decide(self, results: ByRecipe) -> Claim:
        """The claim with its evidence; open where the ranges over the seeds overlap."""
        low = _values(results, self.smaller, self.measure)
        high = _values(results, self.larger, self.measure)
        if low is None or high is None:
            return Claim(self.text, None, f"Not measured: {MEASURES[self.measure]}.")
        evidence = (
            f"{MEASURES[self.measure]}: {self.smaller} {_listed(low)}; "
            f"{self.larger} {_listed(high)}."
        )
        if self.factor * max(low) < min(high):
            return Claim(self.text, True, evidence)
        return Claim(self.text, False if self.factor * min(low) > max(high) else None, evidence)


def _values(results: ByRecipe, recipe: str, measure: Measure) -> list[float] | None:
    """The measure in every seed; None where there is none, or one is not known."""
    found = [result.value(measure) for result in results.get(recipe, ())]
    known = [value for value in found if value is not None]
    return known if known and len(known) == len(found) else None


def _listed(values: Sequence[float]) -> str:
    return ", ".join(map(compact, values))
