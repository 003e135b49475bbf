"""Measure a model that translates pictures between two domains, on pictures held out from both.

Where every picture has a partner, outputs are compared with what they should be; and always their
distribution with that of the real pictures of their domain (Fréchet distance). A model that goes
both ways is measured both ways, and there and back. Beside a score stands what an answer would
score that takes no learning: the mean target picture, or the input as it is.
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data.config import DataConfig
from ganvas.data.held_out import (
    held_out_pairs,
    known_attributes,
    training_rows,
    training_target_rows,
)
from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack
from ganvas.errors import DataError
from ganvas.evaluation.definitions import translation_score
from ganvas.evaluation.estimate import Estimate, mean
from ganvas.evaluation.evaluate import (
    FEWEST,
    MOST_TRAINING,
    Advance,
    Real,
    as_tensor,
    shuffled,
)
from ganvas.evaluation.features.base import Features
from ganvas.evaluation.features.classifier import ClassifierFeatures
from ganvas.evaluation.frechet import frechet_distance
from ganvas.evaluation.pairwise import PAIRWISE, compare_pairs, l1, levels, mean_picture
from ganvas.evaluation.protocol import Score, Split
from ganvas.evaluation.sharpness import energy_ratio, high_frequency_energy
from ganvas.models.translation import Direction, TranslationModel
from ganvas.pictures import to_uint8

OTHER_WAY: dict[Direction, Direction] = {"AB": "BA", "BA": "AB"}

_FEATURES = "features"
_ENERGY = "energy"
_NOTHING_HELD_OUT = (
    "No pictures were held out from training, so the scores are of pictures that the model was "
    "trained on (data.held_out keeps some back)."
)


@dataclass(frozen=True)
class Side:
    """Real pictures of one domain."""

    pictures: Real
    """What is translated, or compared with."""
    others: Real
    """Of the training, for floors and baselines; empty where there are no others."""
    attributes: Mapping[str, NDArray[Any]] | None
    """The truth about `pictures`, (N,) each, where they are avatars that were held out."""


@dataclass(frozen=True)
class Sides:
    """Real pictures of both domains; where they are pairs, in the same order."""

    a: Side
    b: Side
    split: Split
    paired: bool
    notes: tuple[str, ...]

    def of(self, direction: Direction) -> tuple[Side, Side]:
        """The domain that a direction leads from, and the one that it leads to."""
        return (self.a, self.b) if direction == "AB" else (self.b, self.a)


@dataclass(frozen=True)
class Goal:
    """What is known of the real pictures that a direction leads to, for any number of models."""

    features: Tensor
    """(N, F)"""
    energies: Tensor
    """High-frequency energy of each (N,)."""
    floor: float | None
    """Fréchet distance of as many other real pictures, if there are so many."""
    baselines: Mapping[str, float]
    """By score: of always giving the mean picture, and of leaving the inputs as they are."""


@dataclass(frozen=True)
class Translated:
    """What is kept of N pictures that were translated."""

    features: Tensor
    """(N, F)"""
    energies: Tensor
    """High-frequency energy of each (N,)."""
    pairwise: Mapping[str, Tensor]
    """`PAIRWISE` of each output and its target, (N,) each; empty where there are no pairs."""
    cycle: Tensor | None
    """L1 between each input and what came back of it (N,)."""
    attributes: Mapping[str, Tensor]
    """Of avatars, as a classifier reads them off; empty where there is none."""
    seconds: float
    """That translating took; the way back is not counted."""


def real_sides(pack: Pack, config: DataConfig, split: Split, n: int) -> Sides:
    """At most n pictures of each domain, and others for floors and baselines.

    Args:
        pack: With its target.
        config: What was packed, and how much of it is held out.
        split: "test" for what is held out (where nothing is, training pictures serve, and a note
            says so), else "all".
        n: At most so many of each domain.

    Raises:
        DataError: There are too few pictures to measure anything.
    """
    assert pack.target is not None
    trained = [
        _order(pack, training_rows(pack, config)),
        _order(pack.target, training_target_rows(pack, config)),
    ]
    images = pack.images, pack.target.images
    if split == "test":
        examples = held_out_pairs(pack, config, "test", n)
        if min(len(e.indices) for e in examples) >= FEWEST:
            known = known_attributes(config, examples) or (None, None)
            a, b = (
                Side(
                    Real(e.images, np.arange(len(e.indices)), None),
                    Real(others, rows[:MOST_TRAINING], None),
                    attributes,
                )
                for e, others, rows, attributes in zip(
                    examples, images, trained, known, strict=True
                )
            )
            return Sides(a, b, "test", pack.paired, ())
    fewest = min(map(len, trained))
    if fewest < FEWEST:
        raise DataError(
            f"{config.source} has {fewest} pictures in one of the domains to compare with; at "
            f"least {FEWEST} are needed, and some hundred for scores that mean much."
        )
    a, b = (
        Side(Real(own, rows[:n], None), Real(own, rows[n:][:MOST_TRAINING], None), None)
        for own, rows in zip(images, trained, strict=True)
    )
    if split == "test":
        return Sides(a, b, "train", pack.paired, (_NOTHING_HELD_OUT,))
    return Sides(a, b, "all", pack.paired, ())


def observe_goal(sides: Sides, direction: Direction, features: Features, advance: Advance) -> Goal:
    """Observe the real pictures that a direction leads to, and what baselines score there."""
    source, target = sides.of(direction)
    vectors, energies = _look(target.pictures, features, advance)
    others = _first(target.others, len(vectors))
    floor = None
    if len(others) == len(vectors):
        floor = frechet_distance(vectors, _look(others, features, advance)[0])
    return Goal(
        vectors,
        energies,
        floor,
        {
            **_unchanged(source.pictures, target.pictures, vectors, features, advance),
            **_mean_picture(target, sides.paired, features, vectors, energies),
        },
    )


@torch.no_grad()
def translate(
    model: TranslationModel,
    direction: Direction,
    sides: Sides,
    goal: Goal,
    features: Features,
    reader: ClassifierFeatures | None,
    seed: int,
    advance: Advance,
) -> Translated:
    """Translate every picture of a domain, and observe what comes out.

    Args:
        model: On its device, in evaluation mode.
        direction: One of the model's.
        sides: The real pictures.
        goal: Of this direction.
        features: As for the goal.
        reader: Tells the attributes of what comes out, if anything does.
        seed: Of the first picture's noise; the next ones have seed + 1, ...
        advance: Told how many pictures are done.
    """
    source, target = (side.pictures for side in sides.of(direction))
    targets = target.batches() if sides.paired else None
    back = OTHER_WAY[direction] if OTHER_WAY[direction] in model.directions else None
    kept: dict[str, list[Tensor]] = defaultdict(list)
    attributes: list[dict[str, Tensor]] = []
    seconds, done = 0.0, 0
    for images in source.batches():
        began = time.perf_counter()
        output = _bytes(model.translate(to_model_range(images), direction, seed + done, 8))
        seconds += time.perf_counter() - began
        vectors = features.extract(output).features
        kept[_FEATURES].append(vectors)
        kept[_ENERGY].append(high_frequency_energy(output))
        if targets is not None:
            wanted = goal.features[done : done + len(images)]
            for name, values in compare_pairs(
                output, levels(next(targets)), vectors, wanted
            ).items():
                kept[name].append(values)
        if back is not None:
            returned = _bytes(model.translate(to_model_range(output), back, seed + done, 8))
            kept["cycle"].append(l1(returned, levels(images)))
        if reader is not None:
            attributes.append(reader.attributes(output))
        done += len(images)
        advance(len(images))
    found = {name: torch.cat(values) for name, values in kept.items()}
    return Translated(
        found[_FEATURES],
        found[_ENERGY],
        {name: found[name] for name in PAIRWISE if name in found},
        found.get("cycle"),
        {name: torch.cat([some[name] for some in attributes]) for name in attributes[0]}
        if attributes
        else {},
        seconds,
    )


def translation_scores(
    direction: Direction, goal: Goal, found: Translated, back: Goal | None
) -> list[Score]:
    """Every score of one direction that needs no known truth.

    Args:
        direction: Which.
        goal: What was to be reached.
        found: What was.
        back: The goal of the other direction, for the baseline of coming back; None where the
            model does not go there.
    """

    def score(name: str, estimate: Estimate, floor: float | None = None) -> Score:
        baseline = goal.baselines.get(name)
        return translation_score(name, direction, estimate, floor=floor, baseline=baseline)

    distance = frechet_distance(goal.features, found.features)
    scores = [
        *(score(name, mean(values)) for name, values in found.pairwise.items()),
        score("sharpness", energy_ratio(goal.energies, found.energies), floor=1.0),
        score("frechet_distance", Estimate(distance), floor=goal.floor),
    ]
    if found.cycle is not None:
        baseline = None if back is None else back.baselines.get("cycle_l1")
        cycle = translation_score("cycle_l1", direction, mean(found.cycle), baseline=baseline)
        scores.append(cycle)
    return scores


def _order(pack: Pack, rows: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Rows in an order that is the same for the two packs of pairs."""
    return shuffled(np.arange(len(pack)) if rows is None else rows)


def _look(pictures: Real, features: Features, advance: Advance) -> tuple[Tensor, Tensor]:
    """Features (N, F) and high-frequency energies (N,)."""
    vectors, energies = [], []
    for images in map(levels, pictures.batches()):
        vectors.append(features.extract(images).features)
        energies.append(high_frequency_energy(images))
        advance(len(images))
    return torch.cat(vectors), torch.cat(energies)


def _unchanged(
    source: Real, target: Real, vectors: Tensor, features: Features, advance: Advance
) -> dict[str, float]:
    """Fréchet distance of the inputs as they are; {} where they are of another shape."""
    if source.images.shape[1:] != target.images.shape[1:]:
        return {}
    return {"frechet_distance": frechet_distance(vectors, _look(source, features, advance)[0])}


def _mean_picture(
    side: Side, paired: bool, features: Features, vectors: Tensor, energies: Tensor
) -> dict[str, float]:
    """What the mean of the training pictures scores in place of each of a side's pictures."""
    answer = mean_picture((side.others if len(side.others) else side.pictures).batches())
    vector = features.extract(answer).features
    scores: dict[str, list[Tensor]] = defaultdict(list)
    done = 0
    for images in map(levels, side.pictures.batches()):
        same = answer.expand_as(images)
        scores["cycle_l1"].append(l1(same, images))
        if paired:
            wanted = vectors[done : done + len(images)]
            for name, values in compare_pairs(same, images, vector, wanted).items():
                scores[name].append(values)
        done += len(images)
    if paired:
        scores["sharpness"].append(high_frequency_energy(answer) / energies.mean())
    return {name: torch.cat(values).mean().item() for name, values in scores.items()}


def _bytes(images: Tensor) -> Tensor:
    """A model's output as uint8 (N, C, H, W), which is how it is saved."""
    return as_tensor(to_uint8(images))


def _first(pictures: Real, n: int) -> Real:
    return Real(pictures.images, pictures.rows[:n], None)
