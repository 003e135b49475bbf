"""CycleGAN's translator (Zhu et al. 2017, section 7.2), of Johnson et al. 2016: residual blocks.

c7s1-64, d128, d256, R256 (9 times, or 6 for pictures of 128 px), u128, u64, c7s1-3: convolutions of
7 x 7, of 3 x 3 with stride 2, residual blocks of two of 3 x 3, and their transposes with stride
1/2. Each picture's channels are normalised by themselves (instance norm), without scale and bias;
ReLU; tanh at the end. The 7 x 7 convolutions and those of the blocks see the picture reflected
beyond its border. Weights are drawn from N(0, 0.02^2).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.networks.layers.narrow import NarrowConvolution
from ganvas.networks.layers.picture_norm import picture_norm
from ganvas.networks.layers.products import Convolution, Transposed
from ganvas.networks.layers.reflection import reflected
from ganvas.networks.unet import initialise, same_size


def translator(
    shape: tuple[int, int, int],
    target_shape: tuple[int, int, int],
    width: int = 64,
    blocks: int = 9,
) -> "Translator":
    """The network from pictures of one shape (C, H, W) to those of another, of the same size.

    Raises ConfigError where the sizes differ.
    """
    same_size(shape, target_shape)
    return Translator(shape[0], target_shape[0], width, blocks)


class Translator(nn.Module):
    """Pictures (N, inputs, H, W) -> (N, outputs, H, W) in [-1, 1].

    Sides are multiples of 4 and at least 8.

    Args:
        inputs: Channels of the pictures that enter.
        outputs: Channels of those that leave.
        width: Channels at full resolution; 4 times as many in the blocks.
        blocks: Residual blocks.
    """

    multiple = 4

    def __init__(self, inputs: int, outputs: int, width: int = 64, blocks: int = 9) -> None:
        super().__init__()
        self.enter = Convolution(inputs, width, 7, bias=True)
        self.down = nn.ModuleList(
            Convolution(w, 2 * w, 3, stride=2, padding=1, bias=True) for w in (width, 2 * width)
        )
        self.blocks = nn.ModuleList(Block(4 * width) for _ in range(blocks))
        self.up = nn.ModuleList(Transposed(2 * w, w, 3, bias=True) for w in (2 * width, width))
        self.leave = NarrowConvolution(width, outputs, 7)
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Translate."""
        x = F.relu(picture_norm(self.enter(_reflected(images, 3))))
        for halve in self.down:
            x = F.relu(picture_norm(halve(x)))
        for block in self.blocks:
            x = block(x)
        for double in self.up:
            x = F.relu(picture_norm(double(x)))
        x = self.leave(_reflected(x, 3))
        return torch.tanh(x)


class Block(nn.Module):
    """Adds to (N, channels, H, W) what two convolutions make of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Convolution(channels, channels, 3, bias=True)
        self.second = Convolution(channels, channels, 3, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve twice, and add."""
        y = F.relu(picture_norm(self.first(_reflected(x, 1))))
        change = picture_norm(self.second(_reflected(y, 1)))
        return x + change


def _reflected(x: Tensor, margin: int) -> Tensor:
    if x.device.type != "cpu":  # CUDA's own gradient of it differs from run to run
        return reflected(reflected(x, 2, margin, margin), 3, margin, margin)
    with torch.autocast("cpu", enabled=False):  # it would pad in float32
        return F.pad(x, (margin, margin, margin, margin), mode="reflect")
