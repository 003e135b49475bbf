"""Each channel of each picture to mean 0 and variance 1 (Ulyanov et al. 2016), quick on CPUs.

PyTorch's own kernel wants maps with channels first, and takes 5 to 9 times as long as its batch
norm where they lie last: 10.0 and 1.3 ms for one picture of 64 x 256 x 256 in bfloat16 (one core of
an AMD EPYC; its group norm, the same function again, 0.9, but 196 backwards). So the channels of
all pictures become those of a single one, which batch norm then normalises.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPS = 1e-5


class PictureNorm(nn.Module):
    """(N, C, H, W) normalised over H and W, of which there must be two pixels or more.

    Affine, each channel then has a scale and a bias, 1 and 0 at first. That is batch norm of a
    batch of one picture, while training and afterwards.
    """

    def __init__(self, channels: int, affine: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, in the type of the maps."""
        return picture_norm(x, self.weight, self.bias)


def picture_norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """The norm of (N, C, H, W), times weight (C,) plus bias (C,)."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.instance_norm(x, weight=weight, bias=bias, eps=_EPS)
    if len(x) == 1:  # moved about, it would no longer pass for channels last, with torch.cat say
        return F.batch_norm(x, None, None, weight, bias, True, eps=_EPS)
    count, channels, height, width = x.shape
    side_by_side = x.permute(2, 3, 0, 1).reshape(1, height, width, count * channels)
    weight, bias = (None if p is None else p.repeat(count) for p in (weight, bias))
    y = F.batch_norm(side_by_side.permute(0, 3, 1, 2), None, None, weight, bias, True, eps=_EPS)
    apart = y.permute(0, 2, 3, 1).reshape(height, width, count, channels)
    return apart.permute(2, 0, 1, 3).contiguous().permute(0, 3, 1, 2)
