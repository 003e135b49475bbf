"""Penalties on a discriminator: on its gradient with respect to its input, and on its weights.

Those on the gradient are per sample: the norm is that of each sample's gradient, never of the
batch's, and their average is the paper's expectation. They are written with `torch.func`, since a
compiled module refuses a second derivative, while a compiled function that calls `torch.func.grad`
inside has one. After `network.compile()` they run compiled. Under autocast the network's matrix
products take bfloat16 operands here as elsewhere, which moves the weights' gradient several times
less than another batch would (tests/losses/test_penalties.py); the norms are float32.
"""

import contextlib
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganvas.losses.twice_differentiable import TwiceDifferentiable, keep_whole_in_graphs


def identity(images: Tensor) -> Tensor:
    """The images as they are."""
    return images


def input_gradient(
    network: nn.Module,
    images: Tensor,
    labels: Tensor | None,
    transform: Callable[[Tensor], Tensor] = identity,
) -> Tensor:
    """d sum(network(transform(images), labels)) / d images, differentiable by the weights.

    Sample n's gradient is that of its own output as long as the network treats samples apart (batch
    norm does so only nearly). The network's buffers, such as running statistics, stay as they are.

    Args:
        network: (N, ...) -> (N, outputs).
        images: (N, C, H, W) or points (N, 2). Taken in float32, unless they are float64.
        labels: (N,) of a conditional network.
        transform: What the network sees of the images, such as their augmentation. It is never
            compiled nor in bfloat16, and may draw random numbers.

    Returns:
        The shape of the images, float32 or float64. A weight that it does not depend on, like a
        bias in a network of rectifiers, has the derivative 0, not None: an optimiser skips None and
        ages its averages with 0.
    """
    by_what_it_sees = _compiled() if _is_compiled(network) else _input_gradient
    quick = not torch.compiler.is_dynamo_compiling()  # who compiles this needs `_compiled`'s care
    plain = Plain(network)
    x = images if images.dtype == torch.float64 else images.float()
    if transform is identity:
        return by_what_it_sees(plain, x, labels, quick)
    # The chain rule by hand: weights enter the network's part alone.
    with torch.autocast(images.device.type, enabled=False):
        seen, pull_back, *_ = torch.func.vjp(transform, x)
    by_seen = by_what_it_sees(plain, seen, labels, quick)
    with torch.autocast(images.device.type, enabled=False):
        gradient: Tensor = pull_back(by_seen)[0]
    return gradient


def _input_gradient(
    network: nn.Module, images: Tensor, labels: Tensor | None, quick: bool
) -> Tensor:
    parameters = dict(network.named_parameters())
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}

    def total(x: Tensor, buffers: dict[str, Tensor]) -> Tensor:
        with TwiceDifferentiable() if quick else contextlib.nullcontext():
            output: Tensor = torch.func.functional_call(
                network, {**parameters, **buffers}, (x, labels)
            )
        return output.sum()

    gradient: Tensor = torch.func.grad(total)(images, buffers)
    zero = torch.stack([weight[None][:0].sum() for weight in parameters.values()]).sum()
    return gradient + zero  # which ties every weight to it


class Plain(nn.Module):
    """A network as it is written, also where `network.compile()` has been called."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Call it, uncompiled."""
        output: Tensor = self.network.forward(images, labels)
        return output


def _is_compiled(network: nn.Module) -> bool:
    return network._compiled_call_impl is not None  # torch has no public way to ask


@functools.cache
def _compiled() -> Callable[[nn.Module, Tensor, Tensor | None, bool], Tensor]:
    """One for all networks: those of the same structure share the compiled code."""
    keep_whole_in_graphs()
    return torch.compile(_input_gradient, fullgraph=True, dynamic=False)


def zero_centred(
    network: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    transform: Callable[[Tensor], Tensor] = identity,
) -> Tensor:
    """|grad_x D(x)|^2, shape (N,): R1 at real images, R2 at fakes.

    Mescheder, Geiger & Nowozin 2018, eq. 9 and 10, without their gamma/2.
    """
    return _squared_norm(input_gradient(network, images, labels, transform))


r1 = r2 = zero_centred


def gradient_penalty(
    network: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    one_sided: bool = False,
) -> Tensor:
    """(|grad_x D(x)| - 1)^2 at the given points, shape (N,), without the papers' lambda.

    At `interpolate(real, fake, share)` it is WGAN-GP's (Gulrajani et al. 2017, eq. 3), at
    `dragan_points(real, noise, share)` DRAGAN's (Kodali et al. 2017).

    Args:
        network: As of `input_gradient`.
        images: (N, C, H, W) or (N, 2): the points.
        labels: (N,) of a conditional network.
        one_sided: max(0, |grad| - 1)^2: a slope below 1 is free (Gulrajani et al. 2017, sec. 4).
    """
    excess = _norm(input_gradient(network, images, labels)) - 1
    return (excess.clamp(min=0) if one_sided else excess).square()


def interpolate(real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """share * real + (1 - share) * fake (Gulrajani et al. 2017, Algorithm 1), `share` (N,)."""
    share = _column(share, real)
    return share * real + (1 - share) * fake


def dragan_points(real: Tensor, noise: Tensor, share: Tensor) -> Tensor:
    """Points around the real images (Kodali et al. 2017, Algorithm 1, as its authors run it).

    x + share * 0.5 * std(x) * noise, the standard deviation over all numbers of the given images: a
    point on the way from an image to a disturbed copy of it. Processes and micro-batches each have
    the deviation of their own share of the batch.

    Args:
        real: (N, C, H, W) or (N, 2).
        noise: Of the same shape, uniform in [0, 1).
        share: (N,), uniform in [0, 1).
    """
    return real + _column(share, real) * (0.5 * real.std(correction=0)) * noise


def orthogonal(network: nn.Module) -> Tensor:
    """Sum over weights W of |W W^T without its diagonal|_F^2, a scalar (Brock et al. 2018, eq. 3).

    W is (outputs, the rest) of each convolution and linear layer, where the rows are filters; rows
    need not have length one. Embeddings, biases and gains are left alone. Beta is not included.
    """
    kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    layers = [module for module in network.modules() if isinstance(module, kinds)]
    with torch.autocast(next(network.parameters()).device.type, enabled=False):
        return torch.stack([_off_diagonal(_rows(layer)) for layer in layers]).sum()


def _squared_norm(gradient: Tensor) -> Tensor:
    return gradient.square().flatten(1).sum(1)


def _norm(gradient: Tensor) -> Tensor:
    """The norm by sample (N,); at 0, where it has no derivative, 0 is taken."""
    squared = _squared_norm(gradient)
    zero = squared == 0
    return torch.where(zero, 0, torch.where(zero, 1, squared).sqrt())


def _column(share: Tensor, images: Tensor) -> Tensor:
    return share.view(-1, *[1] * (images.dim() - 1))


def _rows(layer: nn.Module) -> Tensor:
    """A layer's weight as a matrix with a row for each output."""
    spectral = parametrize.is_parametrized(layer, "weight")
    weight: Tensor = layer.get_parameter(
        "parametrizations.weight.original" if spectral else "weight"
    )
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    return weight.flatten(1)


def _off_diagonal(rows: Tensor) -> Tensor:
    """|W W^T|_F^2, which is |W^T W|_F^2, without the diagonal's share.

    The smaller of the two products: BigGAN's first layer has 24,576 rows of 20 (128 px).
    """
    product = rows @ rows.t() if len(rows) <= rows.shape[1] else rows.t() @ rows
    return product.square().sum() - rows.square().sum(1).square().sum()
