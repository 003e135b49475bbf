"""The networks of the VQ-VAE (van den Oord, Vinyals & Kavukcuoglu 2017, section 4.1).

The encoder: convolutions of 4 x 4 with stride 2, then two residual blocks (ReLU, 3 x 3, ReLU,
1 x 1). The decoder: two such blocks, then transposed convolutions of 4 x 4 with stride 2. All
hidden layers have the same width, 256 in the paper. A 1 x 1 convolution brings the encoder's maps
to the size of a code, a 3 x 3 one the codes back to the width.

Deviations: the number of halvings is free (the paper: 2 for CIFAR-10, 4 for ImageNet less one); a
3 x 3 convolution follows the last halving, so that what a place sees is not a grid of its own; and
the first of a residual block's convolutions has half the width.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.networks.layers.bias import Bias
from ganvas.networks.layers.convolution import Double, Halve


class Encoder(nn.Module):
    """Pictures (N, inputs, H, W) -> maps (N, outputs, H / 2^halvings, W / 2^halvings)."""

    def __init__(self, inputs: int, outputs: int, width: int, halvings: int, blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(halvings):
            layers += [Halve(width if i else inputs, width), Bias(width), nn.ReLU()]
        self.layers = nn.Sequential(
            *layers,
            nn.Conv2d(width, width, 3, padding=1),
            *(_Residual(width) for _ in range(blocks)),
            nn.ReLU(),
            nn.Conv2d(width, outputs, 1),
        )
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Encode."""
        maps: Tensor = self.layers(images)
        return maps


class Decoder(nn.Module):
    """Maps (N, inputs, h, w) -> pictures (N, outputs, h 2^halvings, w 2^halvings), no bounds."""

    def __init__(self, inputs: int, outputs: int, width: int, halvings: int, blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(halvings):
            channels = outputs if i == halvings - 1 else width
            layers += [nn.ReLU(), Double(width, channels), Bias(channels)]
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, width, 3, padding=1),
            *(_Residual(width) for _ in range(blocks)),
            *layers,
        )
        self.apply(_initialise)

    def forward(self, codes: Tensor) -> Tensor:
        """Decode."""
        images: Tensor = self.layers(codes)
        return images


class _Residual(nn.Module):
    """x plus ReLU, 3 x 3 convolution, ReLU, 1 x 1 convolution of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(width, max(1, width // 2), 3, padding=1)
        self.narrow = nn.Conv2d(max(1, width // 2), width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the two convolutions find."""
        found: Tensor = self.narrow(F.relu(self.wide(F.relu(x))))
        return x + found


def _initialise(module: nn.Module) -> None:
    """Draw weights for ReLUs (He et al. 2015, eq. 10)."""
    if isinstance(module, Double):  # of its 4 x 4 weights 2 x 2 meet in a pixel
        nn.init.normal_(module.weight, 0.0, (2 / (4 * module.in_channels)) ** 0.5)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
