"""How well arithmetic works: does the attribute come, and does the rest stay?"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ganvas.evaluation.features.known import visible
from ganvas.latent.arithmetic import EXAMPLES, Arithmetic, arithmetic
from ganvas.latent.attributes import Reader, satisfied
from ganvas.latent.hold import hold
from ganvas.latent.metric import metric_of
from ganvas.latent.space import Space
from ganvas.latent.survey import survey

_TRIED_SEED = 2_000_000
_CHOSEN_SEED = 3_000_000
_STRENGTHS = (0.5, 1.0, 1.5, 2.0, 2.5)
AIM = (0.80, 0.85)
"""What the issue of this tool asks for: the share that appears and the share that stays."""


@dataclass(frozen=True)
class ArithmeticScores:
    """What an edit does to pictures without the attribute.

    Attributes:
        appears: The share in which it is there afterwards.
        stays: The mean, over the other discrete attributes, of the share of pictures in which they
            are as before, of those where they show both times.
        by_attribute: That share for each.
        moved: Mean length of the moves, in spreads.
        strength: What the vector was multiplied by.
        n: How many pictures.
    """

    appears: float
    stays: float
    by_attribute: dict[str, float]
    moved: float
    strength: float
    n: int


def arithmetic_scores(
    space: Space,
    reader: Reader,
    words: str,
    n: int = 200,
    *,
    plain: bool = False,
    judge: Reader | None = None,
    examples: int = EXAMPLES,
    strength: float | None = None,
    advance: Callable[[int], None] = lambda n: None,
) -> ArithmeticScores:
    """Score a sum of words on n pictures that have not what it asks for.

    Args:
        space: z or w.
        reader: Tells what is in a picture, and leads what is not plain.
        words: The sum, such as "glasses".
        n: Pictures; they are of other seeds than those that the sum and the strength are from.
        plain: Only the vector, as the paper has it.
        judge: Reads the pictures for the score, where another than `reader` is to say.
        examples: Pictures averaged for each word.
        strength: What the vector is multiplied by (default: 1, and of plain vectors that at which
            both aims are nearest, on other seeds).
        advance: Called with the pictures that were just read or corrected by a step.
    """
    found = arithmetic(space, reader, words, examples=examples, advance=advance)
    chosen = strength if strength is not None else 1.0
    if plain and strength is None:
        chosen = _chosen_strength(space, reader, found, min(n, 100))
    points, labels = _without(space, reader, found, n, _TRIED_SEED)
    return _scores(space, reader, judge or reader, found, points, labels, chosen, plain, advance)


def _chosen_strength(space: Space, reader: Reader, found: Arithmetic, n: int) -> float:
    """The strength of a plain vector whose worse score is nearest to its aim."""
    points, labels = _without(space, reader, found, n, _CHOSEN_SEED)

    def worst(strength: float) -> float:
        scores = _scores(
            space, reader, reader, found, points, labels, strength, True, lambda n: None
        )
        return min(scores.appears / AIM[0], scores.stays / AIM[1])

    return max(_STRENGTHS, key=worst)


def _without(
    space: Space, reader: Reader, found: Arithmetic, n: int, seed: int
) -> tuple[Tensor, Tensor | None]:
    """n points, and labels, whose pictures have not what is asked for."""
    count = 2 * n
    while True:
        read = survey(space, reader, count, first=seed)
        rows = (~read.has(found.wanted)).nonzero()[:n, 0]
        if len(rows) == n or count >= 16 * n:
            return read.points[rows], None if read.labels is None else read.labels[rows]
        count *= 2


def _scores(
    space: Space,
    reader: Reader,
    judge: Reader,
    found: Arithmetic,
    points: Tensor,
    labels: Tensor | None,
    strength: float,
    plain: bool,
    advance: Callable[[int], None],
) -> ArithmeticScores:
    metric = metric_of(space)
    moves = (strength * found.move).expand(len(points), -1).clone()
    if not plain:
        moves = hold(space, metric, reader, points, moves, found.wanted, labels, advance=advance)
    before = judge.read(space.draw(points, labels))
    after = judge.read(space.draw(points + moves, labels))
    stays: dict[str, float] = {}
    for name in before:
        shown = visible(name, before) & visible(name, after)
        if name not in found.wanted and bool(shown.any()):
            stays[name] = float((before[name] == after[name])[shown].float().mean())
    return ArithmeticScores(
        appears=float(satisfied(found.wanted, after).float().mean()),
        stays=sum(stays.values()) / max(len(stays), 1),
        by_attribute=stays,
        moved=float(metric.lengths(moves).mean()),
        strength=strength,
        n=len(points),
    )
