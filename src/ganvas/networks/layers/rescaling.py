"""Convolutions of StyleGAN (Karras et al. 2019) that double or halve the maps, and their parts.

Maps are doubled by repeating pixels and halved by averaging 2 x 2, and blurred with the binomial
filter [1, 2, 1] after the one and before the other (appendix C; Zhang 2019). On large maps a 3 x 3
convolution becomes one step with the doubling before it, or the halving behind it: a transposed
convolution, or one with stride 2, whose 4 x 4 weights are sums of the 3 x 3 ones. That is the same
function at 4/9 of the multiplications; on small maps preparing the weights costs more than it saves
(0.5 to 0.7 times the time for 512 channels, 32 px and more to 64, 2 to 5 times at 4 to 8 px; one
core of an AMD EPYC, float32 and bfloat16).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.networks.layers import fir
from ganvas.networks.layers.equalised import GAIN, SLOPE, EqualisedConv2d

_LARGE = 32 * 32
"""Pixels of the smaller maps from which on steps are fused."""


class Convolution(EqualisedConv2d):
    """A 3 x 3 convolution with He's gain sqrt(2), for a bias and a rectifier to follow."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        weight, _ = self.scaled(x, GAIN)
        return torch.conv2d(x.to(weight.dtype), weight, padding=1)


class Doubling(EqualisedConv2d):
    """(N, inputs, H, W) -> (N, outputs, 2H, 2W): `double`, then `Convolution`, then `blur`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Double, convolve and blur."""
        weight, _ = self.scaled(x, GAIN)
        x = x.to(weight.dtype)
        if x.shape[2] * x.shape[3] < _LARGE:
            return blur(torch.conv2d(double(x), weight, padding=1))
        kernel = over_equal_pixels(weight).flip(2, 3).transpose(0, 1)
        return blur(torch.conv_transpose2d(x, kernel, stride=2, padding=1))


class Halving(EqualisedConv2d):
    """(N, inputs, 2H, 2W) -> (N, outputs, H, W): `blur`, convolution, `halve`, bias, rectifier."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, activate=True)

    def forward(self, x: Tensor) -> Tensor:
        """Blur, convolve, halve and rectify."""
        weight, bias = self.scaled(x)
        x = blur(x).to(weight.dtype)
        if x.shape[2] * x.shape[3] < 4 * _LARGE:
            y = halve(torch.conv2d(x, weight, bias, padding=1))  # a mean keeps the bias
        else:
            kernel = over_equal_pixels(weight) / 4
            y = torch.conv2d(x, kernel, bias, stride=2, padding=1)
        return F.leaky_relu(y, SLOPE)


def blur(x: Tensor) -> Tensor:
    """(N, C, H, W) filtered with [1, 2, 1] / 4 in both directions, zeros beyond the border."""
    return fir.blur(x, 1, taps=3)


def double(images: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2H, 2W), each pixel four times."""
    return F.interpolate(images, scale_factor=2)


def halve(images: Tensor) -> Tensor:
    """(N, C, 2H, 2W) -> (N, C, H, W), the means of 2 x 2 pixels."""
    return F.avg_pool2d(images, 2)


def over_equal_pixels(kernel: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 4, 4): what the kernel does with 2 x 2 equal pixels in its place."""
    padded = F.pad(kernel, (1, 1, 1, 1))
    tall = padded[..., 1:, :] + padded[..., :-1, :]
    return tall[..., 1:] + tall[..., :-1]
