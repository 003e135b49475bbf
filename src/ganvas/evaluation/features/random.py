"""A convolutional network with random weights: features that need no download and no training.

Naeem et al. 2020 (arXiv 2002.09797, section 3.4) recommend the features of a randomly initialised
network where pictures are unlike ImageNet's: trained features there tell apart what ImageNet needed
and may be blind to the rest, random ones keep a bit of everything. Distances in them compare models
trained on the same data; they do not say how good a picture looks to a person.

The design, and why:

- Pictures are brought to 64x64, so that one network serves all of 16 to 256 pixels and some
  thousand pictures take a second on one core: it can run during training. Detail finer than that
  is not seen (`evaluation/sharpness.py` measures it at full resolution).
- Four strided 3x3 convolutions. Weights are He-normal (He et al. 2015), from NumPy's PCG64 with a
  fixed seed: the same numbers on every machine and in every version.
- Half of the first filters have their mean taken out. Those see edges and texture, the others
  mostly brightness and colour. Without, blur and noise hardly move the features beside a small
  change of colour; with all of them so, colour and missing modes hardly do.
- Features from all four depths, because which of them tells is not known beforehand: the first two
  averaged over each quarter of the picture, where things are; the others over all of it, what
  things are. That makes 384 numbers, few enough for the Fréchet distance of a thousand pictures.
"""

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.evaluation.features.base import Features, digest, to_rgb

SIDE = 64
"""Height and width that pictures are brought to."""

WIDTHS = (16, 32, 64, 128)
"""Channels of the convolutions."""

GRIDS = (2, 2, 1, 1)
"""Cells along each side over which their outputs are averaged."""

SEED = 0


class RandomFeatures(Features):
    """Averages of four layers of a fixed random network; no logits.

    Args:
        device: Where to compute.
    """

    name = "random"
    preparation = f"antialiased bilinear to {SIDE}x{SIDE}, x / 127.5 - 1"
    size = sum(width * grid**2 for width, grid in zip(WIDTHS, GRIDS, strict=True))

    def __init__(self, device: torch.device) -> None:
        self.device = device
        kernels = draw_kernels(SEED)
        named = {str(index): kernel for index, kernel in enumerate(kernels)}
        self.identity = digest(named, self.name, self.preparation, str(GRIDS))
        self._kernels = [kernel.to(device) for kernel in kernels]

    def compute(self, images: Tensor) -> tuple[Tensor, None]:
        """Features (B, 384)."""
        x = F.interpolate(
            to_rgb(images), (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True
        )
        x = x / 127.5 - 1
        features = []
        for kernel, grid in zip(self._kernels, GRIDS, strict=True):
            x = F.relu(F.conv2d(x, kernel, stride=2, padding=1))
            features.append(F.adaptive_avg_pool2d(x, grid).flatten(1))
        return torch.cat(features, dim=1), None


def draw_kernels(seed: int) -> list[Tensor]:
    """The weights (outputs, inputs, 3, 3) of all convolutions, float32."""
    draw = np.random.Generator(np.random.PCG64(seed)).standard_normal
    kernels = [
        draw((outputs, inputs, 3, 3)) * np.sqrt(2 / (inputs * 9))
        for inputs, outputs in pairwise((3, *WIDTHS))
    ]
    edges = kernels[0][WIDTHS[0] // 2 :]
    edges -= edges.mean(axis=(1, 2, 3), keepdims=True)
    return [torch.from_numpy(kernel.astype(np.float32)) for kernel in kernels]
