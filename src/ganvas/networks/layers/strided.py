"""Convolutions with stride 2 and their transposes, without padding, quick in all derivatives.

Each is the other's derivative by the maps, and written as such: autograd's own second derivatives
of convolutions are slow (`losses/twice_differentiable.py`, which these pass by). The derivative by
the weights is oneDNN's, which in float32 is several times faster for contiguous maps than for
channels last, the copies included: 112 instead of 261 ms from 4 x 64 maps of 257 x 257 to 128 (one
core of an AMD EPYC). In bfloat16 it is the other way round.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def halve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (N, I, H, W) with weight (O, I, k, k) -> (N, O, (H - k) // 2 + 1, (W - k) // 2 + 1).

    H - k and W - k must be even. All are of one type: autocast does not reach here.
    """
    if torch.compiler.is_compiling():  # it would lose second derivatives of autograd functions
        return torch.conv2d(x, weight, bias, stride=2)
    y: Tensor = _Halve.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return y


def double(x: Tensor, weight: Tensor) -> Tensor:
    """x (N, I, H, W) with weight (I, O, k, k) -> (N, O, 2H - 2 + k, 2W - 2 + k)."""
    if torch.compiler.is_compiling():
        return torch.conv_transpose2d(x, weight, stride=2)
    y: Tensor = _Double.apply(x, weight)  # type: ignore[no-untyped-call]
    return y


class _Halve(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x, weight, bias, stride=2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _ = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x, by_weight, by_bias = ctx.needs_input_grad
        return (
            double(gradient, weight) if by_x else None,
            _weight_gradient(x, gradient, weight) if by_weight else None,
            gradient.sum((0, 2, 3)) if by_bias else None,
        )


class _Double(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv_transpose2d(x, weight, stride=2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        by_x, by_weight = ctx.needs_input_grad
        return (
            halve(gradient, weight) if by_x else None,
            _weight_gradient(gradient, x, weight) if by_weight else None,
        )


def _weight_gradient(large: Tensor, small: Tensor, weight: Tensor) -> Tensor:
    """Of `halve` from the large maps, where the small ones are the gradient that comes back."""
    if large.device.type == "cpu" and large.dtype == torch.float32:
        large, small, weight = large.contiguous(), small.contiguous(), weight.contiguous()
    _, gradient, _ = torch.ops.aten.convolution_backward(
        small, large, weight, None, [2, 2], [0, 0], [1, 1], False, [0, 0], 1,
        [False, True, False],
    )  # fmt: skip
    found: Tensor = gradient
    return found
