"""Whether pictures show what was asked for: the class, or what a caption names.

Of avatars all attributes are known, and which of them a caption names. A classifier reads them off
what a model draws for the captions of faces that it never saw. An attribute counts on those faces
whose caption names it: a caption that says nothing of glasses asks for none, which is counted on
its own, so that drawing glasses on everybody, or on nobody, does not pay.

The classifier errs, too. So beside each score stands what it reads off the real pictures.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data.builtin.avatars import ATTRIBUTES, draw_attributes
from ganvas.data.config import DataConfig
from ganvas.evaluation.definitions import make_score
from ganvas.evaluation.estimate import Estimate, proportion
from ganvas.evaluation.features.known import visible
from ganvas.evaluation.protocol import Score
from ganvas.models.base import Model, Reads

Truth = Mapping[str, NDArray[Any]]
"""Every attribute of N faces by its name, as `draw_attributes` gives them."""

Told = Mapping[str, Tensor]
"""The same as a classifier tells them."""

_NAMED = ("hair_style", "hair_colour", "expression", "glasses", "beard", "hat", "hat_colour",
          "earrings", "shirt_colour", "background")  # fmt: skip
"""What captions of avatars name (`ganvas.data.builtin.avatar_captions`): not skin, eyes and pose,
which are left to the model."""

_BY_NAME = {attribute.name: attribute for attribute in ATTRIBUTES}
_LEFT_OUT = tuple(name for name in _NAMED if "none" in _BY_NAME[name].values)
"""What a caption does not mention where there is none of it."""


def words_for(model: Model, captions: Sequence[str]) -> Tensor:
    """The numbers of the words of captions, (N, L) int64 on the model's device.

    Words that the model, one that `reads_captions`, never read count as one unknown word.
    """
    assert isinstance(model, Reads)
    return model.tokenise(captions, lenient=True).to(model.device)


def faces_of(config: DataConfig, rows: NDArray[np.int64]) -> Truth | None:
    """The truth about rows of a pack, or about what is drawn after its last; None but of avatars.

    Args:
        config: What the pack was made with.
        rows: int64 (N,).
    """
    is_avatars = config.source.partition(":")[0] == "avatars"
    return draw_attributes(rows) if is_avatars else None


def named(truth: Truth) -> dict[str, Tensor]:
    """On which of N faces the caption names an attribute that shows: bool (N,) by attribute.

    The hair of the bald, whose colour their beard may still tell, is not counted.
    """
    codes = _tensors(truth)
    asked = {name: visible(name, codes) for name in _NAMED}
    return {name: shown & _mentioned(name, codes) for name, shown in asked.items()}


def caption_scores(truth: Truth, told: Told, real: Told) -> list[Score]:
    """The share of faces that show what their captions ask for.

    Args:
        truth: Of the faces whose captions were asked for, (N,) each, N >= 1.
        told: What a classifier reads off the pictures drawn for them, (N,) each.
        real: What it reads off the faces themselves, (N,) each: the floor.

    Returns:
        `asked_all`, the share of faces with everything that their caption names; one score for
        each attribute, such as `asked_glasses`, over the faces whose caption names it; and
        `asked_nothing_else`, the share of faces without what their caption does not mention.
    """
    codes, asked = _tensors(truth), named(truth)
    right, best = (
        {name: values[name] == codes[name] for name in _NAMED} for values in (told, real)
    )
    n = len(codes["skin"])
    every, every_best = (
        torch.stack([hits[name] | ~asked[name] for name in _NAMED]).all(0) for hits in (right, best)
    )
    scores = [_share("asked_all", every, every_best, f"over {n:,} captions")]
    for name in _NAMED:
        faces = asked[name]
        if faces.any():
            over = f"over {int(faces.sum()):,} of {n:,} captions, those that name it"
            scores.append(_share(f"asked_{name}", right[name][faces], best[name][faces], over))
    without, without_best = (
        torch.stack([hits[name] | _mentioned(name, codes) for name in _LEFT_OUT]).all(0)
        for hits in (right, best)
    )
    return [*scores, _share("asked_nothing_else", without, without_best, f"over {n:,} captions")]


def class_scores(
    asked: Tensor, told: Tensor, asked_real: Tensor, told_real: Tensor, classes: Sequence[str]
) -> list[Score]:
    """The share of pictures that a classifier takes for the class that was asked for.

    Args:
        asked: Of the pictures drawn, the class (N,) int64.
        told: What a classifier takes them for, (N,) int64.
        asked_real: Of real pictures, the class (M,) int64.
        told_real: What it takes these for, (M,) int64: the floor.
        classes: Their names.

    Returns:
        `asked_class`, and `asked_class_worst`, that of the class that is drawn worst.
    """
    right, best = asked == told, asked_real == told_real
    scores = [_share("asked_class", right, best, f"over {len(asked):,} pictures")]
    shares = {c: right[asked == c].double().mean().item() for c in asked.unique().tolist()}
    worst = min(shares, key=shares.__getitem__)
    of_worst = asked_real == worst
    score = _share(
        "asked_class_worst", right[asked == worst], best[of_worst],
        f"over the {int((asked == worst).sum()):,} pictures of the class {classes[worst]}",
    )  # fmt: skip
    return [*scores, score.model_copy(update={"label": f"{score.label} ({classes[worst]})"})]


def _share(name: str, right: Tensor, best: Tensor, over: str) -> Score:
    """The share that is right, beside that of real pictures."""
    found = proportion(int(right.sum()), len(right)) if len(right) else Estimate(float("nan"))
    floor = best.double().mean().item() if len(best) else None
    score = make_score(name, found, floor)
    return score.model_copy(update={"about": score.about.replace("OVER", over)})


def _mentioned(name: str, codes: Told) -> Tensor:
    """Whether a face has any of it: a caption does not mention glasses that nobody wears."""
    values = _BY_NAME[name].values
    if "none" not in values:
        return torch.ones_like(codes[name], dtype=torch.bool)
    return codes[name] != values.index("none")


def _tensors(values: Truth) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.asarray(array)) for name, array in values.items()}
