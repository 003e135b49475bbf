"""Changing pictures by moving their points: by a sum of words, or along a direction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ganvas.data.progress import progress_bar
from ganvas.errors import ConfigError
from ganvas.latent.arithmetic import EXAMPLES, Arithmetic, arithmetic, parse
from ganvas.latent.attributes import Reader, satisfied
from ganvas.latent.directions import Direction
from ganvas.latent.hold import STEPS, hold, shifted
from ganvas.latent.metric import Metric, metric_of
from ganvas.latent.points import Points
from ganvas.latent.sheet import with_caption
from ganvas.latent.space import Space, SpaceName, default_space, open_space
from ganvas.models.base import LatentModel, class_labels
from ganvas.pictures import grid, to_uint8

SEEDS = tuple(range(6))
"""Of the pictures that are changed, unless others are asked for."""
STRENGTHS = tuple(range(-3, 4))
"""Of a direction, in spreads."""
_SATURATED = 0.2
"""Where pictures change at less than this share of their fastest rate, that is said."""


@dataclass(frozen=True, eq=False)
class Edit:
    """Pictures before and after; images are float32 in [-1, 1].

    Attributes:
        found: The sum; `found.figure()` shows how it was found.
        before: (N, C, H, W).
        after: (N, C, H, W).
        points: (N, *shape), where the pictures after are.
        moved: How far each was moved, in spreads: (N,).
        reached: Which have what was asked for, as the classifier sees them: bool (N,).
        notes: What a user should know, one line each.
    """

    found: Arithmetic
    before: Tensor
    after: Tensor
    points: Tensor
    moved: Tensor
    reached: Tensor
    notes: tuple[str, ...]

    def sheet(self) -> Image.Image:
        """Each picture before and, beside it, after."""
        both = torch.stack([self.before, self.after], 1).flatten(0, 1)
        return with_caption(grid(to_uint8(both), together=2), f"before | after: {self.found.name}")


@dataclass(frozen=True, eq=False)
class Strengths:
    """Pictures along a direction; images are float32 in [-1, 1].

    Attributes:
        images: (N, K, C, H, W), a row for each picture, a column for each strength.
        strengths: K, in spreads along the direction.
        notes: What a user should know, one line each.
    """

    images: Tensor
    strengths: tuple[float, ...]
    notes: tuple[str, ...]

    def sheet(self) -> Image.Image:
        """A row for each picture, a column for each strength."""
        pictures = to_uint8(self.images.flatten(0, 1))
        sheet = grid(pictures, columns=len(self.strengths))
        return with_caption(sheet, "strengths " + ", ".join(f"{s:g}" for s in self.strengths))


class Chosen(NamedTuple):
    """Pictures to change.

    Attributes:
        base: The space that moves are found in: z or w.
        space: Of the points: the same, or w+ for a base of w.
        points: (N, *shape of the space).
        labels: (N,), for a model with classes.
    """

    base: Space
    space: Space
    points: Tensor
    labels: Tensor | None


def choose_points(
    model: LatentModel,
    seeds: Sequence[int] | Points,
    labels: Sequence[int | str] = (),
    space: SpaceName | None = None,
) -> Chosen:
    """The points of seeds, or those that `invert` found, in the space that they are changed in.

    Args:
        model: What `ganvas.load` returns.
        seeds: As in `sample`, or points.
        labels: For a model with classes, classes in turn, where points have none of their own.
        space: z or w (default: w of a StyleGAN, else z).

    Raises:
        ConfigError: The model has no such space or classes, or the points are of a later space.
    """
    base = open_space(model, space or default_space(model))
    if not isinstance(seeds, Points):
        classes = class_labels(model, labels, len(seeds))
        return Chosen(base, base, base.points(seeds, classes), classes)
    classes = class_labels(model, seeds.labels or labels, len(seeds))
    if seeds.space == "w+" and base.name == "w":
        return Chosen(base, open_space(model, "w+"), seeds.values.to(model.device), classes)
    return Chosen(base, base, base.lift(seeds.values, seeds.space, classes), classes)


def edit(
    model: LatentModel,
    words: str,
    reader: Reader,
    seeds: Sequence[int] | Points = SEEDS,
    *,
    strength: float = 1.0,
    plain: bool = False,
    examples: int = EXAMPLES,
    labels: Sequence[int | str] = (),
    space: SpaceName | None = None,
) -> Edit:
    """Change pictures by a sum of words: `ganvas edit RUN --arithmetic WORDS`.

    Args:
        model: What `ganvas.load` returns.
        words: The sum, such as "glasses - none + beard".
        reader: Tells what is in a picture: `ganvas.open_reader(run)`.
        seeds: Of the pictures, as in `sample`; or points that `invert` found.
        strength: The sum is multiplied by it first.
        plain: Only add it, as Radford et al. 2015 do; else every picture is corrected so that it
            keeps what was not asked to change.
        examples: Pictures to average for each word.
        labels: For a model with classes, classes of the pictures, in turn.
        space: z or w (default: w of a StyleGAN, else z).

    Raises:
        ConfigError: A word is not known, or the model does not draw it; the model has no such space
            or classes, or no gradients to correct its pictures by.
    """
    parse(words, reader)  # what is wrong is said before anything slow happens
    base, where, points, classes = choose_points(model, seeds, labels, space)
    if not plain:
        where.check_gradients()
    with progress_bar("Reading pictures", 4 * examples) as advance:
        found = arithmetic(base, reader, words, examples=examples, advance=advance)
    with progress_bar("Correcting", len(points) * STEPS) as advance:
        return apply_arithmetic(
            where, reader, found, points, classes, strength=strength, plain=plain, advance=advance
        )


def edit_along(
    model: LatentModel,
    direction: Direction,
    seeds: Sequence[int] | Points = SEEDS,
    strengths: Sequence[float] = STRENGTHS,
    *,
    labels: Sequence[int | str] = (),
    space: SpaceName | None = None,
) -> Strengths:
    """Change pictures along a direction: `ganvas edit RUN --direction NAME`.

    Args:
        model: What `ganvas.load` returns.
        direction: Of `ganvas.directions`.
        seeds: Of the pictures, as in `sample`; or points that `invert` found.
        strengths: In spreads of the space along the direction.
        labels: For a model with classes, classes of the pictures, in turn.
        space: z or w (default: that of the direction).

    Raises:
        ConfigError: The model has no such classes, or the direction is of another space.
    """
    _, where, points, classes = choose_points(model, seeds, labels, space or direction.space)
    return along(where, direction, points, strengths, classes)


def apply_arithmetic(
    space: Space,
    reader: Reader,
    found: Arithmetic,
    points: Tensor,
    labels: Tensor | None = None,
    *,
    strength: float = 1.0,
    plain: bool = False,
    advance: Callable[[int], None] = lambda n: None,
) -> Edit:
    """Change pictures by a sum of words.

    Args:
        space: Of the points: that of the sum, or w+ for a sum in w.
        reader: Tells what is in a picture.
        found: The sum.
        points: (N, *shape).
        labels: (N,), for a model with classes.
        strength: The sum is multiplied by it first.
        plain: Only add it, as the paper does; else every point is corrected so that the picture
            keeps what was not asked to change (`ganvas.latent.hold`).
        advance: Called with the number of pictures after each step of that.
    """
    metric = metric_of(_base(space))
    moves = (strength * found.move).expand(len(points), -1).clone()
    if not plain:
        moves = hold(space, metric, reader, points, moves, found.wanted, labels, advance=advance)
    changed = shifted(points, moves)
    before, after = space.draw(points, labels), space.draw(changed, labels)
    reached = satisfied(found.wanted, reader.read(after))
    had = int(satisfied(found.wanted, reader.read(before)).sum())
    notes = [
        f"{int(reached.sum())} of {len(points)} have what was asked for, as the classifier sees "
        f"them ({had} before)."
    ]
    notes += _outside(metric, changed, "after it")
    return Edit(found, before, after, changed, metric.lengths(moves), reached, tuple(notes))


def along(
    space: Space,
    direction: Direction,
    points: Tensor,
    strengths: Sequence[float],
    labels: Tensor | None = None,
) -> Strengths:
    """Change pictures along a direction.

    Args:
        space: Of the points: that of the direction, or w+ for a direction in w.
        direction: Of the model.
        points: (N, *shape).
        strengths: In spreads of the space along the direction.
        labels: (N,), for a model with classes.

    Raises:
        ConfigError: No strengths, or the direction is of another space.
    """
    if not strengths:
        raise ConfigError("no strengths are given: e.g. --strength -3:3.")
    base = _base(space)
    if direction.space != base.name:
        raise ConfigError(
            f"the direction {direction.name} is of {direction.space}, and these points are of "
            f"{space.name}: give --space {direction.space}, or find one there: ganvas directions "
            f"RUN --find {direction.method} --space {base.name}."
        )
    metric = metric_of(base)
    vector = direction.vector.to(points)
    columns = [shifted(points, (s * vector).expand(len(points), -1)) for s in strengths]
    images = torch.stack([space.draw(column, labels) for column in columns], 1)
    notes = [
        note
        for strength, column in zip(strengths, columns, strict=True)
        for note in _outside(metric, column, f"at strength {strength:g}")
    ]
    return Strengths(images, tuple(strengths), (*notes, *_saturation(images, strengths)))


def _base(space: Space) -> Space:
    """Where moves are measured: w for points of w+."""
    return open_space(space.model, "w") if space.name == "w+" else space


def _outside(metric: Metric, points: Tensor, when: str) -> list[str]:
    """Say how many points lie where the model hardly ever drew."""
    flat = points if points.ndim == 2 else points.mean(1)
    beyond = int(metric.beyond(flat).sum())
    if not beyond:
        return []
    return [
        f"{beyond} of {len(points)} points lie {when} further out than any of "
        f"{len(metric.usual):,} that the model draws from: what they show is no longer sure."
    ]


def _saturation(images: Tensor, strengths: Sequence[float]) -> list[str]:
    """Say where pictures change far less with the strength than they do elsewhere."""
    rates = [
        float((images[:, i + 1] - images[:, i]).abs().mean()) / abs(end - start)
        for i, (start, end) in enumerate(pairwise(strengths))
        if end != start
    ]
    if not rates or max(rates) == 0:
        return ["nothing in the pictures changes with the strength."] if rates else []
    steps = [(start, end) for start, end in pairwise(strengths) if end != start]
    return [
        f"from strength {start:g} to {end:g} pixels change at {rate / max(rates):.0%} of the rate "
        "elsewhere: the direction is used up there."
        for (start, end), rate in zip(steps, rates, strict=True)
        if rate < _SATURATED * max(rates)
    ]
