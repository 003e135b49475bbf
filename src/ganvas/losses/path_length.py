"""Path lengths of a generator (Karras et al. 2020b, section 3.2).

How far a picture moves for a step of w, in a random direction y of the pictures: |J_w^T y|, with
J_w = dg/dw and y ~ N(0, I). Computed as the gradient of g(w) . y, without the Jacobian, and through
`torch.func`, so that it can be compiled (see `ganvas.losses.penalties`).
"""

import contextlib
import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ganvas.losses.twice_differentiable import TwiceDifferentiable, keep_whole_in_graphs


def path_lengths(synthesise: Callable[[Tensor], Tensor], ws: Tensor, noise_image: Tensor) -> Tensor:
    """|J_w^T y| / sqrt(layers) for each picture, shape (N,), differentiable by all weights.

    The norm of eq. 4, with the gradients by the styles of all layers taken as one vector each of
    which counts by the mean, as the authors' code has it: sqrt(mean over layers of the sum over w
    of the squared gradient).

    Args:
        synthesise: Styles (N, layers, L) -> images (N, C, H, W), each picture by its own styles.
        ws: (N, layers, L).
        noise_image: y, of the images' shape. Eq. 4 with y ~ N(0, I); the authors divide it by
            sqrt(H W), so that the lengths do not grow with the resolution.
    """
    quick = not torch.compiler.is_dynamo_compiling()

    def along(styles: Tensor) -> Tensor:
        with TwiceDifferentiable() if quick else contextlib.nullcontext():
            images = synthesise(styles)
        return (images.float() * noise_image).sum()

    gradient: Tensor = torch.func.grad(along)(ws)
    return gradient.square().sum(2).mean(1).sqrt()


def synthesis_path_lengths(
    synthesis: nn.Module, ws: Tensor, noise: Sequence[Tensor], noise_image: Tensor
) -> Tensor:
    """`path_lengths` of a network of styles and noise inputs, compiled where the network is.

    A weight on which they do not depend, like a bias of the pictures' colour, has the derivative 0.
    """
    lengths = _compiled() if synthesis._compiled_call_impl is not None else _lengths
    return lengths(synthesis, ws, tuple(noise), noise_image)


def _lengths(
    synthesis: nn.Module, ws: Tensor, noise: tuple[Tensor, ...], noise_image: Tensor
) -> Tensor:
    # `forward`: compiled code has no second derivative.
    lengths = path_lengths(lambda styles: synthesis.forward(styles, noise), ws, noise_image)
    zero = torch.stack([weight[None][:0].sum() for weight in synthesis.parameters()]).sum()
    return lengths + zero  # which ties every weight to it


@functools.cache
def _compiled() -> Callable[[nn.Module, Tensor, tuple[Tensor, ...], Tensor], Tensor]:
    """One for all networks: those of the same structure share the compiled code."""
    keep_whole_in_graphs()
    return torch.compile(_lengths, fullgraph=True, dynamic=False)
