"""Alias-free StyleGAN, T and R (Karras et al. 2021): the generator. StyleGAN2's D judges it.

Maps are seen as signals of limited bandwidth, sampled on grids that reach beyond the picture. The
input is a sum of Fourier features, which can be moved and turned (section 3.1); the bandwidth grows
geometrically from layer to layer (3.2); rectifiers work between two low-pass filters
(`layers/filtered.py`); there is no noise and no skip. The picture then moves with the input: T is
equivariant to translation, R, with 1 x 1 convolutions and radial filters, to rotation as well.

As in the authors' code the last two of the 14 layers are critically sampled, maps reach 10 samples
beyond the picture, and the average magnitude that each layer's input is divided by has a half-life
of 20,000 pictures. R there has twice T's widths; here widths are what the caller says.

Deviations:
- The magnitudes move with every picture that is drawn in training mode, whichever network is then
  trained (there: only with those drawn for the discriminator). A network of averaged weights has
  averages of the magnitudes (there: copies of the latest).
- Before a layer's weights are demodulated, the styles are divided by each picture's own root mean
  square instead of the batch's: a picture does not depend on its neighbours. Demodulation cancels
  the factor but for its epsilon.
- Outputs of layers are not clamped to 256, which guards float16 against overflow: there is none in
  float32 and bfloat16.
- Sizes other than powers of two are the middle of the picture of the next one.
"""

from collections.abc import Sequence
from math import ceil, floor, log2, prod, sqrt

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.networks.layers.bands import CRITICAL, LAYERS, Band, bands, factors, filters
from ganvas.networks.layers.equalised import EqualisedLinear, operand_type
from ganvas.networks.layers.filtered import FilteredRectifier
from ganvas.networks.layers.fourier import FourierInput
from ganvas.networks.layers.mapping import Mapping, normalise

_OUTPUT_SCALE = 0.25
_HALF_LIFE = 20_000


def generator(
    latent_size: int,
    shape: tuple[int, int, int],
    width: int,
    max_width: int = 512,
    mapping_layers: int = 2,
    classes: int = 0,
    *,
    rotation: bool = False,
) -> "Generator":
    """A generator of pictures of this shape, T or, with `rotation`, R.

    Args:
        latent_size: Numbers of z and of w.
        shape: (C, H, W) of the pictures.
        width: Channels at the finest resolution; those of coarser layers are inversely
            proportional to their cutoff frequency.
        max_width: The most channels. The authors' R has twice T's `width` and `max_width`.
        mapping_layers: Layers from z to w.
        classes: How many, 0 for none.
        rotation: Whether the network is to be equivariant to rotation, too.
    """
    channels, height, width_px = shape
    resolution = 2 ** ceil(log2(max(height, width_px)))
    widths = [
        round(min(width * resolution / 2 / band.cutoff, max_width))
        for band in bands(resolution)[:-1]
    ]
    return Generator(
        Mapping(latent_size, mapping_layers, classes),
        Synthesis(latent_size, channels, (height, width_px), widths, rotation=rotation),
    )


class Generator(nn.Module):
    """z (N, latent_size) and labels (N,) -> images (N, C, H, W), unbounded."""

    def __init__(self, mapping: Mapping, synthesis: "Synthesis") -> None:
        super().__init__()
        self.latent_size = synthesis.latent_size
        self.mapping = mapping
        self.synthesis = synthesis

    def forward(
        self, z: Tensor, labels: Tensor | None = None, noise: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Draw the pictures that belong to the latents."""
        w = self.mapping(z, labels)
        images: Tensor = self.synthesis(w[:, None].expand(-1, self.synthesis.layers, -1), noise)
        return images


class Synthesis(nn.Module):
    """Styles (N, layers, latent_size) -> images (N, C, H, W), unbounded.

    The first style moves and turns the input, the others modulate a layer each.
    `layer_resolutions` says, for each, how fine the details are that its layer can make: the
    resolution, a power of two, of pictures that hold no higher frequencies. (The grids of the first
    layers are finer than that.)

    Args:
        latent_size: Numbers of a style.
        channels: Of the pictures.
        size: Their height and width.
        widths: Channels of the 14 layers, coarse to fine.
        rotation: Whether convolutions are 1 x 1 and filters radial.
    """

    noise_shapes: tuple[tuple[int, int], ...] = ()

    def __init__(
        self,
        latent_size: int,
        channels: int,
        size: tuple[int, int],
        widths: Sequence[int],
        *,
        rotation: bool,
    ) -> None:
        super().__init__()
        self.latent_size, self.size = latent_size, size
        self.resolution = 2 ** ceil(log2(max(size)))
        plan = bands(self.resolution)
        self.input = FourierInput(latent_size, widths[0], plan[0])
        inputs, befores = [widths[0], *widths[:-1]], [plan[0], *plan[:-2]]
        self.blocks = nn.ModuleList(
            Layer(
                latent_size, (inputs[i], widths[i]), (befores[i], plan[i]),
                rotation=rotation, radial=rotation and i < LAYERS - CRITICAL,
            )
            for i in range(LAYERS)
        )  # fmt: skip
        self.to_image = ToImage(latent_size, widths[-1], channels)
        self.layers = LAYERS + 2
        fineness = [2 ** floor(log2(2 * band.cutoff) + 1e-6) for band in plan]
        self.layer_resolutions = (fineness[0], *fineness)

    def forward(
        self,
        ws: Tensor,
        noise: Sequence[Tensor] | None = None,
        transform: Tensor | None = None,
    ) -> Tensor:
        """Draw.

        Args:
            ws: The styles.
            noise: None, or nothing in it: these networks take none.
            transform: (3, 3) or (N, 3, 3), a map from positions in the picture, whose middle is
                (0, 0) and whose longer side is 1, x to the right and y down, to those in the
                input: the picture appears moved by its inverse.
        """
        if noise:
            raise ConfigError(
                "StyleGAN3 takes no noise inputs, but some were given: its pictures must move with "
                "their input as a whole. Leave the noise at constant or none."
            )
        if transform is not None:  # in sides of the whole picture, of which this is the middle
            transform = transform.clone()
            transform[..., :2, 2] *= max(self.size) / self.resolution
        first, *styles = ws.unbind(1)
        x = self.input(first, transform)
        for layer, style in zip(self.blocks, styles[:-1], strict=True):
            x = layer(x, style)
        images: Tensor = _OUTPUT_SCALE * self.to_image(x, styles[-1])
        top, left = ((images.shape[-1] - side) // 2 for side in self.size)
        return images[:, :, top : top + self.size[0], left : left + self.size[1]]


class Layer(nn.Module):
    """Maps (N, C, h, h) of one band and styles (N, latent_size) -> maps (N, C', h', h') of another.

    Args:
        latent_size: Numbers of a style.
        channels: Of the maps before and after.
        of: Their bands.
        rotation: Whether the convolution is 1 x 1 (else 3 x 3).
        radial: Whether the second filter is.
    """

    def __init__(
        self,
        latent_size: int,
        channels: tuple[int, int],
        of: tuple[Band, Band],
        *,
        rotation: bool,
        radial: bool,
    ) -> None:
        super().__init__()
        inputs, outputs = channels
        before, after = of
        kernel = 1 if rotation else 3
        self.affine = EqualisedLinear(latent_size, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.magnitude = Magnitude()
        up, down = factors(before, after)
        up_filter, down_filter = filters(before, after, radial=radial)
        self.rectify = FilteredRectifier(
            up_filter, down_filter, up=up, down=down,
            inputs=before.size + kernel - 1, outputs=after.size,
        )  # fmt: skip

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Convolve and rectify."""
        gain = self.magnitude(x)
        with torch.autocast(x.device.type, enabled=False):
            styles = normalise(self.affine(style))
            scale = demodulation(self.weight, styles)
        y: Tensor = self.rectify(modulated(x, self.weight, gain * styles, scale, self.bias))
        return y


class ToImage(nn.Module):
    """Maps (N, inputs, H, W) and styles (N, latent_size) -> images (N, channels, H, W)."""

    def __init__(self, latent_size: int, inputs: int, channels: int) -> None:
        super().__init__()
        self.affine = EqualisedLinear(latent_size, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.magnitude = Magnitude()

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Project."""
        gain = self.magnitude(x) / sqrt(self.weight.shape[1])
        with torch.autocast(x.device.type, enabled=False):
            styles = gain * self.affine(style)
        return modulated(x, self.weight, styles, torch.ones_like(styles[:, :1]), self.bias)


class Magnitude(nn.Module):
    """Maps -> what brings their average magnitude, over training, to 1 (section 3.1, config D).

    In training mode every call moves the average, before it is used; processes share one.
    """

    mean_square: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean_square", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """1 / sqrt(average of x^2), a number."""
        if self.training:
            self._move(x.detach())
        return self.mean_square.rsqrt()

    @torch.no_grad()
    def _move(self, x: Tensor) -> None:
        norm: Tensor = torch.linalg.vector_norm(x, dtype=self.mean_square.dtype)
        current, pictures = norm.square() / x.numel(), len(x)
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(current)
            current /= dist.get_world_size()  # every process holds as many pictures
            pictures *= dist.get_world_size()
        self.mean_square.lerp_(current, 1 - 0.5 ** (pictures / _HALF_LIFE))


def modulated(x: Tensor, weight: Tensor, styles: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Convolve with the weights `scale[n, o] * styles[n, i] * weight[o, i]` of each sample's own.

    Weights of their own are made where they are small: for 1 x 1 kernels and for single pictures.
    Else the maps are scaled, before and after a convolution that all samples share.

    Args:
        x: (N, I, H, W).
        weight: (O, I, k, k), k odd; maps grow by k - 1.
        styles: (N, I).
        scale: (N, O) or (N, 1).
        bias: (O,), added in the end.
    """
    kernel = weight.shape[2]
    dtype = operand_type(x)
    x = x.to(dtype)
    if kernel == 1:
        own = styles[:, :, None] * weight.flatten(1).t() * scale[:, None]
        n, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, channels)
        y = torch.baddbmm(bias.to(dtype), pixels, own.to(dtype))
        return y.view(n, height, width, -1).permute(0, 3, 1, 2)
    if len(x) == 1:
        own = weight * (scale.t() * styles)[:, :, None, None]
        return torch.conv2d(x, own.to(dtype), bias.to(dtype), padding=kernel - 1)
    x = x * styles.to(dtype)[:, :, None, None]
    y = torch.conv2d(x, weight.to(dtype), padding=kernel - 1)
    return torch.addcmul(bias.to(dtype)[:, None, None], y, scale.to(dtype)[:, :, None, None])


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """(N, O): what brings each output of each sample to the magnitude of the inputs.

    Equation 3 of Karras et al. 2020b, after each output's weights were divided by their root mean
    square, as in the authors' code; the division is part of the factor.
    """
    squares = weight.square().sum((2, 3))
    norm = (squares.mean(1) / prod(weight.shape[2:])).rsqrt()
    scale: Tensor = norm * (styles.square() @ (squares.t() * norm.square()) + 1e-8).rsqrt()
    return scale
