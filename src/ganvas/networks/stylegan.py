"""StyleGAN (Karras et al. 2019, "A style-based generator architecture for GANs").

The generator maps z to w (`layers/mapping.py`) and draws from a learnt constant. After each of its
3 x 3 convolutions come noise, scaled by a learnt number for each channel, a bias, LeakyReLU
(slope 0.2) and AdaIN (eq. 1), whose scale and shift are an affine function of w. The discriminator
is that of progressive growing (Karras et al. 2018, table 2): two convolutions at each resolution,
the standard deviation over the minibatch before the last. Maps are blurred with the filter
[1, 2, 1] after each doubling and before each halving (appendix C). Layers have an equalised
learning rate (`layers/equalised.py`).

Both networks can grow (Karras et al. 2018, section 2, figure 2): at `level` l they have the
resolution of ceil(l) doublings. A fraction says how far the finest of these has faded in: the
pictures (in the discriminator: the maps made of them) of both resolutions are mixed in that
proportion. Real pictures are prepared by `at_level`.

With 1024 px, 512 channels at most, 16 at the finest resolution and no classes the networks have the
26,219,627 and 23,087,249 parameters that the authors' do, those for all levels counted.

Deviations from the paper and the authors' code:
- Any size h0*2^n x w0*2^n: the constant is then h0 x w0 (as in `dcgan.py`).
- In the mapping and the discriminator the gain sqrt(2) of He's initialisation is applied to biases
  too, as in StyleGAN2: they learn faster by that much.
- Under autocast the styles, the statistics of AdaIN and the end of the discriminator are float32.
- Classes: the embedding beside z is normalised by itself, as in StyleGAN2-ADA. The discriminator
  has, as theirs, one output for each class, of which that of the label counts (Mescheder et al.
  2018).
- A discriminator narrower than `max_width` at the coarsest resolution has as many hidden features
  there as channels, and not up to twice as many.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.networks.dcgan import base_grid
from ganvas.networks.layers.adain import adain
from ganvas.networks.layers.equalised import SLOPE, EqualisedConv2d, EqualisedLinear
from ganvas.networks.layers.labels import check_labels
from ganvas.networks.layers.mapping import Mapping
from ganvas.networks.layers.minibatch import MinibatchStddev
from ganvas.networks.layers.rescaling import Convolution, Doubling, Halving, double, halve


class Generator(nn.Module):
    """z (N, latent_size) and labels (N,) -> images (N, channels, H, W), with no bounds.

    `widths` are the channels at each resolution, from coarse to fine.
    """

    def __init__(
        self,
        latent_size: int,
        channels: int,
        base: tuple[int, int],
        widths: Sequence[int],
        mapping_layers: int = 8,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.mapping = Mapping(latent_size, mapping_layers, classes)
        self.synthesis = Synthesis(latent_size, channels, base, widths)

    def forward(
        self, z: Tensor, labels: Tensor | None = None, noise: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Draw the images that belong to the latents; `noise` as in `Synthesis`."""
        w = self.mapping(z, labels)
        images: Tensor = self.synthesis(w[:, None].expand(-1, self.synthesis.layers, -1), noise)
        return images

    def weights(self, level: float | None) -> list[nn.Parameter]:
        """Those that images of a level depend on."""
        return [*self.mapping.parameters(), *self.synthesis.weights(level)]


class Synthesis(nn.Module):
    """Styles (N, layers, latent_size) -> images (N, channels, H, W), with no bounds.

    `layer_resolutions` holds the height at which each style acts, `noise_shapes` the size of each
    noise input.
    """

    def __init__(
        self, latent_size: int, channels: int, base: tuple[int, int], widths: Sequence[int]
    ) -> None:
        super().__init__()
        h0, w0 = base
        sizes = [(h0 * 2**i, w0 * 2**i) for i in range(len(widths))]
        self.noise_shapes = tuple(size for size in sizes for _ in range(2))
        self.layer_resolutions = tuple(height for height, _ in self.noise_shapes)
        self.layers = len(self.noise_shapes)
        self.constant = nn.Parameter(torch.ones(widths[0], h0, w0))
        self.blocks = nn.ModuleList(
            Block(latent_size, widths[i - 1] if i else None, outputs, size)
            for i, (outputs, size) in enumerate(zip(widths, sizes, strict=True))
        )
        self.to_image = nn.ModuleList(EqualisedConv2d(width, channels, 1) for width in widths)

    def forward(
        self, ws: Tensor, noise: Sequence[Tensor] | None = None, level: float | None = None
    ) -> Tensor:
        """Draw.

        Args:
            ws: (N, layers, latent_size).
            noise: (N or 1, 1, H, W) for each layer, coarse to fine (those of layers that are not
                there yet may be missing); None for the layers' constant noise, () for none.
            level: How many doublings there are, see `split_level`; None for all.

        Raises:
            ValueError: There is no such level, or noise for too few layers.
        """
        finest, share = split_level(level, len(self.blocks) - 1)
        if noise and len(noise) < 2 * (finest + 1):
            raise ValueError(f"noise for {len(noise)} of {2 * (finest + 1)} layers")
        x = self.constant.expand(len(ws), -1, -1, -1)
        before = x = x.contiguous(memory_format=torch.channels_last)
        for i, block in enumerate(self.blocks[: finest + 1]):
            here = slice(2 * i, 2 * i + 2)
            before, x = x, block(x, ws[:, here], None if noise is None else noise[here])
        images: Tensor = self.to_image[finest](x)
        if share < 1:
            older = double(self.to_image[finest - 1](before))
            images = torch.lerp(older, images, share)
        return images

    def weights(self, level: float | None) -> list[nn.Parameter]:
        """Those that images of a level depend on."""
        finest, share = split_level(level, len(self.blocks) - 1)
        heads = self.to_image[finest - (share < 1) : finest + 1]
        return [self.constant, *self.blocks[: finest + 1].parameters(), *heads.parameters()]


class Discriminator(nn.Module):
    """Images (N, channels, H, W) and labels (N,) -> logits (N, 1), float32.

    `widths` are the channels at each resolution, from coarse to fine, as are the modules in
    `blocks` and `from_image`.
    """

    def __init__(
        self, channels: int, base: tuple[int, int], widths: Sequence[int], classes: int = 0
    ) -> None:
        super().__init__()
        self.classes = classes
        coarsest = widths[0]
        self.from_image = nn.ModuleList(
            EqualisedConv2d(channels, width, 1, activate=True) for width in widths
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(EqualisedConv2d(fine, fine, 3, activate=True), Halving(fine, coarse))
            for coarse, fine in pairwise(widths)
        )
        self.end = nn.Sequential(
            MinibatchStddev(),
            EqualisedConv2d(coarsest + 1, coarsest, 3, activate=True),
            nn.Flatten(),
            EqualisedLinear(coarsest * base[0] * base[1], coarsest, activate=True),
        )
        self.output = EqualisedLinear(coarsest, max(classes, 1))

    def forward(
        self, images: Tensor, labels: Tensor | None = None, level: float | None = None
    ) -> Tensor:
        """Judge images of the resolution that belongs to `level` (see `split_level`).

        Raises:
            ValueError: There is no such level, or no labels where there are classes.
        """
        finest, share = split_level(level, len(self.blocks))
        x = self.from_image[finest](images)
        if finest:
            x = self.blocks[finest - 1](x)
        if share < 1:
            older = self.from_image[finest - 1](halve(images))
            x = torch.lerp(older, x, share)
        for block in reversed(self.blocks[: max(finest - 1, 0)]):
            x = block(x)
        with torch.autocast(x.device.type, enabled=False):
            answers: Tensor = self.output(self.end(x.to(self.output.weight.dtype)))
        return answers.gather(1, check_labels(labels)[:, None]) if self.classes else answers

    def weights(self, level: float | None) -> list[nn.Parameter]:
        """Those that the logits of images of a level depend on."""
        finest, share = split_level(level, len(self.blocks))
        heads = self.from_image[finest - (share < 1) : finest + 1]
        present = (heads, self.blocks[:finest], self.end, self.output)
        return [weight for module in present for weight in module.parameters()]


class Block(nn.Module):
    """The two styled layers of a resolution.

    What enters has half the size of what leaves, or, in the first block (`inputs` None), the same.
    """

    def __init__(
        self, latent_size: int, inputs: int | None, outputs: int, size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.enter = nn.Identity() if inputs is None else Doubling(inputs, outputs)
        self.first = Style(latent_size, outputs, size)
        self.conv = Convolution(outputs, outputs)
        self.second = Style(latent_size, outputs, size)

    def forward(self, x: Tensor, ws: Tensor, noise: Sequence[Tensor] | None) -> Tensor:
        """Draw on, by ws (N, 2, latent_size); two noise inputs, () or None as in `Synthesis`."""
        constant = (self.first.noise, self.second.noise)
        first, second = constant if noise is None else noise or (None, None)
        x = self.first(self.enter(x), ws[:, 0], first)
        styled: Tensor = self.second(self.conv(x), ws[:, 1], second)
        return styled


class Style(nn.Module):
    """What follows a convolution: noise, bias, LeakyReLU and AdaIN by an affine function of w."""

    noise: Tensor

    def __init__(self, latent_size: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.noise_scale = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.affine = EqualisedLinear(latent_size, 2 * channels)
        self.register_buffer("noise", torch.randn(1, 1, *size))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """Maps (N, channels, H, W), restyled."""
        if noise is not None:
            x = torch.addcmul(x, noise.to(x), self.noise_scale.to(x)[:, None, None])
        x = F.leaky_relu(x + self.bias.to(x)[:, None, None], SLOPE)
        with torch.autocast(x.device.type, enabled=False):
            scale, shift = self.affine(w)[:, :, None, None].chunk(2, 1)
        return adain(x, 1 + scale, shift)


def split_level(level: float | None, doublings: int) -> tuple[int, float]:
    """The finest doubling at a level, and in (0, 1] how far it has faded in.

    Level 2.25: the second doubling is there, of the third a quarter, so (3, 0.25); level 2: (2, 1).

    Raises:
        ValueError: The level is not between 0 and the number of doublings.
    """
    if level is None:
        return doublings, 1.0
    if not 0 <= level <= doublings:
        raise ValueError(f"there is no level {level}: they go from 0 to {doublings}")
    finest = math.ceil(level)
    return finest, 1 - (finest - level)


def at_level(images: Tensor, level: float) -> Tensor:
    """Real pictures as the discriminator sees them at a level of growth.

    They are averaged down to its resolution; while a doubling fades in, its pictures are mixed with
    those of half the size, doubled, as the generator mixes its own (Karras et al. 2018, section 2).

    Args:
        images: (N, C, H, W), of the full resolution.
        level: As in `split_level`.
    """
    doublings = base_grid(*images.shape[2:])[2]
    finest, share = split_level(level, doublings)
    images = F.avg_pool2d(images, 2 ** (doublings - finest))
    return images if share == 1 else torch.lerp(double(halve(images)), images, share)


def generator(
    latent_size: int,
    shape: tuple[int, int, int],
    width: int,
    max_width: int = 512,
    mapping_layers: int = 8,
    classes: int = 0,
) -> Generator:
    """A generator for images of this shape, with `width` channels at the finest resolution."""
    base, widths = pyramid(shape, width, max_width)
    return Generator(latent_size, shape[0], base, widths, mapping_layers, classes)


def discriminator(
    shape: tuple[int, int, int], width: int, max_width: int = 512, classes: int = 0
) -> Discriminator:
    """Its opponent, of the same widths."""
    base, widths = pyramid(shape, width, max_width)
    return Discriminator(shape[0], base, widths, classes)


def pyramid(
    shape: tuple[int, int, int], width: int, max_width: int
) -> tuple[tuple[int, int], list[int]]:
    """The coarsest maps of networks for images (C, H, W), and the channels at each resolution.

    These go from coarse to fine, where they are `width`: each has twice as many as the next finer
    one, but at most `max_width`. Raises ConfigError where images have another size than those of
    `base_grid`.
    """
    h0, w0, doublings = base_grid(*shape[1:])
    return (h0, w0), [min(width << i, max_width) for i in range(doublings, -1, -1)]
