"""Convolutions and rectifiers in forms whose second derivative is quick, and the same.

Autograd differentiates a convolution twice in two wasteful ways. The derivative of its input
gradient by the weights becomes a convolution whose kernel is as large as the picture, dilated by
the stride, which costs 2 to 7 times the weight gradient that it is (oneDNN, float32, maps of 16 x
16 and more). And rectifiers, whose slopes have a derivative of zero, send these zeros back through
the whole network, to be convolved with its weights. Here the input gradient is written as the
transposed convolution that it is (the idea of `conv2d_gradfix` in Karras et al. 2020), and the
slopes of a rectifier are constants.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class TwiceDifferentiable(TorchFunctionMode):
    """Within this context networks compute the same, in forms meant for penalties on gradients."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Torch's protocol: every function that is called passes here."""
        return _FORMS.get(func, func)(*args, **(kwargs or {}))


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    """`conv2d` of lists of two. Compiled code must call it as it is: `keep_whole_in_graphs`.

    torch.compile takes an autograd function apart and then loses its second derivative, without a
    word (2.13).
    """
    y: Tensor = _Convolve.apply(x, weight, stride, padding, dilation, groups)  # type: ignore[no-untyped-call]
    return y if bias is None else y + bias[:, None, None]


def rectify(x: Tensor, slope: float) -> Tensor:
    """`leaky_relu` with this slope below 0; compiled as `convolve` is."""
    y: Tensor = _Rectify.apply(x, slope)  # type: ignore[no-untyped-call]
    return y


def keep_whole_in_graphs() -> None:
    """Have torch.compile call both functions as they are, instead of looking into them."""
    torch.compiler.allow_in_graph(convolve)
    torch.compiler.allow_in_graph(rectify)


class _Convolve(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        stride: list[int],
        padding: list[int],
        dilation: list[int],
        groups: int,
    ) -> Tensor:
        return F.conv2d(x, weight, None, stride, padding, dilation, groups)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, *ctx.how = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.how
        by_x, by_weight = ctx.needs_input_grad[:2]
        x_gradient = weight_gradient = None
        if by_x:
            rest = [
                x.shape[i + 2] + 2 * padding[i] - dilation[i] * (weight.shape[i + 2] - 1) - 1
                - stride[i] * (gradient.shape[i + 2] - 1)
                for i in (0, 1)
            ]  # fmt: skip
            x_gradient = F.conv_transpose2d(
                gradient, weight, None, stride, padding, rest, groups, dilation
            )
        if by_weight:
            _, weight_gradient, _ = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, stride, padding, dilation, False, [0, 0], groups,
                [False, True, False],
            )  # fmt: skip
        return x_gradient, weight_gradient, None, None, None, None


class _Rectify(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, slope: float) -> Tensor:
        return F.leaky_relu(x, slope)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, ctx.slope = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        by_x = torch.ops.aten.leaky_relu_backward(gradient, x.detach(), ctx.slope, False)
        return by_x, None


def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    if isinstance(padding, str) or input.dim() != 4:
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    # Inside an autograd function autocast would not reach the backward pass: cast outside of it.
    x, weight = _as_autocast(input), _as_autocast(weight)
    bias = None if bias is None else _as_autocast(bias)
    return convolve(x, weight, bias, _two(stride), _two(padding), _two(dilation), groups)


def _as_autocast(tensor: Tensor) -> Tensor:
    """In the type that autocast takes for convolutions, where it is on."""
    if tensor.dtype == torch.float64:
        return tensor
    device = tensor.device.type
    if not torch.is_autocast_enabled(device):
        return tensor
    return tensor.to(torch.get_autocast_dtype(device))


def _two(value: int | tuple[int, int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    return rectify(input, negative_slope)


def _relu(input: Tensor, inplace: bool = False) -> Tensor:
    return rectify(input, 0.0)


_FORMS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.conv2d: _conv2d,
    F.leaky_relu: _leaky_relu,
    F.relu: _relu,
}
