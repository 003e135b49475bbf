"""What a discriminator sees of the other samples of its batch, so that fakes must differ too.

A discriminator with one of these judges samples together: a gradient penalty per sample then holds
a little of what an image does to the others' outputs. Samples of other processes and micro-batches
(`training.accumulate`) are not seen.
"""

from typing import Literal

import torch
from torch import Tensor, nn

Minibatch = Literal["none", "discrimination", "stddev"]
"""Which of this file's layers stands before the last layer of a discriminator."""


class MinibatchDiscrimination(nn.Module):
    """(N, features) -> (N, features + kernels) (Salimans et al. 2016, section 3.2).

    With M_i = f(x_i) T, kernels x dims, appends to each sample for each kernel b

        o(x_i)_b = sum_j c_b(x_i, x_j),   c_b(x_i, x_j) = exp(-|M_i,b - M_j,b|_1)

    over all j as in the paper; the authors' code leaves out j = i, whose term is always 1, and
    scales the columns of T to unit length, which here they have on average when drawn.
    """

    def __init__(self, features: int, kernels: int = 100, dims: int = 5) -> None:
        super().__init__()
        self.kernels = kernels
        self.tensor = nn.Parameter(torch.randn(features, kernels * dims) * features**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Append how close each sample is to the others, in [1, N]."""
        with torch.autocast(x.device.type, enabled=False):
            # Not unflatten, here and below: torch.compile cannot trace it within penalties.
            M = (x.float() @ self.tensor).view(len(x), self.kernels, -1)
            distance = (M[:, None] - M[None, :]).abs().sum(3)  # (N, N, kernels)
            closeness = torch.exp(-distance).sum(1)
        return torch.cat([x, closeness.to(x.dtype)], 1)


class MinibatchStddev(nn.Module):
    """(N, C, H, W) -> (N, C + 1, H, W), or (N, F) -> (N, F + 1) (Karras et al. 2018, section 3).

    The standard deviation of each feature over a group of samples, averaged over the features, is
    appended to each sample of the group as one more channel. A group is `group` samples, or the
    largest number below that divides the batch.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Append how much the samples of a group differ."""
        n = len(x)
        size = max(g for g in range(1, min(self.group, n) + 1) if n % g == 0)
        groups = x.float().flatten(1).view(size, n // size, -1)  # (size, N / size, features)
        variance = groups.var(0, correction=0)
        deviation = (variance + 1e-8).sqrt().mean(1)  # a root of 0 has no derivative
        appended = deviation.repeat(size).to(x.dtype).view(n, *[1] * (x.ndim - 1))
        return torch.cat([x, appended.expand(n, 1, *x.shape[2:])], 1)


def across_samples(minibatch: Minibatch, features: int) -> tuple[list[nn.Module], int]:
    """The layers for (N, features) that `minibatch` asks for, and the number of their outputs."""
    if minibatch == "discrimination":
        # The paper's 100 kernels, but no more than a quarter of a narrow network's features: the
        # work is N^2 * kernels, and would be most of such a network's.
        layer = MinibatchDiscrimination(features, kernels=max(1, min(100, features // 4)))
        return [layer], features + layer.kernels
    if minibatch == "stddev":
        return [MinibatchStddev()], features + 1
    return [], features
