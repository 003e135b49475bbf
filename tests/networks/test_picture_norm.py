"""The norm of each picture by itself against PyTorch's instance norm."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.networks.layers.picture_norm import PictureNorm, picture_norm

SHAPES = [(1, 3, 4, 6), (3, 5, 4, 4), (2, 1, 1, 2)]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_is_instance_norm_in_all_derivatives(
    shape: tuple[int, ...], affine: bool, channels_last: bool
) -> None:
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    weight, bias = (torch.randn(shape[1], dtype=torch.float64, requires_grad=True) for _ in "wb")
    scales = (weight, bias) if affine else (None, None)
    found = derivatives(picture_norm(x, *scales), x)
    expected = derivatives(F.instance_norm(x, weight=scales[0], bias=scales[1]), x)
    torch.testing.assert_close(found, expected)


def derivatives(y: Tensor, x: Tensor) -> list[Tensor]:
    """The output, and its first and second derivatives by the input in some direction."""
    direction = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    (first,) = torch.autograd.grad((y * direction).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    return [y, first, second]


@pytest.mark.parametrize("count", [1, 4])
def test_keeps_type_layout_and_pictures_apart(count: int) -> None:
    norm = PictureNorm(8, affine=True)
    x = torch.randn(count, 8, 6, 6).to(torch.bfloat16, memory_format=torch.channels_last)
    y = norm(x)
    assert y.dtype == torch.bfloat16
    assert y.stride() == x.stride()
    for picture, alone in zip(y.split(1), x.split(1), strict=True):
        assert torch.equal(picture, norm(alone))
