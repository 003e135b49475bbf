"""What is in the pictures of many seeds: where in the latent space each attribute is drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.latent.attributes import Reader, State, satisfied
from ganvas.latent.space import Space
from ganvas.models.base import class_labels

FIRST_SEED = 1_000_000
"""Nobody's pictures are of these seeds, so that what is found from them is tried on others."""

_BATCH = 64
_MOST = 4_096


@dataclass(frozen=True, eq=False)
class Survey:
    """Points whose pictures were read.

    Attributes:
        points: (N, D).
        codes: Of every discrete attribute, (N,) each.
        labels: (N,), for a model with classes.
    """

    points: Tensor
    codes: Mapping[str, Tensor]
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.points)

    def has(self, state: State) -> Tensor:
        """Whose pictures have it: bool (N,)."""
        return satisfied(state, self.codes)


def survey(
    space: Space,
    reader: Reader,
    n: int,
    *,
    first: int = FIRST_SEED,
    advance: Callable[[int], None] = lambda n: None,
) -> Survey:
    """Read the pictures of n seeds.

    Args:
        space: z or w.
        reader: Tells what is in a picture.
        n: How many.
        first: The first seed.
        advance: Called with the pictures that were just read.
    """
    labels = class_labels(space.model, None, n)
    points: list[Tensor] = []
    codes: list[dict[str, Tensor]] = []
    for start in range(0, n, _BATCH):
        seeds = range(first + start, first + min(start + _BATCH, n))
        chosen = None if labels is None else labels[start : start + _BATCH]
        points.append(space.points(seeds, chosen))
        codes.append(reader.read(space.draw(points[-1], chosen)))
        advance(len(seeds))
    joined = {name: torch.cat([part[name] for part in codes]) for name in codes[0]}
    return Survey(torch.cat(points), joined, labels)


def examples_of(
    space: Space,
    reader: Reader,
    asked: Sequence[tuple[str, State]],
    each: int,
    *,
    fewest: int = 3,
    advance: Callable[[int], None] = lambda n: None,
) -> Survey:
    """Read pictures until so many are found of each state, or 4,096 are read.

    Args:
        space: z or w.
        reader: Tells what is in a picture.
        asked: Names and states.
        each: How many of each are wanted.
        fewest: How many there must be.
        advance: Called with the pictures that were just read.

    Raises:
        ConfigError: The model draws fewer than `fewest` of one of them.
    """
    found = survey(space, reader, min(4 * each, _MOST), advance=advance)
    while len(found) < _MOST and min(int(found.has(state).sum()) for _, state in asked) < each:
        n = min(len(found), _MOST - len(found))
        more = survey(space, reader, n, first=FIRST_SEED + len(found), advance=advance)
        found = _joined(found, more)
    for name, state in asked:
        if (count := int(found.has(state).sum())) < fewest:
            raise ConfigError(
                f"this model does not draw {name!r}: of {len(found):,} of its pictures {count} "
                "have it, as the classifier sees them. Train it longer, or ask for something else."
            )
    return found


def _joined(first: Survey, second: Survey) -> Survey:
    codes = {name: torch.cat([first.codes[name], second.codes[name]]) for name in first.codes}
    labels = None
    if first.labels is not None and second.labels is not None:
        labels = torch.cat([first.labels, second.labels])
    return Survey(torch.cat([first.points, second.points]), codes, labels)
