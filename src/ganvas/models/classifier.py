"""A classifier of a data set's pictures by all that is known about them.

It is no generative model and no recipe trains it; it is a `Model` so that the house's one training
step trains it, too. `ganvas.evaluation.features.classifier` makes features of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.models.base import Model
from ganvas.models.phase import Adam, Batch, Losses, Phase
from ganvas.networks.classifier import Classifier
from ganvas.networks.layers.labels import check_labels


@dataclass(frozen=True)
class Head:
    """One thing to tell about a picture."""

    name: str
    values: int
    """How many values it may have, coded 0, 1, ...; 0 for a number of mean 0 and variance 1."""

    @property
    def outputs(self) -> int:
        """Outputs of the network: a logit for each value, or the number."""
        return self.values or 1


class PictureClassifier(Model):
    """One network with a softmax or a regression for everything to tell.

    Args:
        shape: (C, H, W) of the pictures.
        heads: What to tell.
        truth: (rows, heads) float32, the code or number of every head for every picture. The label
            of a picture in a batch is its row in this table.
    """

    averaged = ("network",)

    truth: Tensor

    def __init__(self, shape: tuple[int, int, int], heads: Sequence[Head], truth: Tensor) -> None:
        super().__init__(shape)
        self.heads = tuple(heads)
        self.network = Classifier(shape, sum(head.outputs for head in heads))
        self.register_buffer("truth", truth, persistent=False)

    def phases(self) -> tuple[Phase, ...]:
        """One update of the network."""
        return (Phase("classification", ("network",), self.loss, Adam(learning_rate=1e-3)),)

    def loss(self, batch: Batch) -> Losses:
        """Cross-entropies and half squared errors, averaged over the batch, summed over heads."""
        truth = self.truth[check_labels(batch.labels)]
        outputs = split_heads(self.network(batch.images).float(), self.heads)
        losses = [
            F.cross_entropy(outputs[head.name], truth[:, i].long())
            if head.values
            else 0.5 * F.mse_loss(outputs[head.name][:, 0], truth[:, i])
            for i, head in enumerate(self.heads)
        ]
        return Losses(torch.stack(losses).sum())

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        """The images: a classifier draws nothing."""
        return images


def split_heads(outputs: Tensor, heads: Sequence[Head]) -> dict[str, Tensor]:
    """A network's outputs (N, outputs) by head: logits (N, values), or numbers (N, 1)."""
    parts = outputs.split([head.outputs for head in heads], dim=1)
    return {head.name: part for head, part in zip(heads, parts, strict=True)}
