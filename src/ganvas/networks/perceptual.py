"""Frozen networks through whose eyes pictures are compared: `losses.perceptual`.

- `RandomEyes`: convolutions with random weights, which need no download and no labels. Like the
  random features of the evaluation they see edges as well as colours, but their weights are others
  and they look at the full resolution: who is scored by a network should not train on it.
- `ClassifierEyes`: the stages of a classifier of the data at hand.
- `VggEyes`: VGG16 (Simonyan & Zisserman 2015) with the channel weights of LPIPS (Zhang et al. 2018,
  section 3), from local files.

Each gives maps of several depths for pictures (N, C, H, W) in [-1, 1], and has `weights` for their
channels, or None. They are made to be used in evaluation mode, never trained.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.networks.classifier import Classifier


class Eyes(nn.Module):
    """Pictures (N, C, H, W) in [-1, 1] -> maps of several layers, each (N, C', H', W')."""

    weights: Sequence[Tensor] | None = None
    """Of the channels of each layer, (C',)."""


class RandomEyes(Eyes):
    """Three convolutions of 3 x 3, each on maps of half the size, drawn as He et al. 2015 say.

    From NumPy's PCG64 with a fixed seed: the same numbers on every machine. Half of the first
    filters have their mean taken out: those see edges, the others mostly colour.
    """

    WIDTHS = (32, 64, 128)
    SEED = 1  # 0 is that of the evaluation's features

    def __init__(self, channels: int) -> None:
        super().__init__()
        draw = np.random.Generator(np.random.PCG64(self.SEED)).standard_normal
        for i, (inputs, outputs) in enumerate(pairwise((channels, *self.WIDTHS))):
            kernel = draw((outputs, inputs, 3, 3)) * np.sqrt(2 / (inputs * 9))
            if i == 0:
                edges = kernel[outputs // 2 :]
                edges -= edges.mean(axis=(1, 2, 3), keepdims=True)
            self.register_buffer(f"kernel{i}", torch.from_numpy(kernel.astype(np.float32)))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Look."""
        maps: list[Tensor] = []
        x = images
        for i, kernel in enumerate(self.buffers()):
            # Maps of one pixel cannot be halved.
            x = F.avg_pool2d(x, 2) if i and min(x.shape[2:]) > 1 else x
            x = F.relu(F.conv2d(x, kernel, padding=1))
            maps.append(x)
        return maps


class ClassifierEyes(Eyes):
    """All stages of a trained classifier of pictures of this very size."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> list[Tensor]:
        """Look."""
        return self.network.maps(images)


class VggEyes(Eyes):
    """The last ReLUs before each halving of VGG16, and LPIPS's weights of their channels.

    Grey pictures are repeated, RGBA ones laid on white. Pictures need 16 pixels or more each way.

    Args:
        convolutions: `features.0.weight`, `features.0.bias`, ... as torchvision publishes them.
        channel_weights: `lin0.model.1.weight` to `lin4.model.1.weight`, each (1, C, 1, 1), as the
            authors of LPIPS publish them.

    Raises:
        KeyError: A tensor is missing.
        ValueError: A tensor is of another shape.
    """

    STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
    WIDTHS = (64, 128, 256, 512, 512)
    SMALLEST = 16
    MEAN = (-0.030, -0.088, -0.188)
    SPREAD = (0.458, 0.448, 0.450)

    def __init__(
        self, convolutions: Mapping[str, Tensor], channel_weights: Mapping[str, Tensor]
    ) -> None:
        super().__init__()
        inputs = 3
        for stage, width in zip(self.STAGES, self.WIDTHS, strict=True):
            for index in stage:
                weight = _checked(convolutions, f"features.{index}.weight", (width, inputs, 3, 3))
                bias = _checked(convolutions, f"features.{index}.bias", (width,))
                self.register_buffer(f"weight{index}", weight)
                self.register_buffer(f"bias{index}", bias)
                inputs = width
        for i, width in enumerate(self.WIDTHS):
            weight = _checked(channel_weights, f"lin{i}.model.1.weight", (1, width, 1, 1))
            self.register_buffer(f"channels{i}", weight.flatten())

    @property
    def weights(self) -> list[Tensor]:  # type: ignore[override]
        """LPIPS's."""
        return [self.get_buffer(f"channels{i}") for i in range(len(self.WIDTHS))]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Look."""
        mean, spread = (images.new_tensor(v)[:, None, None] for v in (self.MEAN, self.SPREAD))
        x = (_rgb(images) - mean) / spread
        maps: list[Tensor] = []
        for i, stage in enumerate(self.STAGES):
            x = F.max_pool2d(x, 2) if i else x
            for index in stage:
                weight, bias = (self.get_buffer(f"{name}{index}") for name in ("weight", "bias"))
                x = F.relu(F.conv2d(x, weight, bias, padding=1))
            maps.append(x)
        return maps


def _rgb(images: Tensor) -> Tensor:
    """Grey or RGBA pictures in [-1, 1] as RGB."""
    if images.shape[1] == 1:
        return images.expand(-1, 3, -1, -1)
    if images.shape[1] == 4:
        return torch.lerp(torch.ones_like(images[:, :3]), images[:, :3], (images[:, 3:] + 1) / 2)
    return images


def _checked(tensors: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    """The tensor of a name, of which the shape is known."""
    found = tensors[name]
    if tuple(found.shape) != shape or not found.is_floating_point():
        raise ValueError(f"{name} is {tuple(found.shape)} {found.dtype}, not {shape} numbers")
    return found.float()
