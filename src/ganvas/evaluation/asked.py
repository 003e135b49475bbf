"""Whether what a conditional model drew for an evaluation is what it was asked for."""

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas.evaluation.classes import class_numbers
from ganvas.evaluation.evaluate import Observed, Reference
from ganvas.evaluation.features.classifier import ClassifierFeatures
from ganvas.evaluation.prompting import caption_scores, class_scores
from ganvas.evaluation.protocol import Score
from ganvas.models.base import LatentModel
from ganvas.models.reading import reads_captions


def asked_scores(
    model: LatentModel,
    reference: Reference,
    fakes: Observed,
    classes: tuple[str, ...],
    captions: int,
) -> tuple[list[Score], tuple[str, ...]]:
    """What a classifier says of the pictures drawn, as far as its features are those measured in.

    Args:
        model: Any; only one with classes or captions was asked for something.
        reference: The real pictures, whose classes or captions were asked for in their order.
        fakes: What was drawn.
        classes: Those that the classifier knows.
        captions: At most so many are looked at.

    Returns:
        The scores, and what a reader should know.
    """
    if reads_captions(model):
        return _captions(reference, fakes, captions)
    if model.classes and isinstance(reference.features, ClassifierFeatures):
        return _classes(reference, fakes, classes), ()
    return [], ()


def _captions(
    reference: Reference, fakes: Observed, captions: int
) -> tuple[list[Score], tuple[str, ...]]:
    truth = reference.pictures.attributes
    if truth is None or not fakes.attributes or not captions:
        return [], (
            "Whether the pictures show what the captions ask for was not measured: that takes "
            "avatars, whose attributes are known, and the features of their classifier.",
        )
    n = min(captions, len(fakes.features), len(reference.pictures))
    scores = caption_scores(
        _first(truth, n), _first(fakes.attributes, n), _first(reference.real.attributes, n)
    )
    how = (
        f"What was asked for: the captions of {n:,} of the real pictures, one picture drawn for "
        "each."
    )
    return scores, (how,)


def _classes(reference: Reference, fakes: Observed, classes: tuple[str, ...]) -> list[Score]:
    """The classes of the real pictures were asked for in turn."""
    labels = reference.pictures.labels
    if labels is None or fakes.logits is None or reference.real.logits is None:
        return []
    numbers = torch.from_numpy(class_numbers(reference.classes, classes, reference.source))
    real = numbers[torch.from_numpy(labels)]
    asked = real.repeat(-(-len(fakes.logits) // len(real)))[: len(fakes.logits)]
    told, told_real = fakes.logits.argmax(1).cpu(), reference.real.logits.argmax(1).cpu()
    return class_scores(asked, told, real[: len(told_real)], told_real, classes)


def _first(values: Mapping[str, NDArray[Any]] | Mapping[str, Tensor], n: int) -> dict[str, Any]:
    return {name: of_all[:n] for name, of_all in values.items()}
