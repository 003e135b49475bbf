"""What `torchrun -m tests.pair FOLDER` does in each of its processes, for test_distributed.py.

One pair of processes serves all tests, because starting it takes seconds.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from ganvas import api
from ganvas.networks import stylegan
from ganvas.networks.layers.batch_norm import BatchNorm2d
from ganvas.networks.layers.minibatch import MinibatchStddev
from ganvas.training.config import read_config
from ganvas.training.distributed import process_group
from tests.training.judges import HashJudge

SIZE = (8, 3, 5, 4)
"""Of the input of the batch norm, over all processes."""


def measure_batch_norm(layer: nn.BatchNorm2d, rows: slice) -> Iterator[tuple[str, Tensor]]:
    """Output, running statistics, and first and second derivatives for some rows of the batch."""
    generator = torch.Generator().manual_seed(0)
    images, weights = (torch.randn(SIZE, generator=generator)[rows] for _ in range(2))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, 1.5, -1.0]))
        layer.bias.copy_(torch.tensor([0.1, -0.2, 0.3]))
    images = (images * 2 + 1).requires_grad_()
    output = layer(images)
    yield "output", output.detach()
    (slope,) = torch.autograd.grad((output.square() * weights).sum(), images, create_graph=True)
    yield "slope", slope.detach()
    parameters = (images, layer.weight)
    names = ("curvature", "weight")
    yield from zip(
        names, torch.autograd.grad((slope.square() * weights).sum(), parameters), strict=True
    )
    assert layer.running_mean is not None
    assert layer.running_var is not None
    assert layer.num_batches_tracked is not None
    yield "running_mean", layer.running_mean
    yield "running_var", layer.running_var
    yield "batches", layer.num_batches_tracked
    yield "evaluated", layer.eval()(images).detach()


@contextmanager
def comparable() -> Iterator[None]:
    """Within, what differs between a batch and its parts is rounding, and stays rounding.

    No discriminator compares the samples that it happens to see together; and StyleGAN does not
    begin with maps that are the same everywhere, whose variance, nothing but rounding, AdaIN
    divides by.
    """

    def forward(self: MinibatchStddev, x: Tensor) -> Tensor:
        return torch.cat([x, torch.zeros_like(x[:, :1])], 1)

    def begin(self: stylegan.Synthesis, *arguments: Any) -> None:
        build(self, *arguments)
        nn.init.normal_(self.constant)

    build = stylegan.Synthesis.__init__
    with (
        patch.object(MinibatchStddev, "forward", forward),
        patch.object(stylegan.Synthesis, "__init__", begin),
    ):
        yield


def _main(folder: Path) -> None:
    with process_group("cpu") as processes:
        share = SIZE[0] // processes.world
        rows = slice(processes.rank * share, (processes.rank + 1) * share)
        measured = dict(measure_batch_norm(BatchNorm2d(3), rows))
        torch.save(measured, folder / f"batch-norm-{processes.rank}.pt")
    with patch.object(api, "make_judge", lambda *_: HashJudge()), comparable():
        for path in sorted(folder.glob("*.yaml")):
            api.train(read_config(path), out=folder / path.stem, say=print)
        for path in sorted(folder.glob("resume-*")):
            api.resume(path, say=print)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
