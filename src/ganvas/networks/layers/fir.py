"""Filters: [1, 3, 3, 1] of StyleGAN2 (Karras et al. 2020b, appendix B) and [1, 2, 1] of StyleGAN.

Zeros lie beyond the border. Each is a linear operation whose transpose is another of them, so the
derivatives, of any order, are the quick forms below again. On two cores in bfloat16 a filter of 4 x
4 for each channel, in one convolution of channels-last maps, takes no longer than multiplying the
maps by a number twice, and less than two separable passes; but oneDNN's transpose with stride 2
takes 30 times that. So doubling is written as repetition, which is the filter [1, 1], followed by
[1, 2, 1] (0.7 instead of 35 ms for 4 x 256 maps of 64 x 64, one core of an AMD EPYC).
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_TAPS = 4


def double(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2H, 2W); a constant stays what it is away from the border."""
    return _apply(_Double, x, 1.0)


def halve(x: Tensor) -> Tensor:
    """(N, C, 2H, 2W) -> (N, C, H, W): a quarter of the transpose of `double`."""
    return _apply(_Halve, x, 1.0)


def blur(x: Tensor, padding: int, gain: float = 1.0, taps: int = _TAPS) -> Tensor:
    """(N, C, H, W) -> (N, C, H + 2 padding - 3, W + 2 padding - 3), times `gain`.

    Zeros are added around; padding 1 trims what a transposed convolution has too much, padding 2
    goes before a convolution with stride 2. With 3 taps it is [1, 2, 1], and a pixel more remains.
    """
    return _apply(_Blur, x, padding, gain, taps)


def _apply(operation: Any, x: Tensor, *how: Any) -> Tensor:
    # Filters keep the type of the maps: their results are as wide as what they average.
    with torch.autocast(x.device.type, enabled=False):
        if torch.compiler.is_compiling():  # it would lose second derivatives of autograd functions
            y: Tensor = operation.forward(x, *how)
        else:
            y = operation.apply(x, *how)
    return y


class _Double(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, gain: float) -> Tensor:
        return _filter(F.interpolate(x, scale_factor=2, mode="nearest"), 3, 1, 1, gain)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.gain = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _apply(_Halve, gradient, 4 * ctx.gain), None


class _Halve(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, gain: float) -> Tensor:
        return _filter(x, _TAPS, 2, 1, gain)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.gain = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _apply(_Double, gradient, ctx.gain / 4), None


class _Blur(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, padding: int, gain: float, taps: int) -> Tensor:
        return _filter(x, taps, 1, padding, gain)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.padding, ctx.gain, ctx.taps = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return blur(gradient, ctx.taps - 1 - ctx.padding, ctx.gain, ctx.taps), None, None, None


def _filter(x: Tensor, taps: int, stride: int, padding: int, gain: float) -> Tensor:
    """Each channel with a triangle in each direction, [1, 2, 1] or [1, 3, 3, 1], of sum `gain`."""
    weights = _weights if torch.compiler.is_compiling() else _remembered_weights
    weight = weights(x.shape[1], taps, gain, x.dtype, x.device)
    return F.conv2d(x, weight, None, stride, padding, groups=x.shape[1])


def _weights(
    channels: int, taps: int, gain: float, dtype: torch.dtype, device: torch.device
) -> Tensor:
    # From arange, not from a list, which would have to cross to a GPU.
    steps = torch.arange(taps, dtype=dtype, device=device)
    line = 2 - (steps - (taps - 1) / 2).abs()  # of sum 4
    return (gain / 16 * torch.outer(line, line)).repeat(channels, 1, 1, 1)


_remembered_weights = functools.lru_cache(maxsize=256)(_weights)
"""Making them takes longer than filtering maps of 32 x 32."""
