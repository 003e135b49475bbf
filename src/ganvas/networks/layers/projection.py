"""The end of a discriminator: from features to its outputs, classes by projection."""

from torch import Tensor, nn

from ganvas.networks.layers.labels import check_labels
from ganvas.networks.layers.minibatch import Minibatch, across_samples


class ProjectionHead(nn.Module):
    """Features (N, features) and labels (N,) -> (N, outputs).

    A linear function of the features plus, where there are classes, the inner product of the
    features with a learnt vector of the class for each output (Miyato & Koyama 2018, eq. 3). Layers
    that look across the batch enter the linear function alone.
    """

    def __init__(self, features: int, outputs: int, classes: int, minibatch: Minibatch) -> None:
        super().__init__()
        layers, seen = across_samples(minibatch, features)
        self.across = nn.Sequential(*layers)
        self.linear = nn.Linear(seen, outputs)
        self.embedding = nn.Embedding(classes, outputs * features) if classes else None

    def forward(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """Judge."""
        judged: Tensor = self.linear(self.across(features))
        if self.embedding is None:
            return judged
        # Not unflatten: torch.compile cannot trace it within penalties.
        y = self.embedding(check_labels(labels)).view(len(features), -1, features.shape[1])
        projected: Tensor = (y * features[:, None, :]).sum(2)
        return judged + projected
