"""Doubling and halving of maps with the smooth filter [1, 3, 3, 1], as in StyleGAN2 and R3GAN.

That is bilinear interpolation and its mirror, with zeros beyond the border.

On a CPU it is computed in float32: at 64 x 32 maps of 16 x 16, oneDNN's bfloat16 kernel for the
transpose, which the gradient of the other direction needs too, took 28 ms, this 2 ms (one core of
an AMD EPYC with AVX512-BF16).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def bilinear_double(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2H, 2W); a constant stays what it is away from the border."""
    with torch.autocast(x.device.type, enabled=False):
        wide = _in_fast_type(x)
        kernel = 4 * _kernel(wide)
        y = F.conv_transpose2d(wide, kernel, stride=2, padding=1, groups=x.shape[1])
    return y.to(x.dtype)


def bilinear_halve(x: Tensor) -> Tensor:
    """(N, C, 2H, 2W) -> (N, C, H, W), a quarter of the transpose of `bilinear_double`."""
    with torch.autocast(x.device.type, enabled=False):
        wide = _in_fast_type(x)
        y = F.conv2d(wide, _kernel(wide), stride=2, padding=1, groups=x.shape[1])
    return y.to(x.dtype)


def _in_fast_type(x: Tensor) -> Tensor:
    return x.float() if x.device.type == "cpu" and x.dtype == torch.bfloat16 else x


def _kernel(x: Tensor) -> Tensor:
    """(C, 1, 4, 4), with the sum 1 for each channel."""
    steps = torch.arange(4, dtype=x.dtype, device=x.device)  # a list would have to cross to a GPU
    line = (4 - 2 * (steps - 1.5).abs()) / 8
    return torch.outer(line, line).repeat(x.shape[1], 1, 1, 1)
