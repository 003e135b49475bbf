"""Equalised learning rate (Karras et al. 2018, section 4.1): layers scaled while they run.

Weights are drawn from N(0, 1) and multiplied at run time by 1 / sqrt(fan-in), He's constant without
the gain of the rectifier, so that Adam moves all of them at the same speed relative to their size.
A layer's learning rate can be multiplied (StyleGAN's mapping network learns 100 times slower): the
stored weights are larger by 1 / learning_rate and multiplied by learning_rate when they are used.

The rectifier of the family is LeakyReLU with slope 0.2 times sqrt(2), which keeps the variance. It
is positively homogeneous, so layers apply the sqrt(2) with their scale, not to the maps.
"""

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
"""Of the leaky rectifier below zero."""

GAIN = sqrt(2)
"""What the rectifier is multiplied by."""


def rectify(x: Tensor) -> Tensor:
    """sqrt(2) * leaky_relu(x, 0.2), of any shape."""
    return F.leaky_relu(GAIN * x, SLOPE)


class EqualisedLinear(nn.Module):
    """(..., inputs) -> (..., outputs).

    Args:
        inputs: Features that enter.
        outputs: Features that leave.
        bias: What the bias is at first; None for no bias.
        learning_rate: Multiplier of the learning rate, by way of the scale.
        activate: Whether `rectify` follows.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias: float | None = 0.0,
        learning_rate: float = 1.0,
        activate: bool = False,
    ) -> None:
        super().__init__()
        gain = GAIN if activate else 1.0
        self.activate = activate
        self.weight_gain = gain * learning_rate / sqrt(inputs)
        self.bias_gain = gain * learning_rate
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / learning_rate)
        self.bias = None
        if bias is not None:
            self.bias = nn.Parameter(torch.full((outputs,), bias / learning_rate))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply, add and, where asked for, rectify."""
        dtype = operand_type(x)
        bias = None if self.bias is None else self.bias_gain * self.bias.to(dtype)
        # The samples are scaled, not the weights, which are far more numbers.
        y = F.linear(self.weight_gain * x.to(dtype), self.weight.to(dtype), bias)
        return F.leaky_relu(y, SLOPE) if self.activate else y


class EqualisedConv2d(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H, W), with zeros beyond the border.

    Args:
        inputs: Channels that enter.
        outputs: Channels that leave.
        kernel: Its height and width, odd.
        bias: Whether a learnt number is added to each channel, 0 at first.
        activate: Whether `rectify` follows.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, bias: bool = True, activate: bool = False
    ) -> None:
        super().__init__()
        gain = GAIN if activate else 1.0
        self.activate = activate
        self.weight_gain = gain / sqrt(inputs * kernel**2)
        self.bias_gain = gain
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and, where asked for, rectify."""
        weight, bias = self.scaled(x)
        y = torch.conv2d(x.to(weight.dtype), weight, bias, padding=self.weight.shape[2] // 2)
        return F.leaky_relu(y, SLOPE, inplace=True) if self.activate else y

    def scaled(self, x: Tensor, gain: float = 1.0) -> tuple[Tensor, Tensor | None]:
        """The weight and bias, times `gain`, with which (and in whose type) x is convolved."""
        dtype = operand_type(x)
        weight = (gain * self.weight_gain) * self.weight.to(dtype)
        bias = None if self.bias is None else (gain * self.bias_gain) * self.bias.to(dtype)
        return weight, bias


def operand_type(x: Tensor) -> torch.dtype:
    """The type in which autocast, where it is on, multiplies x; else x's own."""
    device = x.device.type
    if x.dtype != torch.float64 and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return x.dtype
