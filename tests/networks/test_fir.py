"""Resampling and strided convolutions against their definitions, with two derivatives."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.networks.layers import fir, strided

LINE = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 8
OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "double": fir.double,
    "halve": fir.halve,
    "trim": partial(fir.blur, padding=1, gain=4),
    "widen": partial(fir.blur, padding=2),
    "three": partial(fir.blur, padding=1, taps=3),
}


def by_definition(x: Tensor, up: int = 1, down: int = 1, before: int = 0, after: int = 0) -> Tensor:
    """Zeros in between, zeros around, filter times up^2, every `down`th number."""
    n, c, h, w = x.shape
    wide = torch.zeros(n, c, h * up, w * up, dtype=x.dtype)
    wide[:, :, ::up, ::up] = x
    padded = F.pad(wide, (before, after, before, after))
    kernel = up**2 * torch.outer(LINE, LINE).to(x.dtype).repeat(c, 1, 1, 1)
    return F.conv2d(padded, kernel, groups=c)[:, :, ::down, ::down]


@pytest.mark.parametrize("size", [(4, 4), (6, 10), (1, 2)])
def test_the_definitions(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    large = torch.randn(2, 3, 2 * size[0], 2 * size[1], dtype=torch.float64)
    torch.testing.assert_close(fir.double(x), by_definition(x, up=2, before=2, after=1))
    torch.testing.assert_close(fir.halve(large), by_definition(large, down=2, before=1, after=1))
    torch.testing.assert_close(fir.blur(x, 2), by_definition(x, before=2, after=2))
    torch.testing.assert_close(fir.blur(large, 1, gain=3), 3 * by_definition(large, 1, 1, 1, 1))


def test_a_constant_stays_within() -> None:
    x = torch.full((1, 1, 8, 8), 5.0)
    torch.testing.assert_close(fir.double(x)[..., 1:-1, 1:-1], torch.full((1, 1, 14, 14), 5.0))
    torch.testing.assert_close(fir.halve(x)[..., 1:-1, 1:-1], torch.full((1, 1, 2, 2), 5.0))


@pytest.mark.parametrize("name", OPERATIONS)
def test_derivatives(name: str) -> None:
    x = torch.randn(1, 2, 4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(OPERATIONS[name], x)
    assert torch.autograd.gradgradcheck(OPERATIONS[name], x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", OPERATIONS)
def test_type_and_memory_stay(name: str, dtype: torch.dtype) -> None:
    x = torch.randn(2, 8, 6, 6).to(dtype, memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        y = OPERATIONS[name](x)
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y.float(), OPERATIONS[name](x.float()), atol=0.03, rtol=0.02)


# --- Strided convolutions


def test_strided_convolutions_are_torchs() -> None:
    x, weight, bias = torch.randn(2, 3, 9, 7), torch.randn(4, 3, 3, 3), torch.randn(4)
    expected = F.conv2d(x, weight, bias, stride=2)
    torch.testing.assert_close(strided.halve(x, weight, bias), expected)
    doubled = F.conv_transpose2d(expected, weight, stride=2)
    torch.testing.assert_close(strided.double(expected, weight), doubled)


def test_derivatives_of_strided_convolutions() -> None:
    x, small, weight, bias = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 2, 5, 7), (2, 3, 2, 3), (3, 2, 3, 3), (3,))
    )
    assert torch.autograd.gradcheck(strided.halve, (x, weight, bias))
    assert torch.autograd.gradgradcheck(strided.halve, (x, weight, bias))
    assert torch.autograd.gradcheck(strided.double, (small, weight))
    assert torch.autograd.gradgradcheck(strided.double, (small, weight))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weight_gradient_of_channels_last_maps(dtype: torch.dtype) -> None:
    x = torch.randn(2, 8, 9, 9).to(dtype, memory_format=torch.channels_last)
    weight = torch.randn(16, 8, 3, 3).to(dtype, memory_format=torch.channels_last)
    found, expected = (
        torch.autograd.grad(convolve(x, w, None, 2).square().sum(), w)[0]
        for convolve, w in (
            (lambda x, w, *_: strided.halve(x, w), weight.clone().requires_grad_()),
            (F.conv2d, weight.clone().requires_grad_()),
        )
    )
    torch.testing.assert_close(found, expected)
