"""DCGAN (Radford, Metz & Chintala 2015): all-convolutional networks for adversarial training.

Section 3's guidelines: strided convolutions instead of pooling, batch norm in both networks except
at the generator's output and the discriminator's input, no hidden fully connected layers, ReLU in
the generator with tanh at its output, LeakyReLU (slope 0.2) in the discriminator. All weights are
drawn from N(0, 0.02^2) (section 4).

Deviations, each beyond what the paper covers:
- Any size h0*2^n x w0*2^n (the paper: 64 = 4*2^4), with the base grid h0 x w0 at least 4 x 4.
- Channels double with each halving of the resolution up to 8 * width, as in the paper's Figure 1;
  sizes beyond 64 px keep that maximum.
- Classes: a one-hot vector beside z in the generator (Mirza & Osindero 2014), a projection in the
  discriminator (Miyato & Koyama 2018), which needs no extra planes.
- The discriminator can have another normalisation than batch norm, or none, as the losses that
  judge each sample by itself need it (Gulrajani et al. 2017, section 4). A convolution that no
  norm follows then has a bias, as in that paper's and SNGAN's networks (with batch norm, as in the
  usual implementations, none has), and without any norm the weights are drawn as He et al. 2015
  say: N(0, 0.02^2) relies on a norm to keep the signal's scale.
- It can look across the batch before its last layer (`layers/minibatch.py`).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.networks.layers.batch_norm import BatchNorm2d
from ganvas.networks.layers.bias import Bias
from ganvas.networks.layers.convolution import Double, Halve
from ganvas.networks.layers.labels import check_labels, one_hot
from ganvas.networks.layers.minibatch import Minibatch, across_samples
from ganvas.networks.layers.normalisation import Normalisation, norm_of_maps, norm_of_weights
from ganvas.networks.layers.pixel import Pixel

LARGEST_BASE = 8


def base_grid(height: int, width: int) -> tuple[int, int, int]:
    """The grid (h0, w0) and number of doublings n with height = h0*2^n and width = w0*2^n.

    n is as large as it can be with both sides of the grid at least 4. Raises ConfigError, naming
    the nearest size that works, where not even one doubling fits or the grid's smaller side
    exceeds 8.
    """
    n = 0
    while height % 2 ** (n + 1) == 0 and width % 2 ** (n + 1) == 0:
        if min(height, width) // 2 ** (n + 1) < 4:
            break
        n += 1
    h0, w0 = height // 2**n, width // 2**n
    if n == 0 or min(h0, w0) > LARGEST_BASE:
        good = f"{_nearest_size(height)}x{_nearest_size(width)}"
        raise ConfigError(
            f"these networks cannot make {height}x{width} images: both sides must be at least "
            f"4 times the same power of two, and the smaller one at most {LARGEST_BASE} times "
            "(8, 16, 28, 32, 40, 48, 64, 96, 128, ...). "
            f"The nearest size is --resolution {good}."
        )
    return h0, w0, n


def _nearest_size(side: int) -> int:
    sizes: list[int] = [base * 2**n for base in range(4, LARGEST_BASE) for n in range(1, 9)]
    return min(sizes, key=lambda size: (abs(size - side), size))


class Generator(nn.Module):
    """z (N, latent_size) and labels (N,) -> images (N, C, H, W) in [-1, 1].

    Without `squash` they are any numbers, for the caller to make images of.
    """

    def __init__(
        self,
        latent_size: int,
        shape: tuple[int, int, int],
        width: int = 64,
        classes: int = 0,
        squash: bool = True,
    ) -> None:
        super().__init__()
        self.classes = classes
        channels, height, width_px = shape
        h0, w0, n = base_grid(height, width_px)
        widths = [width * 2 ** min(i, 3) for i in reversed(range(n))]
        inputs = latent_size + classes
        self.project = nn.ConvTranspose2d(inputs, widths[0], (h0, w0), bias=False)
        layers: list[nn.Module] = [BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
        for before, after in pairwise(widths):
            layers += [
                Double(before, after),
                BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        layers += [Double(widths[-1], channels), nn.Tanh() if squash else nn.Identity()]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw the images that belong to the latents."""
        if self.classes:
            z = torch.cat([z, one_hot(labels, self.classes).to(z)], 1)
        # On a 1 x 1 input the transposed convolution is a matrix product, and ten times faster so.
        grid = (z @ self.project.weight.flatten(1)).unflatten(1, self.project.weight.shape[1:])
        images: Tensor = self.layers(grid.contiguous(memory_format=torch.channels_last))
        return images


class Discriminator(nn.Module):
    """Images (N, C, H, W) and labels (N,) -> (N, outputs), without a final activation.

    One output is the logit of "real"; more make it an encoder.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int = 64,
        classes: int = 0,
        outputs: int = 1,
        norm: Normalisation = "batch",
        minibatch: Minibatch = "none",
    ) -> None:
        super().__init__()
        self.classes = classes
        channels, height, width_px = shape
        h0, w0, n = base_grid(height, width_px)
        widths = [width * 2 ** min(i, 3) for i in range(n)]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise([channels, *widths])):
            norms = norm_of_maps(norm, after) if i else []
            biases = [] if norms or norm == "batch" else [Bias(after)]
            layers += [Halve(before, after), *norms, *biases, nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.across, self.head = _head(widths[-1], (h0, w0), outputs, minibatch)
        if classes:
            self.embedding = nn.Embedding(classes, outputs * widths[-1])
        self.apply(_he if norm == "none" else initialise)
        norm_of_weights(norm, self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judge (or encode) the images."""
        features = self.layers(images)
        outputs: Tensor = self.head(self.across(features)).flatten(1)
        if self.classes:
            pooled = features.sum((2, 3))
            y = self.embedding(check_labels(labels)).view(len(pooled), -1, pooled.shape[1])
            outputs = outputs + (y * pooled[:, None, :]).sum(2)
        return outputs


def _head(
    channels: int, grid: tuple[int, int], outputs: int, minibatch: Minibatch
) -> tuple[nn.Module, nn.Conv2d]:
    """What looks across the batch, and the last convolution, over the whole grid."""
    if minibatch == "discrimination":  # compares whole samples, not pixel with pixel
        across, features = across_samples(minibatch, channels * grid[0] * grid[1])
        flat = nn.Sequential(nn.Flatten(), *across, Pixel())
        return flat, nn.Conv2d(features, outputs, 1, bias=False)
    across, channels = across_samples(minibatch, channels)
    return nn.Sequential(*across), nn.Conv2d(channels, outputs, grid, bias=False)


def initialise(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02^2), batch-norm scales from N(1, 0.02^2) (section 4)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def _he(module: nn.Module) -> None:
    """Draw weights so that signals keep their scale through LeakyReLU(0.2) (He et al. 2015)."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, 0.2)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
