"""The PatchGAN (Isola et al. 2017, section 3.3): judges each patch of a picture by itself.

Section 6.1.2 of the paper's appendix: C64-C128-C256-C512, 4 x 4 convolutions, and a last one to a
number for each patch. All but the last of `layers` + 1 have stride 2, and every answer depends on a
field of 16, 34, 70, 142 or 286 pixels for 1 to 5 layers. LeakyReLU (slope 0.2), no norm at the
first layer, weights from N(0, 0.02^2). pix2pix gives it input and output as one picture of all
channels, with norms that have scale and bias; CycleGAN a single picture, with plain ones and
convolutions that have biases (Zhu et al. 2017, section 7.2).

Deviation: pix2pix's batch norm is that of each picture, as in `networks/unet.py`.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.networks.layers.picture_norm import PictureNorm
from ganvas.networks.layers.products import Convolution
from ganvas.networks.unet import SLOPE, initialise


def field(layers: int) -> int:
    """Side of the square, in pixels, that an answer of `PatchGan(layers=layers)` depends on."""
    pixels = 7  # of the two last layers
    for _ in range(layers):
        pixels = 2 * pixels + 2
    return pixels


def patchgan(
    shape: tuple[int, int, int], width: int = 64, layers: int = 3, *, affine: bool
) -> "PatchGan":
    """The PatchGAN for pictures of this shape (C, H, W).

    Raises ConfigError where so many layers leave no answer for a picture of this size.
    """
    channels, *size = shape
    if layers < 1 or min(size) < smallest(layers):
        fitting = [n for n in range(1, layers) if min(size) >= smallest(n)]
        advice = (
            f"Set model.discriminator_layers to {fitting[-1]} (patches of {field(fitting[-1])} px)."
            if fitting else f"It needs pictures of {smallest(1)} px or more, and 1 layer or more."
        )  # fmt: skip
        raise ConfigError(
            f"a PatchGAN of {layers} layers has no answer for pictures of {size[0]}x{size[1]} px. "
            + advice
        )
    return PatchGan(channels, width, layers, affine=affine)


def smallest(layers: int) -> int:
    """The shortest side of a picture, in pixels, for which there is an answer."""
    return int(3 * 2**layers)


class PatchGan(nn.Module):
    """Pictures (N, inputs, H, W) -> logits of "real" (N, 1, h, w), one for each patch.

    Args:
        inputs: Channels of a picture, or of input and output together.
        width: Channels of the first layer, which double with each up to 8 times as many.
        layers: Layers with stride 2.
        affine: Whether norms have scale and bias, and not convolutions before them.
    """

    def __init__(self, inputs: int, width: int = 64, layers: int = 3, *, affine: bool) -> None:
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(layers + 1)]
        self.first = nn.Conv2d(inputs, widths[0], 4, stride=2, padding=1)
        self.convolutions = nn.ModuleList(
            Convolution(a, b, 4, stride=2 if i < layers else 1, padding=1, bias=not affine)
            for i, (a, b) in enumerate(pairwise(widths), start=1)
        )
        self.norms = nn.ModuleList(PictureNorm(w, affine) for w in widths[1:])
        self.head = nn.Conv2d(widths[-1], 1, 4, 1, 1)
        self.apply(initialise)

    def forward(self, images: Tensor, labels: None = None) -> Tensor:
        """Judge; `labels` is there for the penalties, which pass it to every network."""
        x = F.leaky_relu(self.first(images), SLOPE)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.leaky_relu(norm(convolution(x)), SLOPE)
        logits: Tensor = self.head(x)
        return logits
