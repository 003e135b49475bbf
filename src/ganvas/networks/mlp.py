"""Fully connected networks, as in Goodfellow et al. 2014, for small images and for points.

Deviations from the 2014 paper: LeakyReLU instead of maxout and dropout in the discriminator (the
field's later habit; maxout needs several times the weights), and tanh outputs in [-1, 1], the value
range of images in this package. Classes enter both networks as a one-hot vector beside the input
(Mirza & Osindero 2014). The discriminator's hidden layers can be normalised, each before its
activation, and it can look across the batch before its last layer; neither is in the 2014 paper.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from ganvas.networks.layers.labels import one_hot
from ganvas.networks.layers.minibatch import Minibatch, across_samples
from ganvas.networks.layers.normalisation import Normalisation, norm_of_units, norm_of_weights


class Generator(nn.Module):
    """z (N, latent_size) and labels (N,) -> (N, *shape); images lie in [-1, 1], points anywhere.

    Without `squash` they are any numbers, for the caller to make images of.
    """

    def __init__(
        self,
        latent_size: int,
        shape: tuple[int, ...],
        hidden: Sequence[int],
        classes: int = 0,
        squash: bool = True,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.classes = classes
        sizes = [latent_size + classes, *hidden]
        layers = _hidden(sizes, nn.ReLU())
        self.layers = _initialised(*layers, nn.Linear(sizes[-1], prod(shape)))
        self.squash = nn.Tanh() if squash and len(shape) == 3 else nn.Identity()

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw the images or points that belong to the latents."""
        if self.classes:
            z = torch.cat([z, one_hot(labels, self.classes).to(z)], 1)
        output: Tensor = self.squash(self.layers(z))
        return output.view(-1, *self.shape)


class Discriminator(nn.Module):
    """(N, *shape) and labels (N,) -> (N, outputs), without a final activation."""

    def __init__(
        self,
        shape: tuple[int, ...],
        hidden: Sequence[int],
        classes: int = 0,
        outputs: int = 1,
        norm: Normalisation = "none",
        minibatch: Minibatch = "none",
    ) -> None:
        super().__init__()
        self.classes = classes
        sizes = [prod(shape) + classes, *hidden]
        layers = _hidden(sizes, nn.LeakyReLU(0.2), norm)
        across, features = across_samples(minibatch, sizes[-1])
        self.layers = _initialised(*layers, *across, nn.Linear(features, outputs))
        norm_of_weights(norm, self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judge (or encode) the images or points."""
        x = images.flatten(1)
        if self.classes:
            x = torch.cat([x, one_hot(labels, self.classes).to(x)], 1)
        outputs: Tensor = self.layers(x)
        return outputs


def _hidden(
    sizes: list[int], activation: nn.Module, norm: Normalisation = "none"
) -> list[nn.Module]:
    """Linear layers of the given sizes, each with its norm and the activation."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), *norm_of_units(norm, after), activation]
    return layers


def _initialised(*layers: nn.Module) -> nn.Sequential:
    """The layers one after another, the linear ones drawn as in He et al. 2015, eq. 10."""
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)
