"""The U-Net of pix2pix (Isola et al. 2017): an encoder, a decoder, and ways around the middle.

Section 6.1.1 of the paper's appendix: strided 4 x 4 convolutions, C64-C128-C256-C512-C512-C512-...
down to a single pixel, and their mirror image, whose layers also see what the encoder had at their
resolution. LeakyReLU (slope 0.2) in the encoder, ReLU in the decoder, tanh at the end; no norm at
the first layer, nor at the innermost, which the norm of one pixel would turn to 0 (the paper's
erratum). The first three layers of the decoder lose half of their features at random, while
training and afterwards: this is the network's only noise (section 3.1). Weights are drawn from
N(0, 0.02^2), the norms' scales from N(1, 0.02^2).

The paper normalises with the statistics of the batch it is given, when translating too, and trains
with one picture in a batch (section 3.4). Here each picture is normalised by itself whatever the
batch, so that a picture's translation does not depend on what it is translated with.

Deviations, each beyond what the paper covers:
- Sizes other than 256 px have as many layers as fit (`depth_of`), never more than the paper's
  eight.
- The dropout is the caller's: where no numbers are given there is none, and the numbers of a
  picture are its own.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.networks.layers.bias import Bias
from ganvas.networks.layers.picture_norm import PictureNorm
from ganvas.networks.layers.products import Convolution, Transposed

Uniform = Callable[..., Tensor]
"""A shape without its first number -> numbers (N, *shape), equally likely anywhere in [0, 1)."""

MAX_DEPTH, MIN_DEPTH = 8, 2
SLOPE = 0.2
NOISY = 3
"""Layers of the decoder that have dropout."""


def unet(
    shape: tuple[int, int, int],
    target_shape: tuple[int, int, int],
    width: int = 64,
    max_width: int = 512,
    dropout: float = 0.5,
) -> "UNet":
    """The U-Net from pictures of one shape (C, H, W) to those of another, of the same size.

    Raises ConfigError where the sizes differ.
    """
    same_size(shape, target_shape)
    return UNet(
        shape[0], target_shape[0], width, depth_of(*shape[1:]), max_width=max_width, dropout=dropout
    )


def same_size(shape: tuple[int, int, int], target_shape: tuple[int, int, int]) -> None:
    """Raise ConfigError unless both have the same height and width."""
    if shape[1:] != target_shape[1:]:
        sizes = ["x".join(map(str, size[1:])) for size in (shape, target_shape)]
        raise ConfigError(
            f"the pictures to translate are {sizes[0]} px and their targets {sizes[1]} px, but "
            "these networks keep the size. Give both the same, for example with --resolution "
            f"{sizes[0]}."
        )


def depth_of(height: int, width: int) -> int:
    """How often a picture can be halved without adding more than an eighth to either side.

    From 2 to 8 times: 8 at 256 px, 7 at 128, 6 at 64, 5 at 96 (whose innermost maps are 3 x 3).
    """
    fitting = [
        depth
        for depth in range(MIN_DEPTH, MAX_DEPTH + 1)
        if all(-(-side // 2**depth) * 2**depth <= side * 9 / 8 for side in (height, width))
    ]
    return max(fitting, default=MIN_DEPTH)


class UNet(nn.Module):
    """Pictures (N, inputs, H, W) -> (N, outputs, H, W) in [-1, 1]; sides are multiples of 2^depth.

    Args:
        inputs: Channels of the pictures that enter.
        outputs: Channels of those that leave.
        width: Channels at half the resolution, which double with each halving.
        depth: How often the picture is halved.
        max_width: The most channels.
        dropout: The share of the features that a noisy layer loses.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 64,
        depth: int = MAX_DEPTH,
        max_width: int = 512,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.multiple = 2**depth
        widths = [min(width * 2**i, max_width) for i in range(depth)]
        self.down = nn.ModuleList(
            Convolution(a, b, 4, stride=2, padding=1, bias=False)
            for a, b in pairwise([inputs, *widths])
        )
        self.down_norms = nn.ModuleList(PictureNorm(w, affine=True) for w in widths[1:-1])
        around = [0, *reversed(widths[:-1])]  # channels that come the short way
        self.up = nn.ModuleList(
            Transposed(a + b, c, 4, bias=False)
            for a, b, c in zip(
                [widths[-1], *around[1:]], around, [*around[1:], outputs], strict=True
            )
        )
        self.up_norms = nn.ModuleList(PictureNorm(w, affine=True) for w in around[1:])
        self.bias = Bias(outputs)
        self.apply(initialise)

    def forward(self, images: Tensor, uniform: Uniform | None = None) -> Tensor:
        """Translate; without `uniform`, no dropout."""
        x = self.down[0](images)
        skips = [x]
        for halve, norm in zip(self.down[1:-1], self.down_norms, strict=True):
            x = norm(halve(F.leaky_relu(x, SLOPE)))
            skips.append(x)
        x = F.relu(self.down[-1](F.leaky_relu(x, SLOPE)))
        for i, (double, norm) in enumerate(zip(self.up[:-1], self.up_norms, strict=True)):
            x = norm(double(x))
            if uniform is not None and i < NOISY:
                x = self._drop(x, uniform)
            # Not after joining: gradients of the parts would not lie as the norm's kernel wants.
            x = torch.cat([F.relu(x), F.relu(skips.pop())], 1)
        return torch.tanh(self.bias(self.up[-1](x)))

    def _drop(self, x: Tensor, uniform: Uniform) -> Tensor:
        kept = uniform(*x.shape[1:]) >= self.dropout
        return x * (kept.to(x.dtype) / (1 - self.dropout))


def initialise(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02^2) and norms' scales from N(1, 0.02^2); biases are 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, PictureNorm) and module.weight is not None:
        nn.init.normal_(module.weight, 1.0, 0.02)
