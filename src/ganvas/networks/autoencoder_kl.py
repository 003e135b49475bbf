"""The autoencoder of latent diffusion (Rombach et al. 2022, appendix E.1 and G; Esser et al. 2021).

Residual blocks with group norm and SiLU at every resolution, and at the smallest one self-attention
between two of them. The encoder gives mean and log variance of every number of a small map of
latents, the decoder makes a picture of such a map.

Layers bear the names, and weights have the shapes, of the class `AutoencoderKL` of the library
`diffusers` (blocks `DownEncoderBlock2D` and `UpDecoderBlock2D`), so that weights go from one to the
other as they are:

    block_out_channels   `widths`
    layers_per_block     `blocks`; the decoder has one more at each resolution
    norm_num_groups      `groups_of(widths[0])`: 32 of 4 channels or more from a width of 128 on
    latent_channels      half of the encoder's `outputs`
    quant_conv, post_quant_conv   `pointwise` convolutions that belong to neither network

Deviations, none of which changes the function: doubled maps are convolved without being made
(`layers/residual.py`), norms and the decoder's last layer are computed in float32 under autocast.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.networks.layers.residual import RepeatedConvolution

_GROUPS, _IN_GROUP, _EPS = 32, 4, 1e-6


def widths_of(width: int, halvings: int) -> list[int]:
    """Channels at each resolution, from the finest on: 1, 2, 4 and 4 times the width for three.

    As the authors' models that make maps 8 times smaller have them; 1, 2, 4 for two halvings.
    """
    return [width * min(2**i, 4) for i in range(halvings + 1)]


def groups_of(width: int) -> int:
    """Groups of channels to normalise together, of at least 4, wherever there are any width's."""
    return gcd(_GROUPS, width, max(1, width // _IN_GROUP))


def pointwise(inputs: int, outputs: int) -> nn.Conv2d:
    """The linear maps between the networks and the latents: (N, inputs, h, w), place by place."""
    return nn.Conv2d(inputs, outputs, 1)


class Encoder(nn.Module):
    """Pictures (N, inputs, H, W) -> maps (N, outputs, H / f, W / f), f = 2^(len(widths) - 1).

    Args:
        inputs: Channels of a picture, whose sides are multiples of f.
        outputs: Channels of the map: a mean and a log variance for each of the latents'.
        widths: Channels at each resolution, from the finest on.
        blocks: Residual blocks at each resolution.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int], blocks: int = 2) -> None:
        super().__init__()
        groups, last = groups_of(widths[0]), widths[-1]
        self.conv_in = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            _Down(before, after, blocks, groups, halves=i < len(widths) - 1)
            for i, (before, after) in enumerate(pairwise([widths[0], *widths]))
        )
        self.mid_block = _Middle(last, groups)
        self.conv_norm_out = GroupNorm(groups, last, _EPS)
        self.conv_out = nn.Conv2d(last, outputs, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Encode."""
        x = self.conv_in(images)
        for block in self.down_blocks:
            x = block(x)
        moments: Tensor = self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))
        return moments


class Decoder(nn.Module):
    """Maps (N, inputs, h, w) -> pictures (N, outputs, f h, f w) without bounds, and `features`.

    These are what the last layer, a 3 x 3 convolution, makes the picture of, (N, widths[0], f h,
    f w) in float32: the weight of the adversarial loss depends on the gradient at that layer.

    Args:
        inputs: Channels of the latents.
        outputs: Channels of a picture.
        widths: Channels at each resolution, from the finest on.
        blocks: Residual blocks at each resolution, less one.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int], blocks: int = 2) -> None:
        super().__init__()
        groups, upwards = groups_of(widths[0]), [widths[-1], *reversed(widths)]
        self.conv_in = nn.Conv2d(inputs, widths[-1], 3, padding=1)
        self.mid_block = _Middle(widths[-1], groups)
        self.up_blocks = nn.ModuleList(
            _Up(before, after, blocks + 1, groups, doubles=i < len(widths) - 1)
            for i, (before, after) in enumerate(pairwise(upwards))
        )
        self.conv_norm_out = GroupNorm(groups, widths[0], _EPS)
        self.conv_out = nn.Conv2d(widths[0], outputs, 3, padding=1)

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Decode."""
        x = self.mid_block(self.conv_in(latents))
        for block in self.up_blocks:
            x = block(x)
        with torch.autocast(x.device.type, enabled=False):
            features = F.silu(self.conv_norm_out(x.float()))
            return self.conv_out(features), features


class GroupNorm(nn.GroupNorm):
    """Group norm (Wu & He 2018) in float32: PyTorch's bfloat16 kernels for CPUs are slow."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, H, W) over the places and the channels of each group."""
        return super().forward(input.float()).to(input.dtype)


class _Residual(nn.Module):
    """x + f(x), f two times norm, SiLU, 3 x 3 convolution; x by a 1 x 1 one to other widths."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(groups, inputs, _EPS)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = GroupNorm(groups, outputs, _EPS)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the two convolutions find."""
        found: Tensor = self.conv1(F.silu(self.norm1(x)))
        found = self.conv2(F.silu(self.norm2(found)))
        return found + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class _Attention(nn.Module):
    """x + what each place finds at all others, with one head of all channels."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.group_norm = GroupNorm(groups, channels, _EPS)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        """Look around."""
        places = self.group_norm(x).flatten(2).transpose(1, 2)[:, None]  # (N, 1, H W, C)
        found = F.scaled_dot_product_attention(
            self.to_q(places), self.to_k(places), self.to_v(places)
        )
        answer: Tensor = self.to_out[0](found)[:, 0].transpose(1, 2)
        return x + answer.reshape(x.shape)


class _Middle(nn.Module):
    """A residual block, attention and another residual block at the smallest resolution."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([_Attention(channels, groups)])
        self.resnets = nn.ModuleList(_Residual(channels, channels, groups) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """All three."""
        y: Tensor = self.resnets[1](self.attentions[0](self.resnets[0](x)))
        return y


class _Down(nn.Module):
    """The residual blocks of one resolution, and the way to the next coarser one."""

    def __init__(
        self, inputs: int, outputs: int, blocks: int, groups: int, *, halves: bool
    ) -> None:
        super().__init__()
        self.resnets = _residuals(inputs, outputs, blocks, groups)
        self.downsamplers = nn.ModuleList([_Halving(outputs)] if halves else [])

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / 2, W / 2), or of the same sides at the last."""
        for layer in (*self.resnets, *self.downsamplers):
            x = layer(x)
        return x


class _Up(nn.Module):
    """The residual blocks of one resolution, and the way to the next finer one."""

    def __init__(
        self, inputs: int, outputs: int, blocks: int, groups: int, *, doubles: bool
    ) -> None:
        super().__init__()
        self.resnets = _residuals(inputs, outputs, blocks, groups)
        self.upsamplers = nn.ModuleList([_Doubling(outputs)] if doubles else [])

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W), or of the same sides at the last."""
        for layer in (*self.resnets, *self.upsamplers):
            x = layer(x)
        return x


def _residuals(inputs: int, outputs: int, blocks: int, groups: int) -> nn.ModuleList:
    return nn.ModuleList(
        _Residual(inputs if i == 0 else outputs, outputs, groups) for i in range(blocks)
    )


class _Halving(nn.Module):
    """A 3 x 3 convolution of stride 2, with a row and a column of zeros behind the last ones."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Halve."""
        halved: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return halved


class _Doubling(nn.Module):
    """Every pixel four times, then a 3 x 3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = RepeatedConvolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Double."""
        doubled: Tensor = self.conv(x)
        return doubled
