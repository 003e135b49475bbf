"""BigGAN (Brock, Donahue & Simonyan 2019), 32 to 256 px, at any width.

Section 3 and appendix B: residual networks with spectral normalisation in both, orthogonal
initialisation and self-attention (Zhang et al. 2018). The generator's latents are split: the first
chunk makes the smallest map, and each block has one more, which with an embedding of the class that
all blocks share decides the scales and biases of its batch norms. The discriminator sums its last
map over all places and takes classes by projection (Miyato & Koyama 2018).

`width` is the paper's ch: 96 there, 64 for CIFAR-10. The multiples of it are those of the tables
for 128 and 256 px; those of the authors' code for 64 and, where they are constant, for up to 32 px;
and between 33 and 63 px those for 64 without the finest block.

Attention works on the largest map whose shorter side is at most 64, as in the paper's networks, and
less than the image's; networks for up to 32 px have none.

Without classes a chunk of the latents alone is the condition. `norm` other than "spectral" replaces
the discriminator's normalisation, for comparison.

Deviations: the tables for sizes and grids that the paper does not have, as said; latents that do
not split evenly, whose first chunk gets the rest; batch norm's epsilon is PyTorch's, 1e-5.
"""

from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.networks.dcgan import base_grid
from ganvas.networks.layers.attention import SelfAttention
from ganvas.networks.layers.batch_norm import BatchNorm2d, ConditionalBatchNorm2d
from ganvas.networks.layers.labels import check_labels
from ganvas.networks.layers.minibatch import Minibatch
from ganvas.networks.layers.normalisation import Normalisation, norm_of_weights
from ganvas.networks.layers.projection import ProjectionHead
from ganvas.networks.layers.residual import DiscriminatorBlock, GeneratorBlock
from ganvas.networks.layers.spectral_norm import spectral_norm

EMBEDDING = 128
"""Dimensions of the class embedding that all blocks share."""

_CONSTANT_WIDTH_UP_TO, _CONSTANT_MULTIPLE = 32, 4
_ATTENTION_SIDE = 64

_GENERATOR_MULTIPLES = {
    3: (16, 16, 8, 4),
    4: (16, 16, 8, 4, 2),
    5: (16, 16, 8, 4, 2, 1),
    6: (16, 16, 8, 8, 4, 2, 1),
}
"""By the number of doublings: of the smallest map, then of each block's outputs."""

_DISCRIMINATOR_MULTIPLES = {
    3: (2, 4, 8, 16),
    4: (1, 2, 4, 8, 16),
    5: (1, 2, 4, 8, 16, 16),
    6: (1, 2, 4, 8, 8, 16, 16),
}
"""By the number of halvings: of each block's outputs; the last one does not halve."""


class Generator(nn.Module):
    """z (N, latent_size) and labels (N,) -> images (N, C, H, W) in [-1, 1]."""

    def __init__(
        self, latent_size: int, shape: tuple[int, int, int], width: int = 96, classes: int = 0
    ) -> None:
        super().__init__()
        channels, height, width_px = shape
        h0, w0, n = _grid(height, width_px)
        side = min(height, width_px)
        small = side <= _CONSTANT_WIDTH_UP_TO
        multiples = (_CONSTANT_MULTIPLE,) * (n + 1) if small else _GENERATOR_MULTIPLES[n]
        widths = [multiple * width for multiple in multiples]
        self.chunks = _chunks(latent_size, n + 1)
        self.embedding = nn.Embedding(classes, EMBEDDING) if classes else None
        self.grid = (widths[0], h0, w0)
        self.project = nn.Linear(self.chunks[0], widths[0] * h0 * w0)
        size = self.chunks[-1] + (EMBEDDING if classes else 0)
        norm = partial(ConditionalBatchNorm2d.of_vectors, size=size)
        self.blocks = nn.ModuleList(GeneratorBlock(*pair, norm) for pair in pairwise(widths))
        self.attended = _attended([side >> (n - 1 - i) for i in range(n)], side)
        if self.attended is not None:
            self.attention = SelfAttention(widths[self.attended + 1])
        self.norm = BatchNorm2d(widths[-1])
        self.output = nn.Conv2d(widths[-1], channels, 3, padding=1)
        self.apply(_initialise)
        for module in list(self.modules()):  # a list, since the network grows meanwhile
            if isinstance(module, nn.Conv2d | nn.Linear):
                spectral_norm(module)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw the images that belong to the latents."""
        first, *conditions = z.split(self.chunks, 1)
        if self.embedding is not None:
            y = self.embedding(check_labels(labels))
            conditions = [torch.cat([y, chunk], 1) for chunk in conditions]
        x = self.project(first).unflatten(1, self.grid)
        x = x.contiguous(memory_format=torch.channels_last)
        for i, (block, condition) in enumerate(zip(self.blocks, conditions, strict=True)):
            x = block(x, condition)
            if i == self.attended:
                x = self.attention(x)
        return torch.tanh(self.output(F.relu(self.norm(x))))


class Discriminator(nn.Module):
    """Images (N, C, H, W) and labels (N,) -> (N, outputs), without a final activation."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int = 96,
        classes: int = 0,
        outputs: int = 1,
        norm: Normalisation = "spectral",
        minibatch: Minibatch = "none",
    ) -> None:
        super().__init__()
        channels, height, width_px = shape
        side, halvings = min(height, width_px), _grid(height, width_px)[2]
        multiples = _DISCRIMINATOR_MULTIPLES.get(halvings, ())
        if side <= _CONSTANT_WIDTH_UP_TO:
            multiples, halvings = (_CONSTANT_MULTIPLE,) * 4, min(halvings, 2)
        widths = [multiple * width for multiple in multiples]
        attended = _attended([side >> (i + 1) for i in range(halvings)], side)
        blocks: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise([channels, *widths])):
            halve, first = i < halvings, i == 0
            blocks.append(DiscriminatorBlock(before, after, after, norm, halve=halve, first=first))
            if i == attended:
                blocks.append(SelfAttention(after))
        self.blocks = nn.Sequential(*blocks)
        self.head = ProjectionHead(widths[-1], outputs, classes, minibatch)
        self.apply(_initialise)
        norm_of_weights(norm, self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judge (or encode) the images."""
        features = F.relu(self.blocks(images))
        outputs: Tensor = self.head(features.sum((2, 3)), labels)
        return outputs


def _grid(height: int, width: int) -> tuple[int, int, int]:
    """`base_grid`, or ConfigError for images larger than the tables."""
    h0, w0, n = base_grid(height, width)
    if n > max(_GENERATOR_MULTIPLES):
        raise ConfigError(
            f"BigGAN cannot make {height}x{width} images: it is defined up to 256 px here. "
            "Use --resolution 256 or less, or another network (--set model.networks=r3gan)."
        )
    return h0, w0, n


def _chunks(latent_size: int, count: int) -> list[int]:
    """The sizes of so many chunks of the latents, equal but for the first, which gets the rest."""
    size, rest = divmod(latent_size, count)
    if not size:
        raise ConfigError(
            f"model.latent_size={latent_size} is too small for BigGAN, which splits the latents "
            f"into {count} chunks at this resolution. Use at least {count}; the paper has 20 in "
            f"each chunk: --set model.latent_size={20 * count}."
        )
    return [size + rest, *[size] * (count - 1)]


def _attended(sides: list[int], image: int) -> int | None:
    """Which of the blocks, whose outputs have these shorter sides, attention follows, if any."""
    if image <= _CONSTANT_WIDTH_UP_TO:
        return None
    return sides.index(max(side for side in sides if side <= _ATTENTION_SIDE and side < image))


def _initialise(module: nn.Module) -> None:
    """Draw orthogonal weights (Saxe et al. 2014), as section 3 has it."""
    if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
        nn.init.orthogonal_(module.weight)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
