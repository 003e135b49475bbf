"""Penalties on the gradient of a discriminator with respect to its input, per sample, in float32.

They are written with `torch.func`, so that they can be compiled: a compiled module refuses a second
derivative, while a function that calls `torch.func.grad` inside has one.
"""

import torch
from torch import Tensor, nn


def input_gradient(network: nn.Module, images: Tensor, labels: Tensor | None) -> Tensor:
    """d sum(network(images)) / d images, (N, C, H, W), differentiable by the weights.

    Sample n's gradient is that of its own output as long as the network treats samples apart (batch
    norm does so only nearly). The network's buffers, such as running statistics, stay as they are.
    """
    parameters = dict(network.named_parameters())
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}

    def total(x: Tensor, buffers: dict[str, Tensor]) -> Tensor:
        output: Tensor = torch.func.functional_call(network, {**parameters, **buffers}, (x, labels))
        return output.sum()

    with torch.autocast(images.device.type, enabled=False):
        gradient: Tensor = torch.func.grad(total)(images.float(), buffers)
    return gradient


def r1(discriminator: nn.Module, images: Tensor, labels: Tensor | None = None) -> Tensor:
    """|grad_x D(x)|^2 at real images, shape (N,) (Mescheder, Geiger & Nowozin 2018, eq. 9)."""
    return input_gradient(discriminator, images, labels).square().flatten(1).sum(1)
