"""Batch normalisation with the statistics of the whole batch, however many processes share it."""

from collections.abc import Iterable
from typing import Any, Self

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
        scale = (variance + self.eps).rsqrt()
        if not self.affine:
            return (centred * scale[:, None, None]).to(input.dtype)
        scale = self.weight * scale
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    def _update_running(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            raise RuntimeError("BatchNorm2d across processes needs running statistics")
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm with a scale and a bias that depend on a condition (Dumoulin et al. 2017).

    (N, C, H, W) and a condition -> (1 + scale(condition)) * normalised + bias(condition), where
    `scale` and `bias` map a condition of N rows to (N, C).
    """

    def __init__(self, channels: int, scale: nn.Module, bias: nn.Module) -> None:
        super().__init__()
        self.normalise = BatchNorm2d(channels, affine=False)
        self.scale, self.bias = scale, bias

    @classmethod
    def of_classes(cls, channels: int, classes: int) -> Self:
        """For labels (N,): a scale and a bias for each class, 1 and 0 at first."""
        scale, bias = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        nn.init.zeros_(scale.weight)
        nn.init.zeros_(bias.weight)
        return cls(channels, scale, bias)

    @classmethod
    def of_vectors(cls, channels: int, size: int) -> Self:
        """For vectors (N, size): linear maps without biases (Brock et al. 2019, appendix B)."""
        return cls(
            channels, nn.Linear(size, channels, bias=False), nn.Linear(size, channels, bias=False)
        )

    def forward(self, input: Tensor, condition: Tensor) -> Tensor:
        """Normalise over N, H and W, then scale and shift each sample as its condition says."""
        scale = (1 + self.scale(condition)).to(input.dtype)
        bias = self.bias(condition).to(input.dtype)
        return torch.addcmul(bias[..., None, None], self.normalise(input), scale[..., None, None])


@torch.no_grad()
def standing_statistics(network: nn.Module, batches: Iterable[tuple[Tensor | None, ...]]) -> None:
    """Set the running statistics of all batch norms to their averages over some forward passes.

    The "standing statistics" of Brock et al. 2019: running averages belong to the inputs, and the
    weights, of training; for other ones, such as truncated latents, the mean and the variance of
    each layer are averaged over batches like those that are to be drawn. Nothing else in the
    network changes; what is not a batch norm runs in evaluation mode.

    Args:
        network: Left in the modes, training or evaluation, that it was in.
        batches: The arguments of each call of the network. Batches count alike; variances are
            those within a batch, so that large ones serve best.

    Raises:
        ValueError: there are no batches.
    """
    modes = {module: module.training for module in network.modules()}
    layers = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    count = 0
    try:
        network.eval()
        for layer in layers:
            layer.train()
        for inputs in batches:
            count += 1
            for layer in layers:
                layer.momentum = 1 / count  # makes the running average that of all batches so far
            network(*inputs)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
    if not count:
        raise ValueError("standing statistics need at least one batch")


def _shared_sum(value: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(value)  # type: ignore[no-untyped-call]
    return total
