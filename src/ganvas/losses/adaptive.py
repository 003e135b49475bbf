"""Weighing two losses of a picture against each other by what they do to a network's last layer."""

import torch
from torch import Tensor
from torch.nn.grad import conv2d_weight

_SMALLEST, _LARGEST = 1e-4, 1e4


def adaptive_weight(features: Tensor, first: Tensor, second: Tensor, side: int = 3) -> Tensor:
    """|gradient of the first| / (|gradient of the second| + 1e-4), by the last layer, at most 1e4.

    Esser, Rombach & Ommer 2021, eq. 7: a weight for the second loss under which both pull alike at
    the weights of the layer. The 1e-4 and the bound are those of the authors' code. That layer is a
    convolution, so its gradients follow from what goes into it and from the gradients by what comes
    out: no network is differentiated for it a second time. A constant, in float32.

    Args:
        features: What goes into the layer, (N, I, H, W).
        first: The gradient of the first loss by what comes out, (N, O, H, W).
        second: That of the second.
        side: Of the convolution, which keeps the size of the maps.
    """
    norms = [_norm(features.detach().float(), loss.detach().float(), side)
             for loss in (first, second)]  # fmt: skip
    return (norms[0] / (norms[1] + _SMALLEST)).clamp(max=_LARGEST)


def with_gradient(value: Tensor, at: Tensor, gradient: Tensor) -> Tensor:
    """A scalar of this value whose gradient at a tensor is the one given.

    Hands gradients that are known already on to what made the tensor.
    """
    slope = (at * gradient.detach()).sum()
    return value.detach() + (slope - slope.detach())


def _norm(features: Tensor, gradient: Tensor, side: int) -> Tensor:
    """The length of the gradient by the convolution's weights."""
    shape = (gradient.shape[1], features.shape[1], side, side)
    with torch.autocast(features.device.type, enabled=False):
        weights: Tensor = conv2d_weight(features, shape, gradient, padding=side // 2)
    length: Tensor = weights.norm()
    return length
