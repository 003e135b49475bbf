"""Equivariance: how well pictures move with the network's input (Karras et al. 2021, appendix E).

    EQ = 10 log10(I_max^2 / E[(g(t[z0]; w)(p) - t[g(z0; w)](p))^2]) dB,   I_max = 2

g draws from an input z0 and styles w; t translates or rotates; p runs over the pixels that both
pictures have. EQ-T translates by whole pixels, EQ-T_frac by any distance, up to an eighth of the
picture along each axis; EQ-R rotates by any angle around the middle, and compares with the other
picture after its frequencies were reduced to those that a rotated one can hold.

StyleGAN3 moves the waves of its input. The paper measures nothing for networks whose input is a
learnt grid of numbers; to compare, `drawing` takes the grid for samples of a periodic signal and
moves that. Noise inputs, which would stay where they are, are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log10, pi

import torch
from torch import Tensor, nn

from ganvas.evaluation.estimate import Estimate, Z
from ganvas.evaluation.moving import as_if_rotated, rotate, translate, translate_by_pixels
from ganvas.networks import stylegan, stylegan2, stylegan3

Draw = Callable[[Tensor, Tensor], Tensor]
"""Styles (n, layers, L) and transforms (n, 3, 3) -> images (n, C, S, S) with the range [-1, 1].

A transform maps positions in the picture to positions in the input. (0, 0) is the middle, sides are
1 long, x goes to the right and y down.
"""

SMALLEST = 32
"""Pixels on a side, at least: of fewer little is left once a picture was moved and filtered."""
_FARTHEST = 1 / 8


@dataclass(frozen=True)
class Equivariance:
    """In dB; more is better.

    Attributes:
        translation: By whole pixels (EQ-T).
        fractional: By fractions of them (EQ-T_frac).
        rotation: EQ-R.
    """

    translation: Estimate
    fractional: Estimate
    rotation: Estimate


@torch.no_grad()
def equivariance(draw: Draw, styles: Tensor, seed: int, batch: int = 16) -> Equivariance:
    """Measure with a translation and a rotation of its own for each picture.

    Args:
        draw: What draws square pictures, of SMALLEST pixels or more; `drawing` makes it of a
            network.
        styles: (N, layers, L), N >= 2.
        seed: Of the translations and rotations.
        batch: Pictures drawn at a time.

    Returns:
        Decibels with 95% intervals, whose upper end is infinite where pictures are few and their
        errors differ much.
    """
    random = torch.Generator().manual_seed(seed)
    shifts = (2 * torch.rand(len(styles), 2, generator=random) - 1) * _FARTHEST
    angles = (2 * torch.rand(len(styles), generator=random) - 1) * pi
    measured = [
        _errors(draw, styles[part], shifts[part], angles[part])
        for part in torch.arange(len(styles)).split(batch)
    ]
    errors = torch.cat(measured, 1).unbind()
    return Equivariance(*(_decibels(*pair.unbind(1)) for pair in errors))


def drawing(synthesis: stylegan.Synthesis | stylegan2.Synthesis | stylegan3.Synthesis) -> Draw:
    """What draws with this network, in the mode it is in, from an input that was moved."""
    if isinstance(synthesis, stylegan3.Synthesis):
        return lambda styles, transforms: synthesis(styles, None, transforms)
    name = "constant" if isinstance(synthesis, stylegan.Synthesis) else "blocks.0.constant"
    constant = synthesis.get_parameter(name)

    def draw(styles: Tensor, transforms: Tensor) -> Tensor:
        return torch.cat(
            [
                _call_with(synthesis, {name: moved_constant(constant, transform)}, style[None])
                for style, transform in zip(styles, transforms, strict=True)
            ]
        )

    return draw


def moved_constant(constant: Tensor, transform: Tensor) -> Tensor:
    """Samples (C, h, w) of the periodic signal with the fewest frequencies, moved by (3, 3)."""
    height, width = constant.shape[1:]
    y, x = ((torch.arange(size) + 0.5) / size - 0.5 for size in (height, width))
    grid = torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], -1)
    matrix = transform.cpu()
    sources = (grid @ matrix[:2, :2].T + matrix[:2, 2] + 0.5).double()  # 0 is the border, as is 1
    across = _interpolation(sources[..., 0], width).to(constant)
    down = _interpolation(sources[..., 1], height).to(constant)
    return torch.einsum("chw,yxh,yxw->cyx", constant, down, across)


def _interpolation(positions: Tensor, samples: int) -> Tensor:
    """(..., samples): how much of each sample a periodic signal has at positions of period 1."""
    phases = 2 * pi * (positions[..., None] - (torch.arange(samples) + 0.5) / samples)
    waves = torch.ones_like(phases)
    for k in range(1, samples // 2 + 1):
        share = 1 if 2 * k == samples else 2  # the highest frequency of an even number is but one
        waves = waves + share * (k * phases).cos()
    return waves / samples


def _errors(draw: Draw, styles: Tensor, shifts: Tensor, angles: Tensor) -> Tensor:
    """(3, n, 2): for each measure and picture the sum of squared errors and the pixels compared."""
    identity = torch.eye(3, device=styles.device).repeat(len(styles), 1, 1)
    first = draw(styles, identity).float()
    size = torch.tensor([first.shape[3], first.shape[2]])
    pixels = (shifts * size).round()
    cosines, sines = angles.cos(), angles.sin()
    turn = torch.stack([cosines, sines, -sines, cosines], 1).view(-1, 2, 2)
    whole, fractional, turned = (identity.clone() for _ in range(3))
    whole[:, :2, 2], fractional[:, :2, 2] = -(pixels / size).to(whole), -shifts.to(whole)
    turned[:, :2, :2] = turn.to(turned)
    found = [draw(styles, transforms).float() for transforms in (whole, fractional, turned)]
    rows = []
    for i, picture in enumerate(first):
        right, down = pixels[i].int().tolist()
        filtered, mask = as_if_rotated(found[2][i], turn[i])
        rotated, valid = rotate(picture, turn[i])
        rows.append(
            [
                _error(found[0][i], *translate_by_pixels(picture, right, down)),
                _error(found[1][i], *translate(picture, *(shifts[i] * size).tolist())),
                _error(filtered, rotated, mask * valid),
            ]
        )
    return torch.tensor(rows, dtype=torch.float64).transpose(0, 1)


def _error(found: Tensor, expected: Tensor, mask: Tensor) -> tuple[float, float]:
    squares = ((found - expected).square() * mask).sum(dtype=torch.float64)
    return squares.item(), mask.sum().item() * len(found)


def _decibels(errors: Tensor, counts: Tensor) -> Estimate:
    """The ratio of the sums, with the normal interval of a ratio of means of N >= 2 pictures."""
    mean = (errors.sum() / counts.sum()).item()
    spread = (errors - mean * counts).std().item() / counts.mean().item()
    half = Z * spread / len(errors) ** 0.5
    low, value, high = (
        10 * log10(4 / error) if error > 0 else inf for error in (mean + half, mean, mean - half)
    )
    return Estimate(value, (low, high))


def _call_with(synthesis: nn.Module, replaced: dict[str, Tensor], styles: Tensor) -> Tensor:
    """A picture without noise, with other values of some parameters."""
    picture: Tensor = torch.func.functional_call(synthesis, replaced, (styles, ()))
    return picture
