"""What a run that translates is measured against, and measuring it.

As with models that draw, the real pictures are observed once for any number of runs of their data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from ganvas.data.config import DataConfig
from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack, open_pack
from ganvas.errors import ConfigError
from ganvas.evaluation.evaluate import Advance
from ganvas.evaluation.features import build_features
from ganvas.evaluation.features.base import Features
from ganvas.evaluation.features.classifier import ClassifierFeatures, train_or_load_classifier
from ganvas.evaluation.protocol import TRANSLATED, Protocol, Score, Split
from ganvas.evaluation.translation import (
    OTHER_WAY,
    Goal,
    Sides,
    Translated,
    observe_goal,
    real_sides,
    translate,
    translation_scores,
)
from ganvas.evaluation.translation_truth import (
    attribute_scores,
    find_wish,
    read_ideal,
    reader_data,
)
from ganvas.models.translation import Direction, TranslationModel
from ganvas.pictures import grid, to_uint8

_SHEET = 12
"""Pictures of each domain on a sheet, at most."""

Readers = dict[Direction, ClassifierFeatures]
"""What tells the attributes of avatars, for each direction whose output shows them."""


@dataclass(frozen=True)
class Ground:
    """The real pictures of both domains, and what is known of them."""

    data: DataConfig
    fingerprint: str
    sides: Sides
    features: Features
    readers: Readers
    goals: dict[Direction, Goal]

    def protocol(self, model: TranslationModel, seed: int) -> Protocol:
        """How models are measured against it."""
        return Protocol(
            features=self.features.name,
            features_hash=self.features.identity,
            preparation=self.features.preparation,
            real=_named(self.data),
            real_fingerprint=self.fingerprint,
            split=self.sides.split,
            shape=model.target_shape,
            n_real=len(self.sides.b.pictures),
            n_fake=len(self.sides.a.pictures),
            seed=seed,
            draws=TRANSLATED,
        )


def choose_features(
    name: str,
    pack: Pack,
    data: DataConfig,
    directions: Sequence[Direction],
    device: torch.device,
    *,
    weights: Path | None = None,
    progress: bool = True,
    say: Callable[[str], None] | None = None,
) -> tuple[Features, Readers]:
    """The features to measure distances in, and what tells attributes.

    `auto` takes the classifier where every output is a picture of an avatar, else random features;
    attributes are told wherever they can be, with `auto` and `classifier` only, because to tell
    them a classifier has to be trained.

    Raises:
        ConfigError: No such features, or none that suit the data.
        DataError: As `build_features`.
    """
    readers: Readers = {}
    for direction in directions if name in ("auto", "classifier") else ():
        if find_wish(data, direction) is not None:
            config = reader_data(output_shape(pack, direction))
            faces = open_pack(config, progress=progress)
            readers[direction] = train_or_load_classifier(
                faces, config, device, progress=progress, say=say
            )
    alike = len({reader.identity for reader in readers.values()}) == 1
    if alike and len(readers) == len(directions) and weights is None:
        return readers[directions[0]], readers
    if name == "classifier":
        raise ConfigError(
            f"The features 'classifier' do not suit translations of {_named(data)}: they know "
            "avatars only, and need every output to be a picture of one. Leave out --features, or "
            "use random, inception or dinov2."
        )
    chosen = "random" if name == "auto" else name
    features = build_features(
        chosen, pack, data, device, weights=weights, progress=progress, say=say
    )
    return features, readers


def output_shape(pack: Pack, direction: Direction) -> tuple[int, ...]:
    """Of the pictures (C, H, W) that a direction leads to."""
    assert pack.target is not None
    return pack.target.shape if direction == "AB" else pack.shape


def make_ground(
    pack: Pack,
    data: DataConfig,
    directions: Sequence[Direction],
    features: Features,
    readers: Readers,
    split: Split,
    n: int,
    advance: Advance,
) -> Ground:
    """Observe the real pictures; at most n of each domain."""
    sides = real_sides(pack, data, split, n)
    goals = {way: observe_goal(sides, way, features, advance) for way in directions}
    return Ground(data, pack.fingerprint, sides, features, readers, goals)


def measure(
    model: TranslationModel, ground: Ground, seed: int, advance: Advance
) -> tuple[list[Score], float]:
    """All scores of a model, in all its directions, and the seconds that translating took."""
    scores: list[Score] = []
    seconds = 0.0
    for direction in model.directions:
        goal, reader = ground.goals[direction], ground.readers.get(direction)
        found = translate(
            model, direction, ground.sides, goal, ground.features, reader, seed, advance
        )
        back = ground.goals.get(OTHER_WAY[direction])
        scores += translation_scores(direction, goal, found, back)
        scores += _truth(model, ground, direction, found)
        seconds += found.seconds
    return scores, seconds


def translation_sheet(model: TranslationModel, sides: Sides, seed: int) -> Image.Image:
    """The model's preview of the first real pictures."""
    count = min(len(sides.a.pictures), len(sides.b.pictures), _SHEET)
    images, targets = (
        to_model_range(next(side.pictures.batches())[:count]).to(model.device)
        for side in (sides.a, sides.b)
    )
    shown = model.preview(images, None, seed, targets)
    return grid(to_uint8(shown), together=len(shown) // count)


def _truth(
    model: TranslationModel, ground: Ground, direction: Direction, found: Translated
) -> list[Score]:
    """What became of the attributes of avatars that were held out."""
    wish = find_wish(ground.data, direction)
    truth = ground.sides.of(direction)[0].attributes
    if wish is None or truth is None or direction not in ground.readers:
        return []
    shape = model.target_shape if direction == "AB" else model.shape
    ideal = read_ideal(wish, truth, shape, ground.readers[direction])
    return attribute_scores(direction, wish, truth, found.attributes, ideal)


def _named(data: DataConfig) -> str:
    """Both domains in words."""
    if data.domains is not None:
        return f"{data.source} ({' and '.join(data.domains)})"
    return data.source if data.target is None else f"{data.source} and {data.target}"
