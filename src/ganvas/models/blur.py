"""A Gaussian blur of pictures."""

import math

import torch
from torch import Tensor


def gaussian_blur(images: Tensor, radius: float) -> Tensor:
    """Images (N, C, H, W) blurred by 2^-(x / radius)^2, x in pixels, zeros beyond the border.

    The weights are cut off at three times the radius (their standard deviation is 0.85 times it);
    a radius below a third of a pixel leaves the images as they are.
    """
    reach = math.floor(3 * radius)
    if reach == 0:
        return images
    height, width = images.shape[2:]
    # In float32: the sum of bfloat16 weights is not 1, so D could tell fakes, which are bfloat16,
    # by their brightness. Products with matrices, since oneDNN never returns from a bfloat16
    # convolution of channels-last pictures with a kernel that is wider than they are (torch 2.13).
    with torch.autocast(images.device.type, enabled=False):
        wide = images.to(torch.promote_types(images.dtype, torch.float32))
        down = _weights(height, radius, reach, wide)
        across = _weights(width, radius, reach, wide)
        return (down @ wide @ across).to(images.dtype)


def _weights(size: int, radius: float, reach: int, like: Tensor) -> Tensor:
    """The share of pixel i in pixel j, (size, size), symmetric."""
    pixel = torch.arange(size, dtype=torch.float64)
    distance = (pixel[:, None] - pixel).abs()
    whole = torch.exp2(-(torch.arange(-reach, reach + 1) / radius).double().square()).sum()
    shares = torch.exp2(-(distance / radius).square()) * (distance <= reach) / whole
    return shares.to(like)
