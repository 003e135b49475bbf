"""A bias by itself, for convolutions that have none."""

import torch
from torch import Tensor, nn


class Bias(nn.Module):
    """Adds a learnt number to each channel of (N, channels, H, W), 0 at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Add, in the type of the maps: autocast would not hold them there."""
        return x + self.bias.to(x.dtype)[:, None, None]
