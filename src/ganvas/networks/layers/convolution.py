"""DCGAN's convolutions, 4 x 4 with stride 2, with a faster weight gradient on CPUs in bfloat16.

oneDNN's bfloat16 kernel for the weight gradient is slow on small maps: at 8 x 8 -> 4 x 4, 256 to
512 channels and a batch of 64 it took 11 to 15 ms, more than in float32, and the matrix product
below 6 ms (two cores of an AMD EPYC with AVX512-BF16). Everywhere else PyTorch's own kernels serve.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

_SMALL = 64
"""Pixels of the smaller map up to which the matrix product was measured to be faster."""


class Halve(nn.Conv2d):
    """(N, inputs, 2H, 2W) -> (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        x, weight = _in_autocast_type(x, self.weight)
        if _pays(x, x.shape[2] * x.shape[3] // 4):
            halved: Tensor = _Halve.apply(x, weight)  # type: ignore[no-untyped-call]
            return halved
        return F.conv2d(x, weight, None, stride=2, padding=1)


class Double(nn.ConvTranspose2d):
    """(N, inputs, H, W) -> (N, outputs, 2H, 2W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve, transposed."""
        x, weight = _in_autocast_type(x, self.weight)
        if _pays(x, x.shape[2] * x.shape[3]):
            doubled: Tensor = _Double.apply(x, weight)  # type: ignore[no-untyped-call]
            return doubled
        return F.conv_transpose2d(x, weight, None, stride=2, padding=1)


class _Halve(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, stride=2, padding=1)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        by_x, by_weight = ctx.needs_input_grad
        return (
            F.conv_transpose2d(gradient, weight, None, stride=2, padding=1) if by_x else None,
            _weight_gradient(x, gradient) if by_weight else None,
        )


class _Double(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv_transpose2d(x, weight, None, stride=2, padding=1)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        by_x, by_weight = ctx.needs_input_grad
        return (
            F.conv2d(gradient, weight, None, stride=2, padding=1) if by_x else None,
            _weight_gradient(gradient, x) if by_weight else None,
        )


def _weight_gradient(large: Tensor, small: Tensor) -> Tensor:
    """sum over n, h, w of small[n, s, h, w] * large[n, l, 2h + i - 1, 2w + j - 1]: (S, L, 4, 4)."""
    padded = F.pad(large.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))  # channels last, as they lie
    windows = padded.unfold(1, 4, 2).unfold(2, 4, 2)  # (N, H, W, L, 4, 4)
    patches = windows.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(0, 2)
    product = small.permute(0, 2, 3, 1).flatten(0, 2).t() @ patches
    return product.view(small.shape[1], 4, 4, large.shape[1]).permute(0, 3, 1, 2)


def _pays(x: Tensor, pixels: int) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.bfloat16 and pixels <= _SMALL


def _in_autocast_type(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """What autocast would do; it does not look into autograd functions."""
    kind = x.device.type
    if not torch.is_autocast_enabled(kind):
        return x, weight
    dtype = torch.get_autocast_dtype(kind)
    return x.to(dtype), weight.to(dtype)
