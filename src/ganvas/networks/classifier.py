"""A small convolutional classifier, which also says what it saw on the way.

All-convolutional (Springenberg et al. 2014): each 4 x 4 convolution of stride 2 halves the picture
and doubles the channels, with batch norm (Ioffe & Szegedy 2015) and ReLU, down to a grid of 4 to 7
cells along the shorter side. A linear layer over the whole grid, not an average over its cells,
because where something is matters: the tilt of a head is to be told like its colour.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.networks.layers.convolution import Halve

SMALLEST = 8
"""Shortest side of a picture."""

_LARGEST = 64
"""Pictures with a shorter side of 2, 3, ... times this are averaged over so many pixels first."""

_WIDTH, _MOST_DOUBLINGS, _HIDDEN = 32, 3, 128


class Classifier(nn.Module):
    """Images (N, C, H, W) in [-1, 1], H and W at least 8 -> outputs (N, outputs)."""

    def __init__(self, shape: tuple[int, int, int], outputs: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.pool = max(1, min(height, width) // _LARGEST)
        rows, columns = height // self.pool, width // self.pool
        halvings = (min(rows, columns) // 4).bit_length() - 1
        cell = 2**halvings
        # Only even sides halve exactly, so the last row and column are repeated as often as needed.
        self.padding = (0, -columns % cell, 0, -rows % cell)
        widths = [_WIDTH * 2 ** min(i, _MOST_DOUBLINGS) for i in range(halvings)]
        self.stages = nn.ModuleList(
            # Torch's own batch norm: the house's waits for processes that take no part in this.
            nn.Sequential(Halve(before, after), nn.BatchNorm2d(after), nn.ReLU(inplace=True))
            for before, after in pairwise([channels, *widths])
        )
        cells = -(-rows // cell) * -(-columns // cell)
        self.hidden = nn.Sequential(
            nn.Linear(widths[-1] * cells, _HIDDEN, bias=False), nn.BatchNorm1d(_HIDDEN)
        )
        self.head = nn.Linear(_HIDDEN, outputs)
        self.sizes = (*widths[1:], _HIDDEN)
        """How many numbers of a description come from each stage."""

    def describe(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen at every scale (N, sum(sizes)), and the outputs (N, outputs).

        Each stage but the first, whose filters see 4 x 4 pixels, gives the averages of its maps
        over the picture; the hidden layer gives itself, before its ReLU.
        """
        maps = self.maps(images)
        seen = [x.mean((2, 3)) for x in maps[1:]]
        hidden = self.hidden(maps[-1].flatten(1))
        return torch.cat([*seen, hidden], 1), self.head(torch.relu(hidden))

    def maps(self, images: Tensor) -> list[Tensor]:
        """What each stage gives, from the finest on."""
        if self.pool > 1:
            images = F.avg_pool2d(images, self.pool)
        x = F.pad(images, self.padding, mode="replicate") if any(self.padding) else images
        found: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Classify."""
        return self.describe(images)[1]
