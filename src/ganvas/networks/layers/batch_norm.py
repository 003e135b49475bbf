"""Batch normalisation with the statistics of the whole batch, however many processes share it."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _SumOverProcesses(torch.autograd.Function):
    """All-reduce whose gradient is an all-reduce: every process's loss depends on every input."""

    @staticmethod
    def forward(value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        """Nothing to keep; without this method `torch.func` refuses the function."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total: Tensor = _SumOverProcesses.apply(gradients[0].contiguous())  # type: ignore[no-untyped-call]
        return total


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` (Ioffe & Szegedy 2015) that two processes compute as one would.

    torch's own SyncBatchNorm refuses CPUs and second derivatives; this one has both. Alone in its
    process group, or in evaluation, it is exactly `nn.BatchNorm2d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, H, W) over N, H and W."""
        if not (self.training and dist.is_available() and dist.is_initialized()):
            return super().forward(input)
        if dist.get_world_size() == 1:
            return super().forward(input)
        return self._forward_shared(input)

    def _forward_shared(self, input: Tensor) -> Tensor:
        x = input.float()
        count = x.numel() // x.shape[1] * dist.get_world_size()  # every process holds as many
        mean = _shared_sum(x.sum((0, 2, 3))) / count
        centred = x - mean[:, None, None]
        variance = _shared_sum(centred.square().sum((0, 2, 3))) / count
        self._update_running(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    def _update_running(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            raise RuntimeError("BatchNorm2d across processes needs running statistics")
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def _shared_sum(value: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(value)  # type: ignore[no-untyped-call]
    return total
