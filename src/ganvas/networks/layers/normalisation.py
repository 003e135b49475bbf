"""How the layers of a discriminator are normalised, by name."""

from typing import Literal

from torch import nn

from ganvas.networks.layers.batch_norm import BatchNorm2d
from ganvas.networks.layers.pixel import Pixel
from ganvas.networks.layers.spectral_norm import spectral_norm

Normalisation = Literal["none", "batch", "layer", "spectral"]
"""`spectral` bounds the weights, the others the activations."""

Norm = Literal["own", Normalisation]
"""The same as a setting; `own` is what the network's paper has."""


def norm_of_maps(norm: Normalisation, channels: int) -> list[nn.Module]:
    """The layers that normalise maps (N, channels, H, W), where `norm` asks for any.

    `layer` (Ba et al. 2016) takes the statistics of each sample over C, H and W and has a scale and
    a bias for each channel, as WGAN-GP has it in the place of batch norm (Gulrajani et al. 2017,
    section 4).
    """
    if norm == "batch":
        return [BatchNorm2d(channels)]
    if norm == "layer":
        return [nn.GroupNorm(1, channels)]
    return []


def norm_of_units(norm: Normalisation, units: int) -> list[nn.Module]:
    """The layers that normalise (N, units), where `norm` asks for any."""
    if norm == "batch":  # as maps of one pixel, so that processes share statistics as elsewhere
        return [Pixel(), BatchNorm2d(units), nn.Flatten()]
    if norm == "layer":
        return [nn.LayerNorm(units)]
    return []


def norm_of_weights(norm: Normalisation, network: nn.Module) -> None:
    """Where `norm` asks for it, bound every matrix of the network, drawn before, spectrally.

    Embeddings too: the projection of the classes is one more linear layer (Miyato & Koyama 2018).
    Not the tensor of minibatch discrimination, whose outputs are bounded anyway.
    """
    if norm != "spectral":
        return
    for module in list(network.modules()):  # a list, since the network grows meanwhile
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            spectral_norm(module)
