"""Spectral normalisation (Miyato, Kataoka, Koyama & Yoshida 2018): layers of Lipschitz constant 1.

A layer's weight W, as a matrix with one row for each output, is divided by its largest singular
value sigma(W), which one step of the power method estimates in each forward pass (algorithm 1):

    v = W^T u / |W^T u|,    u' = W v / |W v|,    sigma = u'^T W v

Training keeps u' for the next pass; evaluation takes the same step from the same u each time. Only
the direction of u enters, so that an average of several u's serves as well. The gradient goes
through sigma with u' and v held constant (section 2.3), which is exact where they are W's singular
vectors.
"""

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

Layer = TypeVar("Layer", bound=nn.Module)

_FIRST_STEPS = 15
"""Of the power method on the weights as drawn, so that the first passes are normalised too."""


def spectral_norm(layer: Layer) -> Layer:
    """Divide the layer's weight by its largest singular value from now on; returns the layer.

    The weight that the optimiser sees becomes `parametrizations.weight.original`; `weight` is the
    normalised one, calculated in the weight's own float32 under autocast too. Draw the weights
    before. Convolutions, transposed or not, linear layers and embeddings are meant.
    """
    weight = layer.weight
    if not isinstance(weight, Tensor):
        raise TypeError(f"{type(layer).__name__} has no weight to normalise")
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    norm = _SpectralNorm(weight.detach(), outputs_axis=1 if transposed else 0)
    # unsafe: without torch's trial run, which would change u and does not work on the meta device.
    parametrize.register_parametrization(layer, "weight", norm, unsafe=True)
    return layer


class _SpectralNorm(nn.Module):
    u: Tensor
    """The estimate of the first left singular vector, (outputs,), of any length."""

    def __init__(self, weight: Tensor, outputs_axis: int) -> None:
        super().__init__()
        self.outputs_axis = outputs_axis
        u = weight.new_empty(weight.shape[outputs_axis]).normal_()
        if not weight.is_meta:
            for _ in range(_FIRST_STEPS):
                u, _v = _power_step(self._matrix(weight), u)
        self.register_buffer("u", u)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = self._matrix(weight)
            with torch.no_grad():
                u, v = _power_step(matrix.detach(), self.u)
                if self.training:
                    self.u.copy_(u)
            return weight / (u @ (matrix @ v))

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.transpose(0, self.outputs_axis).flatten(1)


def _power_step(matrix: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The next left and right vectors, of length 1."""
    v = F.normalize(u @ matrix, dim=0)
    return F.normalize(matrix @ v, dim=0), v
