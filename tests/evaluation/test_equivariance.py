"""Equivariance: pictures that are known exactly, and the order of the paper's networks."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganvas.evaluation.equivariance import Equivariance, drawing, equivariance, moved_constant
from ganvas.evaluation.moving import as_if_rotated, rotate, translate, translate_by_pixels
from ganvas.networks import stylegan, stylegan2, stylegan3

SIDE, LATENT, N = 48, 16, 8


def waves(transforms: Tensor, finest: float = 0.25) -> Tensor:
    """(n, 2, SIDE, SIDE): sums of waves of up to `finest` periods a pixel, moved exactly."""
    random = torch.Generator().manual_seed(0)
    frequencies = (2 * torch.rand(2, 6, 2, generator=random) - 1) * finest * SIDE / 2**0.5
    phases = torch.rand(2, 6, generator=random)
    axis = (torch.arange(SIDE) - (SIDE - 1) / 2) / SIDE
    positions = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    linear, shift = transforms[:, :2, :2], transforms[:, :2, 2]
    moved = torch.einsum("yxj,nij->nyxi", positions, linear) + shift[:, None, None]
    arguments = torch.einsum("nyxi,cki->nckyx", moved, frequencies) + phases[..., None, None]
    return (2 * torch.pi * arguments).sin().sum(2) / 6


def turn(angle: float) -> Tensor:
    """What a picture turned by the angle, from x towards y, shows at a position."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return torch.tensor([[cosine, sine], [-sine, cosine]])


def transform(matrix: Tensor | None = None, right: float = 0.0, down: float = 0.0) -> Tensor:
    """The transform for a translation in pixels, or for a matrix."""
    full = torch.eye(3)
    full[:2, :2] = torch.eye(2) if matrix is None else matrix
    full[:2, 2] = -torch.tensor([right, down]) / SIDE
    return full[None]


def decibels(found: Tensor, expected: Tensor, mask: Tensor) -> float:
    assert mask.any()
    squares = ((found - expected).square() * mask).sum() / (mask.sum() * len(found))
    return float(10 * (4 / squares).log10())


def test_whole_pixels() -> None:
    moved, mask = translate_by_pixels(waves(transform())[0], 3, -5)
    assert mask.sum() == (SIDE - 3) * (SIDE - 5)
    assert decibels(moved, waves(transform(right=3, down=-5))[0], mask) > 90


def test_fractions_of_pixels() -> None:
    for right, down in ((2.3, -4.75), (-0.5, 0.01), (3.0, -2.0)):
        moved, mask = translate(waves(transform())[0], right, down)
        assert decibels(moved, waves(transform(right=right, down=down))[0], mask) > 38
        assert mask.mean() > 0.7
    exact, mask = translate(waves(transform())[0], 3.0, -2.0)
    whole, _ = translate_by_pixels(waves(transform())[0], 3, -2)
    assert decibels(exact, whole, mask) > 90


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 4, math.pi / 2, -2.5])
def test_rotations(angle: float) -> None:
    """Of waves that both grids can hold, and by any angle."""
    matrix = turn(angle)
    turned, mask = rotate(waves(transform())[0], matrix)
    assert 0.2 < mask.mean() < 0.7
    expected = waves(transform(matrix))[0]
    assert decibels(turned, expected, mask) > 45
    filtered, inside = as_if_rotated(expected, matrix)
    assert inside.sum() == (SIDE - 12) ** 2
    assert decibels(turned, filtered, mask * inside) > 55


def test_rotations_cut_what_one_grid_cannot_hold() -> None:
    """A wave in the corner of the spectrum is lost at 45 degrees, on the axis it is not."""
    axis = torch.arange(SIDE, dtype=torch.float32)
    diagonal = (0.9 * torch.pi * (axis + axis[:, None])).cos()[None]
    straight = (0.6 * torch.pi * axis).cos().expand(1, SIDE, SIDE)
    for picture, kept in ((diagonal, False), (straight, True)):
        for found, mask in (rotate(picture, turn(math.pi / 4)),
                            as_if_rotated(picture, turn(math.pi / 4))):  # fmt: skip
            power = (found.square() * mask).sum() / mask.sum()
            assert (power > 0.45) if kept else (power < 0.02)


def test_a_perfect_generator() -> None:
    found = equivariance(lambda _, transforms: waves(transforms), torch.zeros(N, 1, 1), seed=0)
    assert found.translation.value > 90
    assert found.fractional.value > 38
    assert found.rotation.value > 55


def test_one_that_stays_where_it_is() -> None:
    """Its error is that of two unrelated pictures; the interval holds the value."""
    found = equivariance(
        lambda _, transforms: waves(torch.eye(3).expand_as(transforms)), torch.zeros(N, 1, 1), 0
    )
    spread = waves(transform()).var().item()
    unrelated = 10 * math.log10(4 / (2 * spread))
    for estimate in (found.translation, found.fractional, found.rotation):
        assert estimate.value == pytest.approx(unrelated, abs=2.5)
        assert estimate.interval is not None
        low, high = estimate.interval
        assert low < estimate.value < high


def test_draws_are_repeated_and_batched() -> None:
    calls = []

    def draw(styles: Tensor, transforms: Tensor) -> Tensor:
        calls.append(len(styles))
        return waves(transforms) + 0.1 * styles[:, :, :1, None].sin()

    styles = torch.randn(5, 1, 1)
    first, again = (equivariance(draw, styles, seed=1, batch=batch) for batch in (2, 5))
    assert first.rotation.value == pytest.approx(again.rotation.value)
    assert calls == [2] * 8 + [1] * 4 + [5] * 4
    assert equivariance(draw, styles, seed=2).rotation != first.rotation


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (4, 6)])
def test_constants_move(size: tuple[int, int]) -> None:
    height, width = size
    constant = torch.randn(3, height, width)
    torch.testing.assert_close(moved_constant(constant, torch.eye(3)), constant)
    matrix = torch.eye(3)
    matrix[0, 2], matrix[1, 2] = -1 / width, 2 / height
    moved = moved_constant(constant, matrix)
    torch.testing.assert_close(moved, constant.roll((-2, 1), (1, 2)))
    half = torch.eye(3)
    half[1, 2] = 0.5
    if height % 2:  # an even number has a highest frequency that half a sample can silence
        again = moved_constant(moved_constant(constant, half), half)
        torch.testing.assert_close(again, constant, atol=1e-4, rtol=1e-4)


def measured(
    synthesis: stylegan.Synthesis | stylegan2.Synthesis | stylegan3.Synthesis,
) -> Equivariance:
    """At the same contrast, which random networks do not have of themselves."""
    draw = drawing(synthesis.eval())
    ws = torch.randn(N, synthesis.layers, LATENT, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        contrast = draw(ws, torch.eye(3).expand(N, -1, -1)).std()
    return equivariance(lambda *inputs: draw(*inputs) * 0.5 / contrast, ws, seed=0)


@pytest.mark.slow
def test_random_networks_are_in_the_papers_order() -> None:
    """What the architectures give before they learn anything.

    That is not what trained ones reach: those may use what aliases are left.
    """
    torch.manual_seed(0)
    shape = (3, 32, 32)
    found = {
        "1": measured(stylegan.generator(LATENT, shape, 8, 32, 2).synthesis),
        "2": measured(stylegan2.generator(LATENT, shape, 8, 32, 2).synthesis),
        "3t": measured(stylegan3.generator(LATENT, shape, 8, 32, 2).synthesis),
        "3r": measured(stylegan3.generator(LATENT, shape, 8, 32, 2, rotation=True).synthesis),
    }
    for old in ("1", "2"):
        for new in ("3t", "3r"):
            assert found[new].translation.value > found[old].translation.value + 20
            assert found[new].fractional.value > found[old].fractional.value + 15
        assert found["3r"].rotation.value > found[old].rotation.value + 20
    assert found["3r"].rotation.value > found["3t"].rotation.value + 15


def test_the_network_is_left_as_it_was() -> None:
    synthesis = stylegan2.generator(LATENT, (3, 32, 32), 4, 16, 2).synthesis
    before = {name: tensor.clone() for name, tensor in synthesis.state_dict().items()}
    draw = drawing(synthesis)
    ws = torch.randn(2, synthesis.layers, LATENT)
    with torch.no_grad():
        torch.testing.assert_close(draw(ws, torch.eye(3).expand(2, -1, -1)), synthesis(ws, ()))
    assert isinstance(synthesis, nn.Module)
    for name, tensor in synthesis.state_dict().items():
        assert torch.equal(tensor, before[name])
