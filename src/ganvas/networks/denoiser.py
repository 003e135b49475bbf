"""The UNet of latent diffusion (Rombach et al. 2022, section 3.3): that of `diffusers`."""

from collections.abc import Collection, Sequence
from math import gcd
from typing import Any

from torch import Tensor, nn

_GROUPS = 32

_SMALL = 1024
"""Places of a map whose scores of attention, all by all, are no burden to keep."""


def denoiser(
    latent_shape: tuple[int, int, int],
    widths: Sequence[int],
    blocks: int,
    attention: Collection[int],
    head_size: int,
    text_width: int,
) -> nn.Module:
    """A `UNet2DConditionModel`: maps with noise, their time, a caption -> maps of the same shape.

    Args:
        latent_shape: (C, h, w) of a map.
        widths: Channels at its size, at half of it, ...
        blocks: Residual blocks at each size on the way down, one more on the way up.
        attention: The sizes, by their place in `widths`, with attention to all places and to the
            caption; in the middle of the network there always is.
        head_size: Channels of a head of attention; fewer where it does not divide the width.
        text_width: Numbers for each word of the caption.
    """
    from diffusers import UNet2DConditionModel

    attends = [size in attention for size in range(len(widths))]
    unet: Any = UNet2DConditionModel(
        sample_size=latent_shape[1:],
        in_channels=latent_shape[0],
        out_channels=latent_shape[0],
        block_out_channels=tuple(widths),
        layers_per_block=blocks,
        down_block_types=[f"{'CrossAttn' * here}DownBlock2D" for here in attends],
        up_block_types=[f"{'CrossAttn' * here}UpBlock2D" for here in reversed(attends)],
        # What this argument is called, it is not: it counts the heads.
        attention_head_dim=tuple(width // gcd(width, head_size) for width in widths),
        norm_num_groups=gcd(_GROUPS, *widths),
        cross_attention_dim=text_width,
        use_linear_projection=True,
    )
    unet.set_attn_processor(_Attention())
    network: nn.Module = unet
    return network


class _Attention:
    """Written-out attention where it is faster: on a CPU, over small maps.

    The backward pass of torch's fused attention takes most of a training step there: with it, and
    in bfloat16, one of 32 maps of 8x8 took 8.1 ms a map on one core, without it 4.8.
    """

    def __init__(self) -> None:
        from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

        self._plain, self._fused = AttnProcessor(), AttnProcessor2_0()

    def __call__(self, attention: nn.Module, places: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        small = places.device.type == "cpu" and places.shape[1] <= _SMALL
        attend = self._plain if small else self._fused
        found: Tensor = attend(attention, places, *args, **kwargs)
        return found
