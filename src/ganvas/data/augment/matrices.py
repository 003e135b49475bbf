"""Small matrices, one for each sample, that transformations are gathered in."""

from collections.abc import Sequence

import torch
from torch import Tensor


def matrix(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """A matrix (N, I, J) of its entries (N,), row by row."""
    return torch.stack([torch.stack(list(row), 1) for row in rows], 1)


def compose(left: Tensor, right: Tensor) -> Tensor:
    """left @ right, (N, I, J) and (N, J, K), in full float32: TF32 would shift pixels."""
    return (left[:, :, :, None] * right[:, None]).sum(2)


def changes(transformation: Tensor) -> Tensor:
    """Whether a matrix (N, I, J) is other than the identity, (N,)."""
    identity = torch.eye(*transformation.shape[1:], device=transformation.device)
    return (transformation != identity).flatten(1).any(1)


def scale(x: Tensor, y: Tensor) -> Tensor:
    """SCALE2D(x, y), (N, 3, 3)."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], 1))


def rotate(angle: Tensor) -> Tensor:
    """ROTATE2D(angle), (N, 3, 3)."""
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return matrix([[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]])


def translate(x: Tensor, y: Tensor) -> Tensor:
    """TRANSLATE2D(x, y), (N, 3, 3)."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return matrix([[one, zero, x], [zero, one, y], [zero, zero, one]])
