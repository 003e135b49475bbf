"""Self-attention over the places of a map (Zhang, Goodfellow, Metaxas & Odena 2018, section 3)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """x (N, C, H, W) -> x + gamma * o (eq. 3), for even H and W.

    Each place asks all others (eq. 1), compared in C/8 dimensions; what they answer has C/2, and a
    last 1 x 1 convolution brings it to C (eq. 2). gamma is 0 at first: the network learns what lies
    near before what lies far. As in BigGAN, keys and values are the maxima over 2 x 2 places, which
    quarters the work.

    Not `F.scaled_dot_product_attention`, whose fast kernels have no second derivative.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        compared, answered = max(1, channels // 8), max(1, channels // 2)
        self.query = nn.Conv2d(channels, compared, 1, bias=False)
        self.key = nn.Conv2d(channels, compared, 1, bias=False)
        self.value = nn.Conv2d(channels, answered, 1, bias=False)
        self.output = nn.Conv2d(answered, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Add to each place what it finds elsewhere."""
        query = self.query(x).flatten(2)
        key = F.max_pool2d(self.key(x), 2).flatten(2)
        value = F.max_pool2d(self.value(x), 2).flatten(2)
        weights = (query.transpose(1, 2) @ key).softmax(2)  # (N, H W, H W / 4)
        found = value @ weights.to(value).transpose(1, 2)
        # Not unflatten: torch.compile cannot trace it within penalties.
        answer: Tensor = self.output(found.view(len(x), -1, *x.shape[2:]))
        return x + self.gamma.to(x.dtype) * answer
