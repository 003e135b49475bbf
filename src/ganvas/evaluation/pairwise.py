"""Pictures against the pictures they should be, one by one."""

from collections.abc import Iterable

import torch
from torch import Tensor

from ganvas.evaluation.reconstruction import psnr, ssim

PAIRWISE = ("l1", "psnr", "ssim", "feature_distance")
"""Scores that are means over pairs of a picture and its target."""


def levels(images: Tensor) -> Tensor:
    """Pictures of a pack in [0, 255]: uint8 as they are, 16-bit ones as float32."""
    return images.float() / 257 if images.dtype == torch.uint16 else images


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of each pair (N, C, H, W) in [0, 255], over 255: (N,) float64."""
    return (a.double() - b.double()).abs().mean((1, 2, 3)) / 255


def compare_pairs(
    output: Tensor, target: Tensor, vectors: Tensor, wanted: Tensor
) -> dict[str, Tensor]:
    """`PAIRWISE` of outputs against their targets, pictures in [0, 255]: (N,) each."""
    return {
        "l1": l1(output, target),
        "psnr": psnr(output.float(), target.float()),
        "ssim": ssim(output.float(), target.float()),
        "feature_distance": (vectors - wanted).norm(dim=1).double(),
    }


def mean_picture(batches: Iterable[Tensor]) -> Tensor:
    """The mean of pictures (B, C, H, W), rounded: uint8 (1, C, H, W)."""
    total, count = torch.zeros(()), 0
    for images in map(levels, batches):
        total = total + images.double().sum(0, keepdim=True)
        count += len(images)
    return (total / count).round().to(torch.uint8)
