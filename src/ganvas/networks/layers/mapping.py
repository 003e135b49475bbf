"""The mapping network of the StyleGAN family, z -> w, and truncation in W.

Karras et al. 2019, section 2: fully connected layers with the leaky rectifier after each, the last
included, whose learning rate is a hundredth of the others'. z is first divided by the root of its
mean square ("pixel norm"). Classes (Karras et al. 2020a): a linear embedding of the one-hot label,
normalised the same way, stands beside z. All of it is float32, also under autocast: the work is
small, and an error in w is an error in every layer that follows.
"""

import torch
from torch import Tensor, nn

from ganvas.networks.layers.equalised import EqualisedLinear
from ganvas.networks.layers.labels import one_hot


class Mapping(nn.Module):
    """z (N, latent_size) and labels (N,) -> w (N, latent_size), float32.

    The buffer `centre` (latent_size,) is the mean of w over z, towards which truncation pulls. The
    network does not find it out by itself: it is NaN until somebody sets it.

    Args:
        latent_size: Numbers of z and of w.
        layers: How many layers.
        classes: How many classes, 0 for none.
        learning_rate: Multiplier of the layers' learning rate; the embedding's is 1.
    """

    centre: Tensor

    def __init__(
        self, latent_size: int, layers: int = 8, classes: int = 0, learning_rate: float = 0.01
    ) -> None:
        super().__init__()
        self.classes = classes
        inputs = latent_size
        if classes:
            inputs += latent_size
            self.embed = EqualisedLinear(classes, latent_size)
        self.layers = _layers(inputs, latent_size, layers, learning_rate)
        self.register_buffer("centre", torch.full((latent_size,), torch.nan))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map."""
        with torch.autocast(z.device.type, enabled=False):
            x = normalise(z.to(self.centre.dtype))
            if self.classes:
                y = self.embed(one_hot(labels, self.classes).to(x.dtype))
                x = torch.cat([x, normalise(y)], 1)
            w: Tensor = self.layers(x)
        return w

    def is_centre_known(self) -> bool:
        """Whether the mean of w has been set."""
        return not bool(self.centre.isnan().any())


class ClassMapping(nn.Module):
    """labels (N,) -> (N, size), float32: the mapping of a discriminator that knows classes."""

    def __init__(
        self, size: int, classes: int, layers: int = 8, learning_rate: float = 0.01
    ) -> None:
        super().__init__()
        self.classes = classes
        self.embed = EqualisedLinear(classes, size)
        self.layers = _layers(size, size, layers, learning_rate)

    def forward(self, labels: Tensor | None) -> Tensor:
        """Map."""
        with torch.autocast(self.embed.weight.device.type, enabled=False):
            y = self.embed(one_hot(labels, self.classes).to(self.embed.weight.dtype))
            mapped: Tensor = self.layers(normalise(y))
        return mapped


def normalise(x: Tensor) -> Tensor:
    """x (N, L) divided by the root of each row's mean square."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def truncate(w: Tensor, centre: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """centre + psi * (w - centre) (Karras et al. 2019, appendix B).

    Args:
        w: (N, L), or (N, layers, L).
        centre: (L,), the mean of w.
        psi: 1 leaves w as it is, 0 makes all of them the centre.
        cutoff: How many layers, from the coarse end, are truncated; None for all. Styles (N, L)
            are no layers: they are truncated whatever it says.
    """
    truncated = torch.lerp(centre.to(w), w, psi)
    if cutoff is None or w.ndim == 2:
        return truncated
    return torch.cat([truncated[:, :cutoff], w[:, cutoff:]], 1)


def _layers(inputs: int, size: int, layers: int, learning_rate: float) -> nn.Sequential:
    return nn.Sequential(
        *(
            EqualisedLinear(size if i else inputs, size, learning_rate=learning_rate, activate=True)
            for i in range(layers)
        )
    )
