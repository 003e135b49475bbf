"""Training the classifier that features are made of, through the house's one training step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data.config import DataConfig
from ganvas.data.held_out import held_out_examples
from ganvas.data.loader import Loader, to_model_range
from ganvas.data.pack import Pack
from ganvas.data.progress import progress_bar
from ganvas.evaluation.features.known import Task, truth_of, visible
from ganvas.models.classifier import PictureClassifier, split_heads
from ganvas.networks.classifier import Classifier
from ganvas.training.checkpoint import TrainingState
from ganvas.training.config import TrainingConfig
from ganvas.training.distributed import Processes
from ganvas.training.ema import Ema
from ganvas.training.precision import resolve_precision
from ganvas.training.prepare import own_randomness
from ganvas.training.step import Plan, make_optimizers, train_step

DESIGN = 1
"""Raised when the network, its training or the projection change: older ones are trained anew."""

SIZE = 128
"""Numbers in a feature vector."""

_MOST_SHOWN = 80_000
_EPOCHS = 30
"""Pictures shown in training, at most: so many in all, and each so often."""

_BATCH = 64
_FITTED = 5_000
"""Training pictures that the projection is fitted to, at most."""


@dataclass(frozen=True)
class Trained:
    """What is kept in the cache."""

    tensors: dict[str, Tensor]
    """The network's, and "centre" and "matrix" of the projection."""
    accuracy: dict[str, float]
    """By head, on held-out pictures where it shows: share told rightly, or R^2 of a number."""


def train_classifier(
    pack: Pack,
    config: DataConfig,
    task: Task,
    rows: NDArray[np.int64] | None,
    device: torch.device,
    progress: bool,
) -> Trained:
    """Train the network, fit the projection and measure the accuracy.

    Args:
        pack: The pictures.
        config: What they were packed with.
        task: What there is to tell about them.
        rows: Those to train on, int64; None for all.
        device: Where to train.
        progress: Whether to show a bar.
    """
    everything = np.arange(len(pack))
    rows = everything if rows is None else rows
    shown = min(_MOST_SHOWN, _EPOCHS * len(rows))
    training = TrainingConfig(images=shown, batch=_BATCH, ema_half_life=5_000, ema_ramp_up=0.1)
    with own_randomness():
        torch.manual_seed(training.seed)
        model = PictureClassifier(task.shape, task.heads, truth_of(task, pack.labels, everything))
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        state = TrainingState(model, Ema(model), make_optimizers(model))
        numbered = replace(pack, labels=everything)  # a picture's label is its row of the truth
        loader = Loader(numbered, batch=_BATCH, seed=training.seed, rows=rows)
        precision = resolve_precision("auto", device, model)
        plan = Plan(model.phases(), loader, training, precision, device, Processes())
        with progress_bar("Training the features", shown, progress) as advance:
            while state.images < shown:
                train_step(state, plan)
                advance(_BATCH)
    network = state.ema.networks["network"]
    assert isinstance(network, Classifier)
    spread = np.linspace(0, len(rows) - 1, min(len(rows), _FITTED)).astype(np.int64)
    vectors = _describe(network, pack.images, rows[spread], device)[0]
    centre, matrix = fit_projection(vectors, network.sizes)
    tensors = {name: t.cpu().contiguous() for name, t in network.state_dict().items()}
    return Trained(
        {**tensors, "centre": centre, "matrix": matrix},
        _accuracy(network, pack, config, task, device),
    )


@torch.no_grad()
def _describe(
    network: Classifier, images: NDArray[Any], rows: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Descriptions and outputs, in float32, of some of the pictures (N, H, W, C)."""
    parts = []
    for start in range(0, len(rows), _BATCH):
        part = torch.from_numpy(images[rows[start : start + _BATCH]]).permute(0, 3, 1, 2)
        parts.append(network.describe(to_model_range(part.to(device))))
    vectors, outputs = zip(*parts, strict=True)
    return torch.cat(vectors).cpu(), torch.cat(outputs).cpu()


def _accuracy(
    network: Classifier, pack: Pack, config: DataConfig, task: Task, device: torch.device
) -> dict[str, float]:
    """By head, where it shows, on the validation split; empty where there is none."""
    examples = held_out_examples(pack, config, "validation", None)
    if len(examples.images) == 0:
        return {}
    everything = np.arange(len(examples.images))
    outputs = split_heads(_describe(network, examples.images, everything, device)[1], task.heads)
    columns = truth_of(task, examples.labels, examples.indices).unbind(1)
    truth = {head.name: column for head, column in zip(task.heads, columns, strict=True)}
    scores = {}
    for head in task.heads:
        shown = visible(head.name, truth)
        measure = _share_right if head.values else _r_squared
        scores[head.name] = measure(outputs[head.name][shown], truth[head.name][shown])
    return scores


def _share_right(logits: Tensor, truth: Tensor) -> float:
    return (logits.argmax(1) == truth).float().mean().item()


def _r_squared(values: Tensor, truth: Tensor) -> float:
    return 1 - ((values[:, 0] - truth).square().mean() / truth.var(correction=0)).item()


def fit_projection(vectors: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """A linear map to `SIZE` numbers that makes distances even.

    Args:
        vectors: (N, D) descriptions of training pictures, D at least `SIZE`.
        sizes: Lengths of the parts, D in all, each of which gets the same share of the variance.

    Returns:
        The centre (D,) and the matrix (D, SIZE), float32, of v -> (v - centre) @ matrix.
    """
    x = vectors.cpu().to(torch.float64)
    centre = x.mean(0)
    share = torch.cat([torch.full((size,), size**-0.5) for size in sizes])
    scale = share / (x.std(0) + 1e-3)  # a map that never fires has no deviation
    values, directions = torch.linalg.eigh(torch.cov(((x - centre) * scale).T))
    values, directions = values.flip(0)[:SIZE], directions.flip(1)[:, :SIZE]
    even = values.clamp(min=1e-4 * float(values[0])) ** -0.25  # few pictures span few directions
    return centre.float(), (scale[:, None] * directions * even).float().contiguous()
