"""The cheap score that training asks for now and then, on pictures held out from it.

For pictures drawn from a prior it is the kernel distance (which needs few of them) in random
features (which need no download), for points the energy distance, for a model without a prior the
squared error of reconstructions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.data.held_out import Examples, held_out_examples
from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack
from ganvas.evaluation.evaluate import as_tensor
from ganvas.evaluation.features.base import Features
from ganvas.evaluation.features.points import PointFeatures
from ganvas.evaluation.features.random import RandomFeatures
from ganvas.evaluation.kernel import energy_distance, kernel_distance
from ganvas.models.base import Encodes, LatentModel, Model, Samples
from ganvas.pictures import to_uint8
from ganvas.training.config import RunConfig
from ganvas.training.judging import Judge

_SEED = 2**40
"""Far from the seeds that anyone samples by hand."""
_BATCH = 64


def make_judge(pack: Pack, config: RunConfig, device: torch.device) -> Judge | None:
    """The judge that suits the data; None where nothing is held out to judge by.

    Args:
        pack: The run's data.
        config: Complete, with the number held out.
        device: Where the model trains.
    """
    if config.training.score_every == 0:
        return None
    examples = held_out_examples(pack, config.data, "validation", None)
    if len(examples.images) < 2:
        return None
    features: Features = (
        PointFeatures(device) if len(pack.shape) == 1 else RandomFeatures(device)
    )
    return _Judge(features, examples)


class _Judge:
    """Compares what a model draws with the validation pictures."""

    def __init__(self, features: Features, examples: Examples) -> None:
        self._features = features
        self._real: Tensor | None = None  # observed when first asked for
        self._examples = examples
        count = len(examples.images)
        self.name = (
            f"energy distance to {count:,} validation points"
            if features.name == "points"
            else f"kernel distance in random features to {count:,} validation pictures"
        )

    def __call__(self, model: Model) -> float:
        """Lower is better."""
        assert isinstance(model, LatentModel)
        if not isinstance(model, Samples):
            return self._reconstruction_error(model)
        if self._real is None:
            self._real = self._features.extract(as_tensor(self._examples.images)).features
        count = len(self._real)
        labels = None
        if model.classes and self._examples.labels is not None:
            labels = torch.from_numpy(self._examples.labels).to(model.device)
        images = model.decode_all(model.sample_latents(count, _SEED), labels)
        drawn = images.cpu() if images.ndim == 2 else as_tensor(to_uint8(images))
        fake = self._features.extract(drawn).features
        distance = energy_distance if drawn.ndim == 2 else kernel_distance
        return distance(self._real, fake).value

    @torch.no_grad()
    def _reconstruction_error(self, model: LatentModel) -> float:
        """Mean squared error by value, in [-1, 1]."""
        assert isinstance(model, Encodes)
        images = to_model_range(as_tensor(self._examples.images))
        labels = self._examples.labels if model.classes else None
        total = 0.0
        for start in range(0, len(images), _BATCH):
            part = images[start : start + _BATCH].to(model.device)
            y = None if labels is None else torch.from_numpy(labels[start : start + _BATCH])
            y = None if y is None else y.to(model.device)
            error = (model.decode(model.encode(part, y), y).float() - part).square()
            total += error.sum().item()
        return total / images.numel()
