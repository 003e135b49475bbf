"""Translations of avatars against the known truth: what changed as asked, and what was kept.

Of every input face all attributes are known; a classifier, trained on avatars of every kind, reads
those of the output off. Between two kinds of faces ("none" and "round" glasses) one attribute
should change and all others stay. From a line drawing or a segmentation map to a picture all stay
that the input shows: the colours it does not show are the model's to choose.

The classifier errs, too. So beside each score stands what it reads off ideal translations, which
can be drawn since the truth is known.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data.builtin.avatar_layers import PALETTE
from ganvas.data.builtin.avatars import ATTRIBUTES, render
from ganvas.data.config import DataConfig
from ganvas.data.domains import VIEWS
from ganvas.data.generated import AVATAR_CLASSES, DEFAULT_COUNT
from ganvas.data.packing import change_channels
from ganvas.evaluation.definitions import PATHS
from ganvas.evaluation.estimate import Estimate, Z, proportion
from ganvas.evaluation.evaluate import BATCH, as_tensor
from ganvas.evaluation.features.classifier import ClassifierFeatures
from ganvas.evaluation.features.known import visible
from ganvas.evaluation.protocol import Score
from ganvas.models.translation import Direction

Truth = Mapping[str, NDArray[Any]]
"""Every attribute of N faces by its name, as `draw_attributes` gives them."""

Told = Mapping[str, Tensor]
"""The same as a classifier tells them."""

FACES = DEFAULT_COUNT
"""Avatars that the classifier learns from, whatever the model was trained on."""

_DISCRETE = {a.name: a for a in ATTRIBUTES if a.kind == "discrete"}


@dataclass(frozen=True)
class Wish:
    """What a direction should do to avatars."""

    kept: tuple[str, ...]
    """Names of the discrete attributes that should stay."""
    changed: tuple[str, str] | None
    """Name and new value of the one that should change, if one should."""

    def ideal(self, truth: Truth) -> dict[str, NDArray[Any]]:
        """What the attributes should be after the translation."""
        if self.changed is None:
            return dict(truth)
        name, value = self.changed
        code = _DISCRETE[name].values.index(value)
        return {**truth, name: np.full_like(truth[name], code)}


def find_wish(config: DataConfig, direction: Direction) -> Wish | None:
    """What a direction should do; None where that is not known or cannot be read off its output.

    Args:
        config: Of the data that the model was trained on.
        direction: "AB" leads from the first of `config.domains` to the second.
    """
    base, _, attribute = config.source.partition(":")
    if base != "avatars" or config.domains is None:
        return None
    before, after = config.domains if direction == "AB" else config.domains[::-1]
    if before not in VIEWS:
        attribute = attribute or AVATAR_CLASSES
        kept = tuple(name for name in _DISCRETE if name != attribute)
        return Wish(kept, (attribute, after))
    if after != "image":
        return None
    return Wish(tuple(name for name in _DISCRETE if name not in PALETTE), None)


def reader_data(shape: tuple[int, ...]) -> DataConfig:
    """The avatars, of every kind, that a classifier of pictures (C, H, W) is trained on."""
    channels, height, width = shape
    return DataConfig.parse(
        {
            "source": "avatars",
            "images": FACES,
            "resolution": (height, width),
            "channels": channels,
        }
    )


def read_ideal(
    wish: Wish,
    truth: Truth,
    shape: tuple[int, ...],
    reader: ClassifierFeatures,
) -> dict[str, Tensor]:
    """What the classifier reads off perfect translations of shape (C, H, W)."""
    ideal = wish.ideal(truth)
    channels, height, width = shape
    told: list[dict[str, Tensor]] = []
    for start in range(0, len(ideal["skin"]), BATCH):
        part = {name: values[start : start + BATCH] for name, values in ideal.items()}
        images = change_channels(render(part, (height, width)), channels)
        told.append(reader.attributes(as_tensor(images)))
    return {name: torch.cat([some[name] for some in told]) for name in told[0]}


def attribute_scores(
    direction: Direction, wish: Wish, truth: Truth, told: Told, ideal: Told
) -> list[Score]:
    """The share of faces that have what they should, each beside what is read off ideal ones.

    Args:
        direction: For the names of the scores.
        wish: What it should do.
        truth: Of the inputs, (N,) each.
        told: What the classifier reads off their translations.
        ideal: What it reads off ideal ones, see `read_ideal`.

    Returns:
        `changed`, where something should change; then `kept`, the mean over the attributes that
        should stay, `kept_all`, the share of faces with all of these, `kept_worst`, and one for
        each of them. An attribute counts on the faces that show it before and after.
    """
    before, after = _tensors(truth), _tensors(wish.ideal(truth))
    seen = {name: visible(name, before) & visible(name, after) for name in wish.kept}
    seen = {name: shown for name, shown in seen.items() if shown.any()}
    right, best = (
        {name: (values[name] == after[name]) & shown for name, shown in seen.items()}
        for values in (told, ideal)
    )
    scores = _changed(direction, wish, after, told, ideal)
    if not seen:
        return scores
    shares, floors = (
        {name: proportion(int(hits[name].sum()), int(seen[name].sum())) for name in seen}
        for hits in (right, best)
    )
    worst = min(shares, key=lambda name: shares[name].value)
    number = f"{len(seen)} attributes such as {_words(next(iter(seen)))}"
    about = "as a classifier reads it off; the floor is what it reads off ideal translations"
    everything = (_all(right, seen), _all(best, seen))
    return [
        *scores,
        _score(
            "kept", direction, "Attributes kept",
            f"Share of faces whose attribute is still what it was, {about}; mean over {number}.",
            _mean(right, seen), _mean(best, seen).value,
        ),
        _score(
            "kept_all", direction, "All kept",
            f"Share of faces that have kept every one of {number}, {about}.",
            everything[0], everything[1].value,
        ),
        _score(
            "kept_worst", direction, f"Kept, worst ({_words(worst)})",
            f"Share of faces that have kept their {_words(worst)}, the least kept, {about}.",
            shares[worst], floors[worst].value,
        ),
        *(
            _score(
                f"kept_{name}", direction, f"Kept: {_words(name)}",
                f"Share of faces that have kept their {_words(name)}, {about}.",
                share, floors[name].value,
            )
            for name, share in shares.items()
        ),
    ]  # fmt: skip


def _changed(direction: Direction, wish: Wish, after: Told, told: Told, ideal: Told) -> list[Score]:
    """Whether what should change did, on the faces that show it."""
    if wish.changed is None:
        return []
    name, value = wish.changed
    shown = visible(name, after)
    if not shown.any():
        return []
    share, floor = (
        proportion(int((values[name] == after[name])[shown].sum()), int(shown.sum()))
        for values in (told, ideal)
    )
    label = f"Changed to {value}"
    about = (
        f"Share of faces whose {_words(name)} is {value} after the translation, as a classifier "
        "reads it off; the floor is what it reads off ideal translations."
    )
    return [_score("changed", direction, label, about, share, floor.value)]


def _mean(right: Told, seen: Told) -> Estimate:
    """The mean of the attributes' shares, with the interval that the faces' spread gives it.

    An attribute's share is a ratio of two counts; to first order a face moves the mean of shares
    p by the sum over its visible attributes of (right - p) / (number that show it).
    """
    n = len(next(iter(seen.values())))
    total, moved = 0.0, torch.zeros(n, dtype=torch.float64)
    for name, shown in seen.items():
        share = (right[name].sum() / shown.sum()).double()
        moved += (right[name].double() - share) * shown * n / shown.sum()
        total += share.item()
    value = total / len(seen)
    if n < 2:
        return Estimate(value)
    half = Z * (moved / len(seen)).std().item() / math.sqrt(n)
    return Estimate(value, (max(0.0, value - half), min(1.0, value + half)))


def _all(right: Told, seen: Told) -> Estimate:
    """The share of faces on which every attribute that shows is right."""
    fine = torch.stack([right[name] | ~shown for name, shown in seen.items()]).all(0)
    return proportion(int(fine.sum()), len(fine))


def _tensors(values: Truth) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.asarray(array)) for name, array in values.items()}


def _words(name: str) -> str:
    return name.replace("_", " ")


def _score(
    name: str, direction: Direction, label: str, about: str, estimate: Estimate, floor: float
) -> Score:
    text, bracket, worst = label.partition(" (")
    return Score(
        name=f"{name}_{direction.lower()}",
        group="truth",
        label=f"{text}, {PATHS[direction]}{bracket}{worst}",
        about=about,
        value=estimate.value,
        interval=estimate.interval,
        floor=floor,
        better="higher",
        digits=3,
    )
