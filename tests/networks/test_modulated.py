"""Modulated convolutions: the fast form against the papers' one, and what layers remember."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.networks.layers.modulated import (
    StyledConvolution,
    ToImage,
    demodulation,
    modulated,
    modulated_plainly,
)


def operands(doubles: bool) -> tuple[Tensor, Tensor, Tensor]:
    ends = (5, 6) if doubles else (6, 5)
    x, weight, style = torch.randn(3, 5, 8, 12), torch.randn(*ends, 3, 3), torch.randn(3, 5)
    return x.double(), weight.double(), style.double()


def fast(x: Tensor, weight: Tensor, style: Tensor, *, doubles: bool) -> Tensor:
    squares = weight.square().sum((2, 3))
    scale = demodulation(squares.t() if doubles else squares, style)
    return modulated(x, weight, style, doubles=doubles) * scale[:, :, None, None]


@pytest.mark.parametrize("doubles", [False, True])
def test_the_fast_form_is_the_plain_one(doubles: bool) -> None:
    given = operands(doubles)
    found = fast(*given, doubles=doubles)
    assert found.shape == ((3, 6, 16, 24) if doubles else (3, 6, 8, 12))
    torch.testing.assert_close(found, modulated_plainly(*given, doubles=doubles))


@pytest.mark.parametrize("doubles", [False, True])
def test_so_are_its_gradients(doubles: bool) -> None:
    given = [operand.requires_grad_() for operand in operands(doubles)]
    found, expected = (
        torch.autograd.grad(form(*given, doubles=doubles).pow(3).sum(), given)
        for form in (fast, modulated_plainly)
    )
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_the_scale_of_styles_does_not_matter() -> None:
    x, weight, style = operands(doubles=False)
    plain, scaled = (fast(x, weight, s, doubles=False) for s in (style, 100 * style))
    torch.testing.assert_close(plain, scaled)
    assert 0.5 < fast(x, weight, style, doubles=False).square().mean() < 2


def layer(doubles: bool = False) -> StyledConvolution:
    made = StyledConvolution(5, 6, 4, (16, 24) if doubles else (8, 12), doubles=doubles)
    nn.init.normal_(made.bias)
    nn.init.constant_(made.noise_strength, 0.7)
    return made


@pytest.mark.parametrize("doubles", [False, True])
@pytest.mark.parametrize("with_noise", [False, True])
def test_the_layer(doubles: bool, with_noise: bool) -> None:
    it, w = layer(doubles), torch.randn(3, 4)
    x = torch.randn(3, 5, 8, 12)
    noise = torch.randn(3, 1, *it.noise.shape) if with_noise else None
    it.eval()
    y = modulated_plainly(x, it.weight, it.style(w), doubles=doubles)
    y = y + (0 if noise is None else 0.7 * noise) + it.bias[:, None, None]
    expected = 2**0.5 * F.leaky_relu(y, 0.2)
    torch.testing.assert_close(it(x, w, noise), expected, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(it(x, w, noise), expected, atol=1e-5, rtol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            low = it(x.bfloat16(), w, noise)
        torch.testing.assert_close(it(x, w, noise), expected, atol=1e-5, rtol=1e-5)
    assert low.dtype == torch.bfloat16
    assert (low - expected).norm() < 0.02 * expected.norm()


def test_pictures_are_weighted_sums() -> None:
    it, x, w = ToImage(5, 3, 4), torch.randn(2, 5, 4, 6), torch.randn(2, 4)
    nn.init.normal_(it.bias)
    expected = torch.einsum("oi,ni,nihw->nohw", it.weight[:, :, 0, 0] / 5**0.5, it.style(w), x)
    torch.testing.assert_close(it(x, w), expected + it.bias[:, None, None])


def _adam(it: StyledConvolution) -> StyledConvolution:
    optimizer = torch.optim.Adam(it.parameters(), lr=0.5, fused=True)
    with torch.enable_grad():
        it(torch.ones(1, 5, 8, 12), torch.ones(1, 4), None).sum().backward()
    optimizer.step()
    return it


CHANGES: dict[str, Callable[[StyledConvolution], object]] = {
    "load": lambda it: it.load_state_dict(layer().state_dict()),
    "average": lambda it: torch._foreach_lerp_([it.weight], [torch.randn(6, 5, 3, 3)], 0.5),
    "copy": lambda it: it.weight.copy_(torch.randn(6, 5, 3, 3)),
    "step": _adam,
    "train": lambda it: _adam(it.train()).eval(),
    "replace": lambda it: setattr(it, "weight", nn.Parameter(torch.randn(6, 5, 3, 3))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_remembered_is_of_the_present_weights(change: str) -> None:
    it, x, w = layer().eval(), torch.randn(2, 5, 8, 12), torch.randn(2, 4)
    with torch.no_grad():
        before = it(x, w, None)
        CHANGES[change](it)
        found = it(x, w, None)
    torch.testing.assert_close(found, it(x, w, None).detach())
    assert not torch.allclose(found, before)


def test_nothing_is_prepared_twice() -> None:
    it, x, w = layer().eval(), torch.randn(2, 5, 8, 12), torch.randn(2, 4)
    with torch.no_grad():
        it(x, w, None)
        remembered = it._remembered
        assert remembered is not None
        it.eval()(x, w, None)
        assert it._remembered is remembered
        it(x.bfloat16(), w, None)
        assert it._remembered is not remembered
