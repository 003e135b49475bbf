"""Conditional batch norm and standing statistics; over processes: training/test_distributed.py."""

import copy
from unittest.mock import patch

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from ganvas.networks.layers.batch_norm import (
    BatchNorm2d,
    ConditionalBatchNorm2d,
    standing_statistics,
)
from ganvas.networks.layers.spectral_norm import spectral_norm

LABELS = torch.tensor([0, 2, 1, 2, 0, 0])


@pytest.fixture
def x() -> Tensor:
    return torch.randn(6, 3, 4, 5) * 2 + 1


@pytest.mark.parametrize("training", [True, False])
def test_equals_an_affine_batch_norm_of_each_class(training: bool, x: Tensor) -> None:
    layer = ConditionalBatchNorm2d.of_classes(3, 3)
    assert isinstance(layer.scale, nn.Embedding)
    assert isinstance(layer.bias, nn.Embedding)
    assert torch.equal(layer(x, LABELS), layer.normalise(x))  # scales are 1, biases 0 at first
    for embedding in (layer.scale, layer.bias):
        nn.init.normal_(embedding.weight)
    layer.train(training)
    found = copy.deepcopy(layer)(x, LABELS)
    for label in range(3):
        plain = nn.BatchNorm2d(3).train(training)
        plain.load_state_dict(
            layer.normalise.state_dict()
            | {"weight": 1 + layer.scale.weight[label], "bias": layer.bias.weight[label]}
        )
        chosen = label == LABELS
        torch.testing.assert_close(found[chosen], plain(x)[chosen])


def test_linear_conditions(x: Tensor) -> None:
    layer = ConditionalBatchNorm2d.of_vectors(3, 4)
    assert isinstance(layer.scale, nn.Linear)
    assert isinstance(layer.bias, nn.Linear)
    condition = torch.randn(6, 4)
    found = layer(x, condition)
    normalised = nn.functional.batch_norm(x, None, None, training=True)
    scale = 1 + condition @ layer.scale.weight.T
    bias = condition @ layer.bias.weight.T
    expected = normalised * scale[:, :, None, None] + bias[:, :, None, None]
    torch.testing.assert_close(found, expected)


def test_keeps_the_type_of_its_input_under_autocast(x: Tensor) -> None:
    layer = ConditionalBatchNorm2d.of_vectors(3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x.bfloat16(), torch.randn(6, 4)).dtype == torch.bfloat16


def test_second_derivatives(x: Tensor) -> None:
    layer = ConditionalBatchNorm2d.of_vectors(3, 2).double()
    inputs = (x[:2, :, :2, :2].double().requires_grad_(),
              torch.randn(2, 2, dtype=torch.float64, requires_grad=True))  # fmt: skip
    assert torch.autograd.gradgradcheck(layer, inputs)


def test_shared_by_processes_without_scale_and_bias(x: Tensor) -> None:
    """The path for several processes, here two that hold the same: the same statistics."""
    alone, shared = BatchNorm2d(3, affine=False), BatchNorm2d(3, affine=False)
    expected = alone(x)
    with (
        patch.object(dist, "is_initialized", lambda: True),
        patch.object(dist, "get_world_size", lambda: 2),
        patch.object(dist, "all_reduce", lambda tensor: tensor.mul_(2)),
    ):
        torch.testing.assert_close(shared(x), expected)
    torch.testing.assert_close(shared.running_mean, alone.running_mean)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1 = BatchNorm2d(3)
        self.conv = spectral_norm(nn.Conv2d(3, 2, 1))
        self.norm2 = ConditionalBatchNorm2d.of_classes(2, 3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        assert labels is not None
        x = self.norm2(self.conv(self.norm1(x)), labels)
        dropped: Tensor = self.dropout(x)
        return dropped


def test_standing_statistics_are_averages_over_the_batches(x: Tensor) -> None:
    network = Small()
    for _ in range(3):
        network(x, LABELS)
    batches = [x, x + torch.randn(6, 3, 4, 5), 3 * x]
    frozen = copy.deepcopy(network.state_dict())
    network.eval()
    network.dropout.train()
    standing_statistics(network, ((batch, LABELS) for batch in batches))
    means = torch.stack([batch.mean((0, 2, 3)) for batch in batches])
    variances = torch.stack([batch.transpose(0, 1).flatten(1).var(1) for batch in batches])
    # Of equal batches, the average of the means is the mean of all.
    torch.testing.assert_close(network.norm1.running_mean, torch.cat(batches).mean((0, 2, 3)))
    torch.testing.assert_close(network.norm1.running_mean, means.mean(0))
    torch.testing.assert_close(network.norm1.running_var, variances.mean(0))
    # The second one sees what the first makes of each batch by that batch's own statistics.
    seen = [network.conv(nn.functional.batch_norm(b, None, None, training=True)) for b in batches]
    mean = torch.stack([s.mean((0, 2, 3)) for s in seen]).mean(0)
    torch.testing.assert_close(
        network.norm2.normalise.running_mean, mean.detach(), atol=1e-6, rtol=0
    )
    for name, value in network.state_dict().items():
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            assert torch.equal(value, frozen[name]), name
    modes = {module for module in network.modules() if module.training}
    assert modes == {network.dropout}
    assert network.norm1.momentum == 0.1


def test_standing_statistics_need_a_batch() -> None:
    network = Small()
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(ValueError, match="at least one"):
        standing_statistics(network, [])
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
