"""Convolutions as matrix products: the same functions, in all derivatives."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.networks.layers import products
from ganvas.networks.layers.narrow import NarrowConvolution
from ganvas.networks.layers.products import convolve, transpose

CASES = [(4, 2, 1, 8, 8), (3, 1, 0, 6, 10), (3, 2, 1, 8, 12), (4, 1, 1, 7, 7), (7, 1, 0, 9, 9)]
"""Kernel, stride, padding, height and width of the large maps."""


@pytest.fixture(params=["products", "oneDNN"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size, one of the two; in float32, so that they can be compared."""
    limit = 10**9 if request.param == "products" else 0
    for name in ("_FORWARD", "_SCATTERED", "_BY_WEIGHT"):
        monkeypatch.setattr(products, name, limit)
    monkeypatch.setattr(products, "_serves", lambda x: True)


def derivatives(y: Tensor, *of: Tensor) -> list[Tensor]:
    """The output, its first derivatives and those of their squares."""
    torch.manual_seed(1)
    first = torch.autograd.grad((y * torch.randn(y.shape)).sum(), of, create_graph=True)
    squares = torch.stack([g.square().sum() for g in first]).sum()
    return [y, *first, *torch.autograd.grad(squares, of)]


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize(("size", "stride", "padding", "height", "width"), CASES)
def test_convolve(size: int, stride: int, padding: int, height: int, width: int) -> None:
    x = torch.randn(2, 3, height, width, requires_grad=True)
    weight = torch.randn(5, 3, size, size, requires_grad=True)
    found = derivatives(convolve(x, weight, stride, padding), x, weight)
    expected = derivatives(F.conv2d(x, weight, None, stride, padding), x, weight)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize(("size", "rest"), [(4, 0), (3, 1)])
def test_transpose(size: int, rest: int) -> None:
    x = torch.randn(2, 3, 4, 6, requires_grad=True)
    weight = torch.randn(3, 5, size, size, requires_grad=True)
    found = derivatives(transpose(x, weight, 2, 1, (rest, rest)), x, weight)
    expected = derivatives(F.conv_transpose2d(x, weight, None, 2, 1, rest), x, weight)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("layer", [
    products.Convolution(8, 8, 4, 2, 1, bias=False), products.Transposed(8, 8, 3, bias=True),
])  # fmt: skip
def test_bfloat16_serves_and_is_near_float32(layer: nn.Module) -> None:
    x = torch.randn(2, 8, 8, 8).contiguous(memory_format=torch.channels_last)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    assert found.dtype == torch.bfloat16
    assert (found - expected).norm() < 0.01 * expected.norm()


@pytest.mark.parametrize("outputs", [1, 3, 4])
def test_narrow_convolution_is_a_convolution(outputs: int) -> None:
    layer = NarrowConvolution(4, outputs, 7)
    x = torch.randn(2, 4, 14, 18, requires_grad=True)
    weights = (x, layer.weight)
    found = derivatives(layer(x), *weights)
    expected = derivatives(F.conv2d(x, layer.weight, layer.bias), *weights)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
