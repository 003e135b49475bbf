"""Convolutions whose input channels a style scales (Karras et al. 2020b, section 2.2).

Sample n is convolved with weights of its own, w'_oik = s_ni * w_oik (eq. 1), divided by their norm
d_no = sqrt(sum_ik w'_oik^2 + eps) (eq. 3). As a convolution is linear, this is one convolution with
the weights that all samples share, whose input channels are multiplied by s and whose output
channels by 1 / d (appendix B). That needs no weights for each sample; `modulated_plainly` has them,
as the papers write it, and is what the tests compare with.

The weights need no equalised learning rate where they are divided by their norm: a constant factor
would cancel.

Drawing a single picture on a CPU, what is made of the weights alone (their squares' sums and their
copies in bfloat16) would take a third of the time: layers in evaluation mode remember it while no
gradient is asked for and the weights stay as they are.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.networks.layers import fir, strided
from ganvas.networks.layers.equalised import GAIN, SLOPE, EqualisedLinear

_EPSILON = 1e-8


class StyledConvolution(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias, rectifier: (N, inputs, H, W) to (N, outputs, ...).

    Args:
        inputs: Channels that enter.
        outputs: Channels that leave.
        latent_size: Numbers of w.
        shape: Height and width of what leaves.
        doubles: Whether these are twice those of what enters.
    """

    noise: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        latent_size: int,
        shape: tuple[int, int],
        *,
        doubles: bool = False,
    ) -> None:
        super().__init__()
        self.doubles = doubles
        self.style = EqualisedLinear(latent_size, inputs, bias=1.0)
        # As a transposed convolution has it where it doubles: oneDNN is slow to turn it round.
        ends = (inputs, outputs) if doubles else (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(*ends, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(shape))
        self._remembered: _Kernel | None = None

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """Draw; w (N, latent_size) float32, noise (1 or N, 1, H, W) or None for none."""
        kernel = self._kernel(x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            style = self.style(w)
            scale = GAIN * demodulation(kernel.squares, style)
        y = modulated(x, kernel.weight, style, doubles=self.doubles)
        bias = (GAIN * self.bias).to(y.dtype)[:, None, None]
        if noise is None:
            y = _scale_and_add(y, scale, bias)
        else:
            y = _scale_and_add(y, scale, (GAIN * self.noise_strength * noise).to(y.dtype))
            y = y.add_(bias)  # whoever scaled does not need what came of it
        return F.leaky_relu(y, SLOPE, inplace=True)

    def train(self, mode: bool = True) -> Self:
        """Forget what is remembered: a fused optimiser's steps do not count as writing."""
        if mode != self.training:
            self._remembered = None
        return super().train(mode)

    def _kernel(self, dtype: torch.dtype) -> "_Kernel":
        if torch.compiler.is_compiling():
            return _prepare(self.weight, dtype, self.doubles)
        # Elsewhere than on a CPU a recorded graph could outlive what is remembered.
        if self.training or torch.is_grad_enabled() or self.weight.device.type != "cpu":
            self._remembered = None
            return _prepare(self.weight, dtype, self.doubles)
        known = self._remembered
        if known is None or not known.is_of(self.weight, dtype):
            known = self._remembered = _prepare(self.weight, dtype, self.doubles)
        return known


def _scale_and_add(y: Tensor, scale: Tensor, added: Tensor) -> Tensor:
    """y (N, C, H, W) times scale (N, C), plus what is added; in place of y without gradients."""
    scale = scale.to(y.dtype)[:, :, None, None]
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return torch.addcmul(added, y, scale)
    return torch.addcmul(added, y, scale, out=y)


@dataclass(frozen=True)
class _Kernel:
    """What is made of a layer's weights alone.

    Attributes:
        source: The weights.
        version: How often they had been written to.
        weight: They, in the type of the maps.
        squares: Their squares' sums over the kernel, (outputs, inputs), float32.
    """

    source: Tensor
    version: int
    weight: Tensor
    squares: Tensor

    def is_of(self, weight: Tensor, dtype: torch.dtype) -> bool:
        """Whether it would be made the same way again."""
        return (
            self.source is weight and self.version == weight._version and self.weight.dtype == dtype
        )


def _prepare(weight: Tensor, dtype: torch.dtype, doubles: bool) -> _Kernel:
    squares = weight.square().sum((2, 3))
    version = 0 if torch.compiler.is_compiling() else weight._version
    return _Kernel(weight, version, weight.to(dtype), squares.t() if doubles else squares)


class ToImage(nn.Module):
    """Modulated 1 x 1 convolution, not demodulated: (N, inputs, H, W) -> (N, channels, H, W)."""

    def __init__(self, inputs: int, channels: int, latent_size: int) -> None:
        super().__init__()
        self.gain = 1 / sqrt(inputs)
        self.style = EqualisedLinear(latent_size, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Draw, in float32 or wider."""
        n, channels, height, width = x.shape
        with torch.autocast(x.device.type, enabled=False):
            style = self.gain * self.style(w)
            # Few outputs: weights for each sample are less than the maps times the style.
            weight = (style[:, :, None] * self.weight.flatten(1).t()).to(x.dtype)
            pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, channels)
            y = torch.bmm(pixels, weight).to(self.bias.dtype) + self.bias
        return y.view(n, height, width, -1).permute(0, 3, 1, 2)


def modulated(x: Tensor, weight: Tensor, style: Tensor, *, doubles: bool = False) -> Tensor:
    """Convolve x (N, I, H, W), times style (N, I), with weight (O, I, 3, 3).

    With `doubles` the maps become twice as large (zeros in between, convolution, filter), and the
    weight is (I, O, 3, 3).
    """
    x = x * style.to(x.dtype)[:, :, None, None]
    if not doubles:
        return torch.conv2d(x, weight, padding=1)
    return fir.blur(strided.double(x, weight), 1, gain=4)


def demodulation(squares: Tensor, style: Tensor) -> Tensor:
    """1 / |w'|, (N, O), by the sums of the squares (O, I) and each style (N, I) (eq. 3)."""
    return (style.square() @ squares.t() + _EPSILON).rsqrt()


def modulated_plainly(x: Tensor, weight: Tensor, style: Tensor, *, doubles: bool = False) -> Tensor:
    """The same, divided by the norm, with weights for each sample, as one grouped convolution."""
    n, _, height, width = x.shape
    if doubles:
        weight = weight.transpose(0, 1)
    own = weight * style[:, None, :, None, None]  # eq. 1: (N, O, I, k, k)
    own = own * (own.square().sum((2, 3, 4), keepdim=True) + _EPSILON).rsqrt()  # eq. 3
    stacked = x.reshape(1, -1, height, width)
    if doubles:
        filters = own.transpose(1, 2).flatten(0, 1)
        y = fir.blur(torch.conv_transpose2d(stacked, filters, stride=2, groups=n), 1, gain=4)
    else:
        y = torch.conv2d(stacked, own.flatten(0, 1), padding=1, groups=n)
    return y.view(n, -1, *y.shape[2:])
