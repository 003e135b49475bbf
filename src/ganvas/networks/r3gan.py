"""R3GAN (Huang et al. 2024, "The GAN is dead; long live the GAN!"): plain modern residual networks.

Each resolution is a stage of residual blocks (config E, ResNeXt's block with the bottleneck the
other way round): a 1 x 1 convolution to twice the channels, a grouped 3 x 3 convolution, a 1 x 1
convolution back, with a bias and LeakyReLU (slope 0.2) before and after the grouped one and nothing
on the way around. There is no normalisation: the blocks are scaled as in fix-up (Zhang et al. 2019)
and add nothing at first. Between stages, bilinear resampling and a 1 x 1 convolution where the
widths differ. The generator begins with a learnt 4 x 4 picture for each channel, weighted by a
linear function of z; the discriminator ends with the mirror of it. Weights other than the blocks'
are drawn from N(0, 1 / fan-in), as in the authors' code.

Classes: in the generator an embedding of z's size beside z; in the discriminator the output is the
inner product of a vector with an embedding, both as long as the last stage is wide.

Beyond the paper:
- Any size h0*2^n x w0*2^n: the 4 x 4 pictures are then h0 x w0 (as in `dcgan.py`).
- One rule gives the stages for any size and width, see `stage_widths`. It gives the authors' for
  CIFAR-10 (width 768), FFHQ 64 px (384) and FFHQ 256 px (96), and their widths, but twice their
  groups, for ImageNet (1536).
- The discriminator can look across the batch before its last layer (`layers/minibatch.py`).
"""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import TypeVar

import torch
from torch import Tensor, nn

from ganvas.networks.dcgan import base_grid
from ganvas.networks.layers.bias import Bias
from ganvas.networks.layers.labels import check_labels
from ganvas.networks.layers.minibatch import Minibatch, across_samples
from ganvas.networks.layers.resampling import bilinear_double, bilinear_halve

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d, nn.Embedding)

_SLOPE, _EXPANSION = 0.2, 2
_WIDEST, _GROUP, _BLOCKS = 768, 8, 2
"""The authors' most channels of a stage, its channels for each group, and its blocks."""


class Generator(nn.Module):
    """z (N, latent_size) and labels (N,) -> images (N, C, H, W), with a stage for each width.

    As in the paper nothing bounds the images: they are learnt to lie in [-1, 1], and whoever shows
    them clamps them. `widths`, `cardinalities` (groups of the grouped convolution) and `blocks` go
    from coarse to fine.
    """

    def __init__(
        self,
        latent_size: int,
        channels: int,
        base: tuple[int, int],
        widths: Sequence[int],
        cardinalities: Sequence[int],
        blocks: Sequence[int],
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.classes = classes
        inputs = latent_size
        if classes:
            inputs += latent_size
            self.embedding = _draw(nn.Embedding(classes, latent_size), classes)
        self.basis = nn.Parameter(torch.randn(widths[0], *base))
        self.project = _draw(nn.Linear(inputs, widths[0], bias=False), inputs)
        self.stages = _stages(widths, cardinalities, blocks)
        self.transitions = _transitions(widths)
        self.to_image = _pointwise(widths[-1], channels)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw the images that belong to the latents."""
        if self.classes:
            z = torch.cat([z, self.embedding(check_labels(labels)).to(z)], 1)
        weights = self.project(z)
        x = weights[:, :, None, None] * self.basis.to(weights.dtype)
        x = self.stages[0](x.contiguous(memory_format=torch.channels_last))
        for transition, stage in zip(self.transitions, self.stages[1:], strict=True):
            x = stage(bilinear_double(transition(x)))
        images: Tensor = self.to_image(x)
        return images


class Discriminator(nn.Module):
    """Images (N, C, H, W) and labels (N,) -> (N, outputs), without a final activation.

    `widths`, `cardinalities` and `blocks` go from fine to coarse.
    """

    def __init__(
        self,
        channels: int,
        base: tuple[int, int],
        widths: Sequence[int],
        cardinalities: Sequence[int],
        blocks: Sequence[int],
        classes: int = 0,
        outputs: int = 1,
        minibatch: Minibatch = "none",
    ) -> None:
        super().__init__()
        last = widths[-1]
        self.classes = classes
        self.outputs = outputs
        self.from_image = _pointwise(channels, widths[0])
        self.stages = _stages(widths, cardinalities, blocks)
        self.transitions = _transitions(widths)
        basis = nn.Conv2d(last, last, base, groups=last, bias=False)
        self.basis = _draw(basis, base[0] * base[1])
        across, features = across_samples(minibatch, last)
        self.across = nn.Sequential(*across)
        answers = outputs * last if classes else outputs
        self.head = _draw(nn.Linear(features, answers, bias=False), features)
        if classes:
            self.embedding = _draw(nn.Embedding(classes, last), classes * last)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judge (or encode) the images."""
        x = self.stages[0](self.from_image(images))
        for transition, stage in zip(self.transitions, self.stages[1:], strict=True):
            x = stage(transition(bilinear_halve(x)))
        answers: Tensor = self.head(self.across(self.basis(x).flatten(1)))
        if not self.classes:
            return answers
        y: Tensor = self.embedding(check_labels(labels))
        # Not unflatten: torch.compile cannot trace it within penalties.
        products: Tensor = answers.view(len(answers), self.outputs, -1) * y[:, None]
        return products.sum(2)


class Block(nn.Module):
    """What a residual block of `total` adds to (N, width, H, W)."""

    def __init__(self, width: int, cardinality: int, total: int) -> None:
        super().__init__()
        inner = _EXPANSION * width
        # Fix-up (Zhang et al. 2019) for m = 3 layers: gain * total^(-1 / (2m - 2)), the last zero.
        gain = sqrt(2 / (1 + _SLOPE**2)) * total**-0.25
        grouped = nn.Conv2d(inner, inner, 3, padding=1, groups=cardinality, bias=False)
        self.widen = _pointwise(width, inner, gain)
        self.first = _biased_activation(inner)
        self.grouped = _draw(grouped, inner // cardinality * 9, gain)
        self.second = _biased_activation(inner)
        self.narrow = _pointwise(inner, width, gain=0)

    def forward(self, x: Tensor) -> Tensor:
        """Add."""
        y = self.grouped(self.first(self.widen(x)))
        added: Tensor = self.narrow(self.second(y))
        return x + added


def generator(
    latent_size: int,
    shape: tuple[int, int, int],
    width: int,
    classes: int = 0,
    blocks: int = _BLOCKS,
) -> Generator:
    """A generator for images of this shape with `width` channels at the finest resolution."""
    channels, height, width_px = shape
    h0, w0, doublings = base_grid(height, width_px)
    widths = stage_widths(width, doublings)[::-1]
    return Generator(
        latent_size, channels, (h0, w0), widths, [_cardinality(w) for w in widths],
        [blocks] * len(widths), classes,
    )  # fmt: skip


def discriminator(
    shape: tuple[int, int, int],
    width: int,
    classes: int = 0,
    outputs: int = 1,
    minibatch: Minibatch = "none",
    blocks: int = _BLOCKS,
) -> Discriminator:
    """The generator's mirror."""
    channels, height, width_px = shape
    h0, w0, halvings = base_grid(height, width_px)
    widths = stage_widths(width, halvings)
    return Discriminator(
        channels, (h0, w0), widths, [_cardinality(w) for w in widths], [blocks] * len(widths),
        classes, outputs, minibatch,
    )  # fmt: skip


def stage_widths(width: int, halvings: int) -> list[int]:
    """Channels of each stage, from fine to coarse: doubled with each halving, up to 768.

    A finest stage as wide as that, or wider, is followed by others like it.
    """
    return [min(width * 2**i, max(width, _WIDEST)) for i in range(halvings + 1)]


def _cardinality(width: int) -> int:
    """The number of groups with 8 channels of the stage in each, or the next that divides."""
    most = max(1, width // _GROUP)
    return max(groups for groups in range(1, most + 1) if _EXPANSION * width % groups == 0)


def _stages(
    widths: Sequence[int], cardinalities: Sequence[int], blocks: Sequence[int]
) -> nn.ModuleList:
    stages = zip(widths, cardinalities, blocks, strict=True)
    return nn.ModuleList(
        nn.Sequential(*(Block(width, cardinality, sum(blocks)) for _ in range(n)))
        for width, cardinality, n in stages
    )


def _transitions(widths: Sequence[int]) -> nn.ModuleList:
    """What brings one stage's channels to the next's, where they differ."""
    return nn.ModuleList(
        nn.Identity() if before == after else _pointwise(before, after)
        for before, after in pairwise(widths)
    )


def _biased_activation(channels: int) -> nn.Sequential:
    return nn.Sequential(Bias(channels), nn.LeakyReLU(_SLOPE, inplace=True))


def _pointwise(inputs: int, outputs: int, gain: float = 1.0) -> nn.Conv2d:
    return _draw(nn.Conv2d(inputs, outputs, 1, bias=False), inputs, gain)


def _draw(layer: Layer, fan_in: int, gain: float = 1.0) -> Layer:
    """The layer, with weights from N(0, gain^2 / fan_in) (He et al. 2015)."""
    nn.init.normal_(layer.weight, 0.0, gain / sqrt(fan_in))
    return layer
