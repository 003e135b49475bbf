"""Convolutions that a norm follows, as matrix products where those are faster on CPUs in bfloat16.

oneDNN's kernels lay the weights out anew in every call, which on small maps takes longer than the
work: half of pix2pix's weights belong to maps of 8 x 8 and less. There a product of the weights, as
they lie, with the patches under the kernel (channels last: copying these costs next to nothing) is
the same function. One core of an AMD EPYC with AVX512-BF16, milliseconds, oneDNN and here:

    512 to 512 channels, 4 x 4, stride 2, one picture of 16 x 16    forward 4.4, 1.5
    the same, by the weights                                       6.0, 1.4
    1024 to 512, transposed, one of 4 x 4, forward                  9.1, 1.3
    256 to 256, 3 x 3, one picture of 32 x 32, by the weights        3.8, 3.0

Convolution and transposed convolution are each other's derivative by the maps, and written as such,
which makes second derivatives quick, too.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FORWARD, _SCATTERED, _BY_WEIGHT = 256, 128, 1024
"""Pixels of all small maps of the batch up to which products were measured to be faster: of the
patches, of what is added up at overlapping patches, and for the derivative by the weights."""


class Convolution(nn.Conv2d):
    """(N, inputs, H, W) -> (N, outputs, h, w), for a norm of each channel to follow.

    A bias, which that norm takes out again, is there for the published weights, but neither added
    nor trained.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0, *, bias: bool
    ) -> None:
        super().__init__(inputs, outputs, size, stride, padding, bias=bias)
        _leave_out_bias(self)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve."""
        return convolve(input, self.weight, self.stride[0], int(self.padding[0]))


class Transposed(nn.ConvTranspose2d):
    """Its transpose of stride 2, (N, inputs, h, w) -> (N, outputs, 2h, 2w); a bias is as there."""

    def __init__(self, inputs: int, outputs: int, size: int, *, bias: bool) -> None:
        super().__init__(
            inputs, outputs, size, stride=2, padding=1, output_padding=size % 2, bias=bias
        )
        _leave_out_bias(self)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve, transposed."""
        stride, padding = self.stride[0], int(self.padding[0])
        height, width = self.output_padding
        return transpose(input, self.weight, stride, padding, (height, width))


def _leave_out_bias(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    if layer.bias is not None:
        layer.bias.requires_grad_(False)


def convolve(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """x (N, I, H, W) with weight (O, I, k, k), zeros beyond the border -> (N, O, h, w)."""
    x, weight = _in_autocast_type(x, weight)
    if not _serves(x):
        return F.conv2d(x, weight, None, stride, padding)
    y: Tensor = _Convolve.apply(x, weight, stride, padding)  # type: ignore[no-untyped-call]
    return y


def transpose(
    x: Tensor, weight: Tensor, stride: int, padding: int, rest: tuple[int, int]
) -> Tensor:
    """x (N, I, h, w) with weight (I, O, k, k) -> (N, O, (h - 1) stride + k - 2 padding + rest, w).

    `rest` are the rows and columns that a convolution of the output would not see.
    """
    x, weight = _in_autocast_type(x, weight)
    if not _serves(x):
        return F.conv_transpose2d(x, weight, None, stride, padding, rest)
    y: Tensor = _Transpose.apply(x, weight, stride, padding, rest)  # type: ignore[no-untyped-call]
    return y


class _Convolve(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        height, width = _small_size(x, weight, stride, padding)
        if len(x) * height * width > _FORWARD:
            return F.conv2d(x, weight, None, stride, padding)
        y = _patches(x, weight.shape[2], stride, padding) @ _matrix(weight).t()
        return y.view(len(x), height, width, -1).permute(0, 3, 1, 2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, ctx.stride, ctx.padding = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x, by_weight = ctx.needs_input_grad[:2]
        gradient = _channels_last(gradient)
        stride, padding = ctx.stride, ctx.padding
        rest = _rest(x, gradient, weight.shape[2], stride, padding)
        return (
            transpose(gradient, weight, stride, padding, rest) if by_x else None,
            _by_weight(x, gradient, weight, stride, padding) if by_weight else None,
            None,
            None,
        )


class _Transpose(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor, stride: int, padding: int, rest: tuple[int, int]
    ) -> Tensor:
        if len(x) * x.shape[2] * x.shape[3] > _SCATTERED:
            return F.conv_transpose2d(x, weight, None, stride, padding, rest)
        return _scattered(x, weight, stride, padding, rest)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, ctx.stride, ctx.padding, _ = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x, by_weight = ctx.needs_input_grad[:2]
        gradient = _channels_last(gradient)
        stride, padding = ctx.stride, ctx.padding
        return (
            convolve(gradient, weight, stride, padding) if by_x else None,
            _by_weight(gradient, x, weight, stride, padding) if by_weight else None,
            None,
            None,
            None,
        )


def _by_weight(large: Tensor, small: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """The derivative of `convolve` of the large maps, where the small ones are what comes back."""
    size = weight.shape[2]
    if len(small) * small.shape[2] * small.shape[3] > _BY_WEIGHT:
        found: Tensor = torch.ops.aten.convolution_backward(
            small, large, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1,
            [False, True, False],
        )[1]  # fmt: skip
        return found
    product = _pixels(small).t() @ _patches(large, size, stride, padding)
    return product.view(small.shape[1], size, size, large.shape[1]).permute(0, 3, 1, 2)


def _scattered(
    x: Tensor, weight: Tensor, stride: int, padding: int, rest: tuple[int, int]
) -> Tensor:
    """Each pixel's patch, added up where they overlap, in float32."""
    count, _, height, width = x.shape
    size, margin = weight.shape[2], 2 * padding
    product = (_pixels(x) @ _matrix(weight)).view(count, height, width, size, size, -1)
    sides = [(n - 1) * stride + size + more for n, more in zip((height, width), rest, strict=True)]
    total = torch.zeros(count, *sides, weight.shape[1], dtype=torch.float32, device=x.device)
    for i in range(size):
        for j in range(size):
            total[
                :,
                i : i + stride * (height - 1) + 1 : stride,
                j : j + stride * (width - 1) + 1 : stride,
            ] += product[:, :, :, i, j]
    inside = total[:, padding : sides[0] - margin + padding, padding : sides[1] - margin + padding]
    return inside.to(x.dtype, memory_format=torch.contiguous_format).permute(0, 3, 1, 2)


def _patches(x: Tensor, size: int, stride: int, padding: int) -> Tensor:
    """(N, C, H, W) -> (N h w, size size C): what is under the kernel at each of its places."""
    rows = x.permute(0, 2, 3, 1)
    if padding:
        rows = F.pad(rows, (0, 0, *[padding] * 4))
    windows = rows.unfold(1, size, stride).unfold(2, size, stride)  # (N, h, w, C, size, size)
    return windows.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(0, 2)


def _channels_last(gradient: Tensor) -> Tensor:
    """As the maps lie; that of a picture may lie otherwise, and all that follow would with it."""
    return gradient.contiguous(memory_format=torch.channels_last)


def _pixels(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N H W, C)."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def _matrix(weight: Tensor) -> Tensor:
    """(A, B, k, k) -> (A, k k B), which is as channels last lies."""
    return weight.permute(0, 2, 3, 1).flatten(1)


def _small_size(x: Tensor, weight: Tensor, stride: int, padding: int) -> tuple[int, int]:
    height, width = ((n + 2 * padding - weight.shape[2]) // stride + 1 for n in x.shape[2:])
    return height, width


def _rest(x: Tensor, gradient: Tensor, size: int, stride: int, padding: int) -> tuple[int, int]:
    height, width = (
        n + 2 * padding - size - stride * (m - 1)
        for n, m in zip(x.shape[2:], gradient.shape[2:], strict=True)
    )
    return height, width


def _serves(x: Tensor) -> bool:
    quick = x.device.type == "cpu" and x.dtype == torch.bfloat16
    return quick and not torch.compiler.is_compiling()  # it would lose second derivatives


def _in_autocast_type(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """What autocast would do; it does not look into autograd functions."""
    kind = x.device.type
    if not torch.is_autocast_enabled(kind):
        return x, weight
    dtype = torch.get_autocast_dtype(kind)
    return x.to(dtype), weight.to(dtype)
