"""The cheap score that training asks for now and then, on pictures held out from it.

For pictures drawn from a prior it is the Fréchet distance in random features, which need no
download, for points the energy distance, for a model without a prior the squared error of
reconstructions. For pictures translated it is the mean distance between the features of each and of
its target, where pictures are pairs, else the Fréchet distance to the domain translated into. The
latter sees how good pictures are rather than whether they changed: of avatars, 250 without glasses
are as near to those with round ones (0.174) as others with are (0.168), while blur by 3x3 makes it
0.365 (another colour of the hair: 1.71, where others have 0.11).

The kernel distance would be unbiased for few pictures, but in random features it hardly sees how
good they are: of a `dcgan-tiny` run it called 85,000 images best (0.00009) and 170,000 worse
(0.0006), while the Fréchet distance fell from 0.64 to 0.51 and coverage rose from 0.47 to 0.62.
That it is biased does no harm here, where always the same number of pictures is drawn.
"""

import torch
from torch import Tensor

from ganvas.data.held_out import Examples, held_out_captions, held_out_examples, held_out_pairs
from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack
from ganvas.evaluation.evaluate import as_tensor
from ganvas.evaluation.features.base import Features
from ganvas.evaluation.features.points import PointFeatures
from ganvas.evaluation.features.random import RandomFeatures
from ganvas.evaluation.frechet import frechet_distance
from ganvas.evaluation.kernel import energy_distance
from ganvas.evaluation.pairwise import levels
from ganvas.evaluation.prompting import words_for
from ganvas.models.base import Diffuses, Encodes, LatentModel, Model, Samples
from ganvas.models.reading import reads_captions
from ganvas.models.translation import TranslationModel
from ganvas.pictures import to_uint8
from ganvas.training.config import RunConfig
from ganvas.training.judging import Judge

_SEED = 3_000_000_000
"""Far from the seeds that anyone samples by hand, and within the 32 bits that CPUs seed with."""
_BATCH = 64
_TRANSLATED = 250
"""Pictures that are translated, at most."""
_DRAWN_IN_STEPS = 250
"""Pictures that are drawn by a model that takes many steps to one, at most."""


def make_judge(pack: Pack, config: RunConfig, model: Model) -> Judge | None:
    """The judge that suits the model; None where none is wanted or nothing is held out to judge by.

    Args:
        pack: The run's data.
        config: Complete, with the number held out.
        model: On its device; only what it can do matters here.
    """
    if config.training.score_every == 0:
        return None
    if isinstance(model, TranslationModel):
        domains = held_out_pairs(pack, config.data, "validation", _TRANSLATED)
        few = min(len(examples.images) for examples in domains) < 2
        return None if few else _TranslationJudge(domains, model, paired=pack.paired)
    count = _DRAWN_IN_STEPS if isinstance(model, Diffuses) else None
    examples = held_out_examples(pack, config.data, "validation", count)
    if len(examples.images) < 2:
        return None
    if not isinstance(model, Samples):
        return _ReconstructionJudge(examples)
    labels = _labels(model, examples)
    if reads_captions(model):
        said = held_out_captions(pack, config.data, examples)
        assert said is not None  # it has learnt from the captions of the others
        labels = words_for(model, said)
    return _DrawingJudge(pack, examples, labels, model)


class _DrawingJudge:
    """Compares as many drawings as there are validation pictures with those."""

    def __init__(self, pack: Pack, examples: Examples, labels: Tensor | None, model: Model) -> None:
        self._features: Features
        count = f"{len(examples.images):,} validation"
        if len(pack.shape) == 1:
            self._features, self._distance = PointFeatures(model.device), _energy_distance
            self.name = f"energy distance to {count} points"
        else:
            self._features, self._distance = RandomFeatures(model.device), frechet_distance
            self.name = f"Fréchet distance, random features, {count} pictures"
        self._examples, self._asked = examples, labels
        self._real: Tensor | None = None  # observed when first asked for

    def __call__(self, model: Model) -> float:
        """The distance: lower is better."""
        assert isinstance(model, LatentModel)
        assert isinstance(model, Samples)
        if self._real is None:
            self._real = self._features.extract(as_tensor(self._examples.images)).features
        count = len(self._real)
        images = model.decode_all(model.sample_latents(count, _SEED), self._asked)
        drawn = images.cpu() if images.ndim == 2 else as_tensor(to_uint8(images))
        return self._distance(self._real, self._features.extract(drawn).features)


class _ReconstructionJudge:
    """Compares validation pictures with what is left of them after encoding and decoding."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples
        self.name = f"mean squared error, {len(examples.images):,} validation pictures"

    def __call__(self, model: Model) -> float:
        """Mean squared error of a value, in [-1, 1]."""
        assert isinstance(model, LatentModel)
        assert isinstance(model, Encodes)
        images = as_tensor(self._examples.images)
        labels = _labels(model, self._examples)
        total = 0.0
        for rows in torch.arange(len(images)).split(_BATCH):
            part = to_model_range(images[rows].to(model.device))
            y = None if labels is None else labels[rows]
            total += (model.decode(model.encode(part, y), y).float() - part).square().sum().item()
        return total / images.numel()


class _TranslationJudge:
    """Translates the validation pictures of A, and compares them with those of B."""

    def __init__(
        self, domains: tuple[Examples, Examples], model: TranslationModel, *, paired: bool
    ) -> None:
        self._features = RandomFeatures(model.device)
        self._paired = paired
        a, b = (as_tensor(examples.images) for examples in domains)
        self._inputs, self._targets = a, levels(b)
        self._real: Tensor | None = None  # observed when first asked for
        count = f"random features, {len(self._inputs):,} validation"
        self.name = (
            f"feature distance, {count} pairs" if paired else f"Fréchet distance, {count} pictures"
        )

    def __call__(self, model: Model) -> float:
        """The distance: lower is better."""
        assert isinstance(model, TranslationModel)
        if self._real is None:
            self._real = self._features.extract(self._targets).features
        parts = [
            as_tensor(to_uint8(model.translate(to_model_range(part), "AB", _SEED + i * _BATCH, 8)))
            for i, part in enumerate(self._inputs.split(_BATCH))
        ]
        found = self._features.extract(torch.cat(parts)).features
        if self._paired:
            return float((found - self._real).norm(dim=1).mean())
        return frechet_distance(self._real, found)


def _energy_distance(real: Tensor, fake: Tensor) -> float:
    return energy_distance(real, fake).value


def _labels(model: Model, examples: Examples) -> Tensor | None:
    if not model.classes or examples.labels is None:
        return None
    return torch.from_numpy(examples.labels).to(model.device)
