"""The layers that look across a batch, against loops written plainly."""

from collections.abc import Callable
from math import exp, sqrt

import pytest
import torch
from torch import Tensor, nn

from ganvas.networks import build_discriminator
from ganvas.networks.layers.minibatch import MinibatchDiscrimination, MinibatchStddev


def test_discrimination() -> None:
    layer = MinibatchDiscrimination(3, kernels=4, dims=2)
    x = torch.randn(5, 3)
    found = layer(x)
    assert torch.equal(found[:, :3], x)
    T = layer.tensor.detach().view(3, 4, 2)
    M = torch.einsum("na,abc->nbc", x, T)
    for i in range(5):
        for b in range(4):
            closeness = sum(exp(-(M[i, b] - M[j, b]).abs().sum().item()) for j in range(5))
            assert found[i, 3 + b].item() == pytest.approx(closeness, rel=1e-4)


def test_discrimination_sees_a_collapse() -> None:
    layer = MinibatchDiscrimination(16)
    same, different = torch.randn(1, 16).expand(8, 16), 3 * torch.randn(8, 16)
    assert layer(same)[:, 16:].min() == 8
    assert layer(different)[:, 16:].mean() < 4


@pytest.mark.parametrize(("n", "size"), [(8, 4), (6, 3), (2, 2), (5, 1)])
def test_stddev(n: int, size: int) -> None:
    x = torch.randn(n, 2, 3, 3)
    found = MinibatchStddev()(x)
    assert torch.equal(found[:, :2], x)
    groups = n // size
    for i in range(n):
        members = [x[j] for j in range(i % groups, n, groups)]
        mean: Tensor = sum(members[1:], members[0]) / size
        squares = [(member - mean).square() for member in members]
        deviation = (sum(squares[1:], squares[0]) / size + 1e-8).sqrt().mean()
        torch.testing.assert_close(found[i, 2], deviation.expand(3, 3))


def test_stddev_of_vectors() -> None:
    x = torch.tensor([[0.0, 0.0], [2.0, 4.0]])
    found = MinibatchStddev()(x)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 1.5], [2.0, 4.0, 1.5]]))
    equal = MinibatchStddev()(torch.ones(4, 2))
    assert equal[0, 2].item() == pytest.approx(sqrt(1e-8))


@pytest.mark.parametrize("make", [lambda: MinibatchDiscrimination(4, 3, 2), MinibatchStddev])
def test_second_derivatives_and_bfloat16(make: Callable[[], nn.Module]) -> None:
    layer = make()
    x = torch.randn(4, 4)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0.03)

    def output(x: Tensor) -> Tensor:
        answer: Tensor = layer(x).sin().sum()
        return answer

    penalty = torch.func.grad(lambda x: torch.func.grad(output)(x).square().sum())
    tilt = torch.zeros_like(x)
    tilt[1, 2] = 1e-3  # short, for the distances have kinks
    slope = [torch.func.grad(output)(x + s * tilt).square().sum() for s in (1, -1)]
    assert penalty(x)[1, 2].item() == pytest.approx((slope[0] - slope[1]).item() / 2e-3, rel=0.05)


@pytest.mark.parametrize("kind", ["mlp", "dcgan", "r3gan"])
@pytest.mark.parametrize("minibatch", ["discrimination", "stddev"])
def test_discriminators_that_look_across(kind: str, minibatch: str) -> None:
    """The answer for an image depends on its company, and every weight on the answers."""
    torch.manual_seed(0)
    network = build_discriminator(
        kind, (3, 16, 24), 8, classes=2, outputs=2, minibatch=minibatch  # type: ignore[arg-type]
    ).eval()  # fmt: skip
    images, labels = torch.randn(4, 3, 16, 24), torch.tensor([0, 1, 0, 1])
    answers = network(images, labels)
    assert answers.shape == (4, 2)
    alone = network(images[:1].expand(4, 3, 16, 24), labels[:1].expand(4))
    assert (answers[0] - alone[0]).abs().max() > 1e-5
