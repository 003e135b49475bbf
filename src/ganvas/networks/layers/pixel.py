"""Units as maps, for layers that are made for maps."""

from torch import Tensor, nn


class Pixel(nn.Module):
    """(N, units) -> (N, units, 1, 1).

    Not `nn.Unflatten`, which torch.compile cannot trace within penalties.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Add the two axes."""
        return x[:, :, None, None]
