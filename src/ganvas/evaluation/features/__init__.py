"""Networks that turn pictures into vectors in which distances mean something."""

from collections.abc import Callable
from pathlib import Path

import torch

from ganvas.data.config import DataConfig
from ganvas.data.pack import Pack
from ganvas.errors import ConfigError
from ganvas.evaluation.features.base import Features
from ganvas.settings import nearest

NAMES = ("auto", "random", "classifier", "inception", "dinov2", "points")


def build_features(
    name: str,
    pack: Pack,
    data: DataConfig,
    device: torch.device,
    *,
    weights: Path | None = None,
    progress: bool = True,
    say: Callable[[str], None] | None = None,
) -> Features:
    """The features of a name.

    Args:
        name: One of `NAMES`; auto takes points for points, classifier where labels or attributes
            are known, else random: what needs no download.
        pack: The data, on whose labels the classifier is trained.
        data: The pack's configuration.
        device: Where to compute.
        weights: A local file (inception) or folder (dinov2) in place of a download.
        progress: Whether to show a bar while a classifier is trained or weights are fetched.
        say: Told when a classifier has to be trained.

    Raises:
        ConfigError: No such features, or none that suit the data.
        DataError: Weights or labels are missing or wrong.
    """
    if name not in NAMES:
        raise ConfigError(f"There are no features {name!r}.{nearest(name, list(NAMES))}")
    chosen = _suited(pack, data) if name == "auto" else name
    if (chosen == "points") != (len(pack.shape) == 1):
        raise ConfigError(
            f"The features {chosen!r} do not suit {data.source}: 2-D points take points, pictures "
            "random, classifier, inception or dinov2."
        )
    if weights is not None and chosen not in ("inception", "dinov2"):
        raise ConfigError(
            f"The features {chosen!r} take no weights: leave out --weights {weights}."
        )
    if chosen == "points":
        from ganvas.evaluation.features.points import PointFeatures

        return PointFeatures(device)
    if chosen == "random":
        from ganvas.evaluation.features.random import RandomFeatures

        return RandomFeatures(device)
    if chosen == "inception":
        from ganvas.evaluation.features.inception import InceptionFeatures

        return InceptionFeatures(device, weights)
    if chosen == "dinov2":
        from ganvas.evaluation.features.dinov2 import Dinov2Features

        return Dinov2Features(device, *([] if weights is None else [str(weights)]))
    from ganvas.evaluation.features.classifier import train_or_load_classifier

    return train_or_load_classifier(pack, data, device, progress=progress, say=say)


def _suited(pack: Pack, data: DataConfig) -> str:
    if len(pack.shape) == 1:
        return "points"
    return "classifier" if len(pack.classes) > 1 else "random"
