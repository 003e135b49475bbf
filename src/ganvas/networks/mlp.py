"""Fully connected networks, as in Goodfellow et al. 2014, for small images and for points.

Deviations from the 2014 paper: LeakyReLU instead of maxout and dropout in the discriminator (the
field's later habit; maxout needs several times the weights), and tanh outputs in [-1, 1], the value
range of images in this package. Classes enter both networks as a one-hot vector beside the input
(Mirza & Osindero 2014).
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from ganvas.networks.layers.labels import one_hot


class Generator(nn.Module):
    """z (N, latent_size) and labels (N,) -> (N, *shape); images lie in [-1, 1], points anywhere."""

    def __init__(
        self, latent_size: int, shape: tuple[int, ...], hidden: Sequence[int], classes: int = 0
    ) -> None:
        super().__init__()
        self.shape = shape
        self.classes = classes
        sizes = [latent_size + classes, *hidden]
        self.layers = _stack(sizes, prod(shape), nn.ReLU())
        self.squash = nn.Tanh() if len(shape) == 3 else nn.Identity()

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw the images or points that belong to the latents."""
        if self.classes:
            z = torch.cat([z, one_hot(labels, self.classes).to(z)], 1)
        output: Tensor = self.squash(self.layers(z))
        return output.view(-1, *self.shape)


class Discriminator(nn.Module):
    """(N, *shape) and labels (N,) -> (N, outputs), without a final activation."""

    def __init__(
        self, shape: tuple[int, ...], hidden: Sequence[int], classes: int = 0, outputs: int = 1
    ) -> None:
        super().__init__()
        self.classes = classes
        sizes = [prod(shape) + classes, *hidden]
        self.layers = _stack(sizes, outputs, nn.LeakyReLU(0.2))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judge (or encode) the images or points."""
        x = images.flatten(1)
        if self.classes:
            x = torch.cat([x, one_hot(labels, self.classes).to(x)], 1)
        outputs: Tensor = self.layers(x)
        return outputs


def _stack(sizes: list[int], outputs: int, activation: nn.Module) -> nn.Sequential:
    """Linear layers of the given sizes with the activation between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation]
    layers.append(nn.Linear(sizes[-1], outputs))
    for layer in layers:
        if isinstance(layer, nn.Linear):  # He et al. 2015, eq. 10
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)
