"""Counting the modes that a trained model draws."""

from dataclasses import dataclass
from math import isfinite

import torch

from ganvas.data.builtin.toys import MODES
from ganvas.data.config import DataConfig
from ganvas.data.pack import open_pack
from ganvas.errors import RunError
from ganvas.evaluation import stacked
from ganvas.evaluation.evaluate import as_tensor
from ganvas.evaluation.features.classifier import ClassifierFeatures, train_or_load_classifier
from ganvas.evaluation.truth import divergence_from_uniform, mode_counts
from ganvas.models.base import LatentModel
from ganvas.pictures import to_uint8

POINTS = 2_500
"""Samples of a toy (VEEGAN, section 5.1; PacGAN, section 4)."""

_AT_ONCE = 1_000


@dataclass(frozen=True)
class Counts:
    """What was drawn of a distribution with known modes."""

    modes: int
    """With at least one good sample."""
    total: int
    samples: int
    good: float | None
    """Share within three standard deviations of a mode; None for pictures, which have none."""
    divergence: float | None
    """KL(drawn || uniform) of the good samples' modes, in nats; None without good samples."""


def count_modes(model: LatentModel, source: str, digits: DataConfig | None) -> Counts:
    """Draw samples from the averaged weights and count the modes among them.

    Args:
        model: Ready to sample.
        source: What it was trained on: a toy with modes, or stacked digits.
        digits: Of stacked digits, the single ones, on which a classifier is trained.

    Raises:
        RunError: `source` has no modes that could be counted.
    """
    toy = MODES.get(source)
    if toy is not None:
        counts = mode_counts(model.sample(POINTS, seed=0).cpu(), toy)
        return _summary(counts, POINTS, int(counts.sum()) / POINTS)
    if digits is None:
        raise RunError(f"{source} has no modes to count: take ring, grid or stacked digits.")
    reader = digit_reader(digits, model.device)
    counts = torch.zeros(stacked.MODES, dtype=torch.int64)
    for start in range(0, stacked.SAMPLES, _AT_ONCE):
        pixels = to_uint8(model.sample(_AT_ONCE, seed=start))
        counts += stacked.stacked_counts(as_tensor(pixels), reader)
    return _summary(counts, stacked.SAMPLES, None)


def digit_reader(digits: DataConfig, device: torch.device) -> ClassifierFeatures:
    """The classifier of single digits, from the cache or trained now on nine tenths of them."""
    return train_or_load_classifier(open_pack(digits), digits, device)


def _summary(counts: torch.Tensor, samples: int, good: float | None) -> Counts:
    divergence = divergence_from_uniform(counts)
    return Counts(
        modes=int((counts > 0).sum()),
        total=len(counts),
        samples=samples,
        good=good,
        divergence=divergence if isfinite(divergence) else None,
    )
