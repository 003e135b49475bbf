"""Drawing the pictures to measure, and what that costs."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.evaluation.definitions import make_score
from ganvas.evaluation.estimate import Estimate, mean
from ganvas.evaluation.evaluate import BATCH, Advance, Observed, Reference, as_tensor, observe
from ganvas.evaluation.protocol import Score
from ganvas.models.base import LatentModel, Samples, normal_latents
from ganvas.models.reading import reads_captions
from ganvas.pictures import to_uint8


@dataclass(frozen=True)
class Fakes:
    """What was drawn, and how."""

    observed: Observed
    draws: str
    sampling_seconds: float
    feature_seconds: float
    seconds_by_batch: tuple[float, ...] = ()
    """For one picture, of every batch."""

    @property
    def seconds(self) -> dict[str, float]:
        """What took how long."""
        return {"sampling": self.sampling_seconds, "features": self.feature_seconds}


def draw(model: LatentModel, reference: Reference, n: int, seed: int, advance: Advance) -> Fakes:
    """Draw n pictures, of the classes of the real ones, and observe them."""
    draws = "prior" if isinstance(model, Samples) else "N(0, I), for want of a prior"
    if reads_captions(model):
        draws += ", for the captions of the real pictures"
    labels = reference.labels_for(model, n)
    seconds: list[float] = []

    def batches() -> Iterator[Tensor]:
        for start in range(0, n, BATCH):
            began = time.perf_counter()
            count = min(BATCH, n - start)
            chosen = None if labels is None else labels[start : start + count]
            images = model.decode_all(latents_of(model, count, seed + start), chosen).cpu()
            seconds.append((time.perf_counter() - began) / count)
            yield images if images.ndim == 2 else as_tensor(to_uint8(images))

    began = time.perf_counter()
    observed = observe(batches(), reference.features, advance)
    total = time.perf_counter() - began
    sampling = sum(each * min(BATCH, n - i * BATCH) for i, each in enumerate(seconds))
    return Fakes(observed, draws, sampling, total - sampling, tuple(seconds))


def latents_of(model: LatentModel, n: int, seed: int) -> Tensor:
    """Latents of the prior; standard normal ones where the model defines no distribution."""
    if isinstance(model, Samples):
        return model.sample_latents(n, seed)
    return normal_latents(n, model.latent_size, seed, model.device)


def price_score(fakes: Fakes, device: str) -> Score:
    """Seconds for a picture; the first batch, which warms up, counts only where it is alone."""
    seconds = torch.tensor(fakes.seconds_by_batch)
    seconds = seconds[1:] if len(seconds) > 1 else seconds
    score = make_score(
        "sampling_seconds", mean(seconds) if len(seconds) > 1 else Estimate(seconds.item()), None
    )
    return score.model_copy(update={"about": f"{score.about} On {device}."})
