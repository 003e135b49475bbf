"""The input of StyleGAN3: waves that can be moved and turned (Karras et al. 2021, section 3.1)."""

from math import sqrt

import torch
from torch import Tensor, nn

from ganvas.networks.layers.bands import Band
from ganvas.networks.layers.equalised import EqualisedLinear


class FourierInput(nn.Module):
    """Styles (N, latent_size) -> (N, C, size, size): waves of random frequencies, mixed.

    The style turns and moves the plane of the waves ("transformed Fourier features").
    Frequencies are uniform in the disc of the band. All of it is float32: the waves of a large
    movement have large arguments.
    """

    frequencies: Tensor
    phases: Tensor
    positions: Tensor

    def __init__(self, latent_size: int, channels: int, band: Band) -> None:
        super().__init__()
        self.cutoff, self.nyquist = band.cutoff, band.rate / 2
        self.affine = EqualisedLinear(latent_size, 4)
        with torch.no_grad():
            self.affine.weight.zero_()
            if self.affine.bias is not None:
                self.affine.bias[0] = 1
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.register_buffer("frequencies", band.cutoff * _in_disc(channels))
        self.register_buffer("phases", torch.rand(channels) - 0.5)
        x = (torch.arange(band.size) - (band.size - 1) / 2) / band.rate
        positions = torch.stack(torch.meshgrid(x, x, indexing="xy"), -1)
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, style: Tensor, transform: Tensor | None = None) -> Tensor:
        """Draw the waves as a camera placed by the style, then by `transform`, sees them."""
        with torch.autocast(style.device.type, enabled=False):
            matrix = _placement(self.affine(style))
            if transform is not None:
                matrix = matrix @ transform.to(matrix)
            turned = self.frequencies @ matrix[:, :2, :2]
            phases = self.phases + (self.frequencies @ matrix[:, :2, 2:]).squeeze(2)
            # Magnified waves may be too fine for the grid, and fade before they are.
            above = turned.norm(dim=2) - self.cutoff
            amplitudes = (1 - above / (self.nyquist - self.cutoff)).clamp(0, 1)
            arguments = self.positions.flatten(0, 1) @ turned.mT + phases[:, None]
            waves = (2 * torch.pi * arguments).sin() * amplitudes[:, None]
            mixed: Tensor = waves @ (self.weight.t() / sqrt(len(self.weight)))
        height, width, _ = self.positions.shape
        return mixed.view(-1, height, width, mixed.shape[2]).permute(0, 3, 1, 2)


def _in_disc(n: int) -> Tensor:
    """Points (n, 2), normally drawn and pulled into the unit disc, nearly uniform there."""
    points = torch.randn(n, 2)
    radii = points.norm(dim=1, keepdim=True)
    placed: Tensor = points / (radii * radii.square().exp().pow(0.25))
    return placed


def _placement(style: Tensor) -> Tensor:
    """(N, 3, 3): turn by the direction of the style's first two numbers, then move by the others.

    From positions in the picture to positions among the waves (section 3.1). All four numbers are
    divided by the length of the first two, as in the authors' code.
    """
    cosine, sine, x, y = (style / style[:, :2].norm(dim=1, keepdim=True)).unbind(1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rows = [
        *(cosine, -sine, sine * y - cosine * x),
        *(sine, cosine, -sine * x - cosine * y),
        *(zero, zero, one),
    ]
    return torch.stack(rows, 1).view(-1, 3, 3)
