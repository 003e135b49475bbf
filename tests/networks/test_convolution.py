"""The convolutions with their own weight gradient against PyTorch's."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganvas.networks.layers import convolution
from ganvas.networks.layers.convolution import Double, Halve, _Double, _Halve


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 3, 4, 6, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(
    ("function", "shape"), [(_Halve.apply, (5, 3, 4, 4)), (_Double.apply, (3, 5, 4, 4))]
)
def test_first_and_second_derivatives(
    function: Callable[..., Tensor], shape: tuple[int, ...], x: Tensor
) -> None:
    weight = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (x, weight))
    assert torch.autograd.gradgradcheck(function, (x, weight))


@pytest.mark.parametrize(("kind", "inputs"), [(Halve, 16), (Double, 8)])
@pytest.mark.parametrize("size", [8, 32])
def test_in_bfloat16_as_in_float32(
    kind: type[Halve] | type[Double], inputs: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = kind(inputs, 8)
    used: list[int] = []
    calculate = convolution._weight_gradient

    def spy(large: Tensor, small: Tensor) -> Tensor:
        used.append(1)
        return calculate(large, small)

    monkeypatch.setattr(convolution, "_weight_gradient", spy)
    x = torch.randn(4, inputs, size, size)
    layer(x).square().sum().backward()
    assert layer.weight.grad is not None
    expected = layer.weight.grad.clone()
    assert not used  # float32 goes another way
    layer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(x)
    assert output.dtype == torch.bfloat16
    output.float().square().sum().backward()
    assert bool(used) == (size == 8)  # so do large maps
    found = layer.weight.grad
    assert found.dtype == torch.float32
    assert (found - expected).norm() < 0.02 * expected.norm()


def test_under_functional_transforms(x: Tensor) -> None:
    weight = torch.randn(5, 3, 4, 4, dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        halved: Tensor = _Halve.apply(x, weight)  # type: ignore[no-untyped-call]
        return halved.square().sum()

    by_image = torch.func.grad(loss)
    (expected,) = torch.autograd.grad(loss(x), x)
    torch.testing.assert_close(by_image(x.detach()), expected)
