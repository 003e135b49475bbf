"""Pictures mirrored beyond their border."""

import torch
from torch import Tensor


def reflected(images: Tensor, axis: int, before: int, behind: int) -> Tensor:
    """Images with pixels added along an axis, which mirror those inside, again and again.

    As `torch.nn.functional.pad` with mode "reflect", which adds less than a side at most, and whose
    gradients CUDA adds up in an order that changes from run to run; these it does not.

    Args:
        images: (N, C, H, W), of two pixels or more along the axis.
        axis: 2 or 3.
        before: Pixels to add before the first.
        behind: Pixels to add behind the last.
    """
    while before > 0:
        share = min(before, images.shape[axis] - 1)
        images = torch.cat([images.narrow(axis, 1, share).flip(axis), images], axis)
        before -= share
    while behind > 0:
        size = images.shape[axis]
        share = min(behind, size - 1)
        images = torch.cat([images, images.narrow(axis, size - 1 - share, share).flip(axis)], axis)
        behind -= share
    return images
