"""What the tests of models that translate share: batches, and networks that are known by heart."""

import torch
from torch import Tensor, nn

from ganvas.models.phase import Batch, Draws

SIZE = (16, 24)


def batch(n: int = 4, a: int = 3, b: int = 3, rows: slice | None = None) -> Batch:
    """Pictures of both domains, always the same; `rows` of n."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(n, a, *SIZE, generator=generator) * 2 - 1
    targets = torch.rand(n, b, *SIZE, generator=generator) * 2 - 1
    rows = rows or slice(0, n)
    draws = Draws(torch.Generator().manual_seed(1), rows, n)
    return Batch(images[rows], None, draws, targets=targets[rows])


class Scale(nn.Module):
    """A generator that multiplies."""

    multiple = 4

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images: Tensor) -> Tensor:
        """Multiply."""
        return self.factor * images


class Channel(nn.Module):
    """A discriminator whose answers are the values of a channel, times a weight."""

    def __init__(self, channel: int = 0, weight: float = 1.0) -> None:
        super().__init__()
        self.channel = channel
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, images: Tensor, labels: None = None) -> Tensor:
        """One answer for each pixel."""
        return self.weight * images[:, self.channel, None]
