"""StyleGAN2 (Karras et al. 2020b, "Analyzing and improving the image quality of StyleGAN").

The generator maps z to w and draws with w, which scales the convolutions (`layers/modulated.py`),
from a learnt constant: two convolutions at each resolution (one at the coarsest), each followed by
noise of a learnt strength, bias and rectifier; each resolution adds what it has to a picture that
is doubled from one to the next ("output skips", section 4.1). The discriminator has residual blocks
("residual nets"), the standard deviation over groups of four before its last block, and for classes
the projection of Miyato & Koyama 2018 on a mapping of the label (Karras et al. 2020a).

Beyond the papers:
- Any size h0*2^n x w0*2^n with a base grid as in `dcgan.py`, and any number of channels.
- Under autocast all maps are in its type; pictures, w and styles, and the last block of the
  discriminator, are float32. The papers' networks use float16 at the four finest resolutions.
- Maps are not clamped to 256, which guards float16 in the authors' later code against overflow.
- Groups of the standard deviation: `layers/minibatch.py` says what becomes of batches that four
  does not divide.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.networks.layers import fir, strided
from ganvas.networks.layers.equalised import SLOPE, EqualisedConv2d, EqualisedLinear, operand_type
from ganvas.networks.layers.mapping import ClassMapping, Mapping
from ganvas.networks.layers.minibatch import MinibatchStddev
from ganvas.networks.layers.modulated import StyledConvolution, ToImage
from ganvas.networks.stylegan import pyramid


class SynthesisBlock(nn.Module):
    """One resolution: maps and the picture so far, (N, C, H, W), to those of twice the size."""

    def __init__(
        self, inputs: int, outputs: int, channels: int, latent_size: int, shape: tuple[int, int]
    ) -> None:
        super().__init__()
        self.first = StyledConvolution(inputs, outputs, latent_size, shape, doubles=True)
        self.second = StyledConvolution(outputs, outputs, latent_size, shape)
        self.to_image = ToImage(outputs, channels, latent_size)

    def forward(
        self,
        x: Tensor,
        image: Tensor,
        ws: Sequence[Tensor],
        noise: Sequence[Tensor | None],
    ) -> tuple[Tensor, Tensor]:
        """Draw, with three w's and two noises."""
        x = self.first(x, ws[0], noise[0])
        x = self.second(x, ws[1], noise[1])
        return x, fir.double(image) + self.to_image(x, ws[2])


class FirstBlock(nn.Module):
    """The coarsest resolution, from a learnt constant."""

    def __init__(self, width: int, channels: int, latent_size: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(width, *shape))
        self.second = StyledConvolution(width, width, latent_size, shape)
        self.to_image = ToImage(width, channels, latent_size)

    def forward(self, ws: Sequence[Tensor], noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Draw, with two w's and one noise."""
        x = self.constant.to(operand_type(self.constant)).expand(len(ws[0]), -1, -1, -1)
        x = self.second(x.contiguous(memory_format=torch.channels_last), ws[0], noise)
        return x, self.to_image(x, ws[1])


class Synthesis(nn.Module):
    """Styles (N, layers, latent_size) -> images (N, channels, H, W), not bounded.

    Style 2k - 1 and 2k act at the resolution k, counted from 0, and style 2k + 1 also on what it
    adds to the picture.

    Args:
        latent_size: Numbers of w.
        channels: Of the images.
        base: Height and width of the coarsest maps.
        widths: Channels at each resolution, from coarse to fine.
    """

    def __init__(
        self, latent_size: int, channels: int, base: tuple[int, int], widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.layers = 2 * len(widths)
        shapes = [(base[0] << k, base[1] << k) for k in range(len(widths))]
        self.noise_shapes = (shapes[0], *(shape for shape in shapes[1:] for _ in range(2)))
        self.layer_resolutions = (*(height for height, _ in self.noise_shapes), shapes[-1][0])
        blocks = [FirstBlock(widths[0], channels, latent_size, base)]
        later = [
            SynthesisBlock(before, after, channels, latent_size, shape)
            for (before, after), shape in zip(pairwise(widths), shapes[1:], strict=True)
        ]
        self.blocks = nn.ModuleList([*blocks, *later])

    def forward(self, ws: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Draw.

        Args:
            ws: The styles.
            noise: (N or 1, 1, H, W) for each of `noise_shapes`; None for the noise that belongs to
                the network, always the same; () for none.
        """
        each = ws.unbind(1)
        noises = self._noises(noise)
        x, image = self.blocks[0](each[:2], noises[0])
        for k, block in enumerate(self.blocks[1:], start=1):
            i = 2 * k - 1
            x, image = block(x, image, each[i : i + 3], noises[i : i + 2])
        images: Tensor = image
        return images

    def _noises(self, noise: Sequence[Tensor] | None) -> Sequence[Tensor | None]:
        if noise is None:
            layers = [m for m in self.modules() if isinstance(m, StyledConvolution)]
            return [layer.noise[None, None] for layer in layers]
        if len(noise) not in (0, len(self.noise_shapes)):
            raise ValueError(f"{len(noise)} noises for {len(self.noise_shapes)} layers")
        return list(noise) or [None] * len(self.noise_shapes)


class Generator(nn.Module):
    """z (N, latent_size) and labels (N,) -> images (N, channels, H, W).

    Nothing bounds the images: they are learnt to lie in [-1, 1]. `widths` go from coarse to fine.
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
        """Draw the images that belong to the latents; `noise` as of `Synthesis`."""
        w = self.mapping(z, labels)
        images: Tensor = self.synthesis(w[:, None].expand(-1, self.synthesis.layers, -1), noise)
        return images


class DiscriminatorBlock(nn.Module):
    """(N, inputs, 2H, 2W) -> (N, outputs, H, W): two convolutions, and one around them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualisedConv2d(inputs, inputs, 3, activate=True)
        self.second = EqualisedConv2d(inputs, outputs, 3, activate=True)
        self.skip = EqualisedConv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Halve; the sum is divided by sqrt(2), which keeps its variance."""
        around = torch.conv2d(fir.halve(x), self.skip.scaled(x, sqrt(0.5))[0])
        y = fir.blur(self.first(x), 2)
        weight, bias = self.second.scaled(y, sqrt(0.5))
        y = F.leaky_relu(strided.halve(y, weight, bias), SLOPE, inplace=True)
        return y + around


class Discriminator(nn.Module):
    """Images (N, channels, H, W) and labels (N,) -> logits (N, 1), float32.

    `widths` go from coarse to fine, as in the generator, and so do the blocks: the last is the
    first that an image meets.
    """

    def __init__(
        self,
        channels: int,
        base: tuple[int, int],
        widths: Sequence[int],
        classes: int = 0,
        mapping_layers: int = 8,
    ) -> None:
        super().__init__()
        last = widths[0]
        self.from_image = EqualisedConv2d(channels, widths[-1], 1, activate=True)
        self.blocks = nn.ModuleList(DiscriminatorBlock(b, a) for a, b in pairwise(widths))
        self.across = MinibatchStddev(4)
        self.convolution = EqualisedConv2d(last + 1, last, 3, activate=True)
        self.hidden = EqualisedLinear(last * base[0] * base[1], last, activate=True)
        self.output = EqualisedLinear(last, last if classes else 1)
        self.class_mapping = ClassMapping(last, classes, mapping_layers) if classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judge the images."""
        x = self.from_image(images)
        for block in reversed(self.blocks):
            x = block(x)
        with torch.autocast(x.device.type, enabled=False):
            x = self.across(x.to(self.output.weight.dtype))
            answers: Tensor = self.output(self.hidden(self.convolution(x).flatten(1)))
            if self.class_mapping is None:
                return answers
            y: Tensor = self.class_mapping(labels)
            return (answers * y).sum(1, keepdim=True) / sqrt(y.shape[1])


def generator(
    latent_size: int,
    shape: tuple[int, int, int],
    width: int,
    max_width: int = 512,
    mapping_layers: int = 8,
    classes: int = 0,
) -> Generator:
    """A generator for images of this shape with `width` channels at the finest resolution."""
    base, widths = pyramid(shape, width, max_width)
    return Generator(latent_size, shape[0], base, widths, mapping_layers, classes)


def discriminator(
    shape: tuple[int, int, int],
    width: int,
    max_width: int = 512,
    classes: int = 0,
    mapping_layers: int = 8,
) -> Discriminator:
    """A discriminator of images of this shape with `width` channels at the finest resolution."""
    base, widths = pyramid(shape, width, max_width)
    return Discriminator(shape[0], base, widths, classes, mapping_layers)
