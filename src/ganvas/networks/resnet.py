"""The ResNet GAN of WGAN-GP (Gulrajani et al. 2017) and SNGAN (Miyato et al. 2018), 32 to 128 px.

Both papers have the same generator and, but for the normalisation and the end, the same
discriminator (in their appendices; Miyato et al.'s tables 4 to 6):

    WGAN-GP   Generator(width=128), Discriminator(width=128, norm="none"): averages the last map
    SNGAN     Generator(width=256), Discriminator(width=128, norm="spectral"): sums it

Up to 32 px `width` is the number of channels of every layer, and the discriminator halves the image
twice and adds two blocks at that size, as both papers have it for CIFAR-10. Larger images have
`width` channels at full size and twice as many with each halving, up to 16 * width: SNGAN's tables
for 48 and 128 px with width=64. The discriminator then halves down to a shorter side of at most 4
and adds one block, doubling the channels once more.

Classes are those of Miyato & Koyama 2018: batch norm with a scale and bias for each class in the
generator's blocks, projection in the discriminator. Weights are drawn as in both papers' code:
uniform, with the variance of Glorot & Bengio 2010, twice that in the 3 x 3 convolutions of blocks.

Deviations: other sizes and grids than the papers' (`base_grid`); WGAN-GP's classes were learnt by
an auxiliary classifier; `norm` = "batch" and "layer" for comparison (Gulrajani et al., section 4).
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.networks.dcgan import base_grid
from ganvas.networks.layers.batch_norm import BatchNorm2d, ConditionalBatchNorm2d
from ganvas.networks.layers.labels import check_labels
from ganvas.networks.layers.minibatch import Minibatch
from ganvas.networks.layers.normalisation import Normalisation, norm_of_weights
from ganvas.networks.layers.projection import ProjectionHead
from ganvas.networks.layers.residual import DiscriminatorBlock, GeneratorBlock

_CONSTANT_WIDTH_UP_TO = 32
_LARGEST_MULTIPLE = 16
_SMALLEST_MAP = 4


class Generator(nn.Module):
    """z (N, latent_size) and labels (N,) -> images (N, C, H, W) in [-1, 1]."""

    def __init__(
        self, latent_size: int, shape: tuple[int, int, int], width: int = 128, classes: int = 0
    ) -> None:
        super().__init__()
        self.classes = classes
        channels, height, width_px = shape
        h0, w0, n = base_grid(height, width_px)
        widths = [width] * (n + 1)
        if min(height, width_px) > _CONSTANT_WIDTH_UP_TO:
            widths = [width * min(2**i, _LARGEST_MULTIPLE) for i in reversed(range(n + 1))]
        self.grid = (widths[0], h0, w0)
        self.project = nn.Linear(latent_size, widths[0] * h0 * w0)
        norm: Callable[[int], nn.Module] = (
            partial(ConditionalBatchNorm2d.of_classes, classes=classes) if classes else BatchNorm2d
        )
        self.blocks = nn.ModuleList(
            GeneratorBlock(before, after, norm) for before, after in pairwise(widths)
        )
        self.norm = BatchNorm2d(widths[-1])
        self.output = nn.Conv2d(widths[-1], channels, 3, padding=1)
        _initialise(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw the images that belong to the latents."""
        condition = check_labels(labels) if self.classes else None
        x = self.project(z).unflatten(1, self.grid).contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = block(x, condition)
        return torch.tanh(self.output(F.relu(self.norm(x))))


class Discriminator(nn.Module):
    """Images (N, C, H, W) and labels (N,) -> (N, outputs), without a final activation."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int = 128,
        classes: int = 0,
        outputs: int = 1,
        norm: Normalisation = "none",
        minibatch: Minibatch = "none",
    ) -> None:
        super().__init__()
        self.sums = norm == "spectral"
        channels, height, width_px = shape
        widths, halvings = _discriminator_widths(width, height, width_px)
        blocks = [DiscriminatorBlock(channels, widths[0], widths[0], norm, first=True)]
        for i, (before, after) in enumerate(pairwise(widths), start=1):
            blocks.append(DiscriminatorBlock(before, after, before, norm, halve=i < halvings))
        self.blocks = nn.Sequential(*blocks)
        self.head = ProjectionHead(widths[-1], outputs, classes, minibatch)
        _initialise(self)
        norm_of_weights(norm, self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judge (or encode) the images."""
        features = F.relu(self.blocks(images))
        pooled = features.sum((2, 3)) if self.sums else features.mean((2, 3))
        outputs: Tensor = self.head(pooled, labels)
        return outputs


def _discriminator_widths(width: int, height: int, width_px: int) -> tuple[list[int], int]:
    """The channels of each block, and how many blocks, the first ones, halve."""
    if min(height, width_px) <= _CONSTANT_WIDTH_UP_TO:
        return [width] * 4, min(base_grid(height, width_px)[2], 2)
    halvings = 0
    while height % 2 == 0 and width_px % 2 == 0 and min(height, width_px) > _SMALLEST_MAP:
        height, width_px, halvings = height // 2, width_px // 2, halvings + 1
    return [width * min(2**i, _LARGEST_MULTIPLE) for i in range(halvings + 1)], halvings


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, ProjectionHead) and module.embedding is not None:
            nn.init.xavier_uniform_(module.embedding.weight)
    for module in network.modules():
        if isinstance(module, GeneratorBlock | DiscriminatorBlock):
            nn.init.xavier_uniform_(module.conv1.weight, gain=2**0.5)
            nn.init.xavier_uniform_(module.conv2.weight, gain=2**0.5)
