"""The same seeds under several truncations: what is gained in quality, and lost in variety.

Karras et al. 2019, figure 8: at psi = 0 all pictures are the mean of w; below it, their opposites.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.latent.sheet import with_caption
from ganvas.models.base import LatentModel, Noise
from ganvas.pictures import grid, to_uint8


@dataclass(frozen=True, eq=False)
class Sweep:
    """Seeds under truncations; images are float32 in [-1, 1].

    Attributes:
        pictures: (T, n, C, H, W), a row for each truncation.
        truncations: Those, as `sample` takes them.
        seed: Of the first column; the next ones have seed + 1, ...
    """

    pictures: Tensor
    truncations: tuple[float, ...]
    seed: int

    @property
    def caption(self) -> str:
        """What the rows and columns are."""
        rows = ", ".join(f"{value:g}" for value in self.truncations)
        return f"rows: truncation {rows}; columns: seeds from {self.seed} on"

    def sheet(self) -> Image.Image:
        """A row for each truncation, a column for each seed."""
        cells = to_uint8(self.pictures.flatten(0, 1))
        return with_caption(grid(cells, columns=self.pictures.shape[1]), self.caption)


def sweep(
    model: LatentModel,
    truncations: Sequence[float],
    n: int = 8,
    seed: int = 0,
    *,
    labels: Sequence[int | str] = (),
    noise: Noise | None = None,
) -> Sweep:
    """Draw the same seeds under several truncations.

    Args:
        model: What `ganvas.load` returns.
        truncations: psi of a StyleGAN, or where the latents of a GAN are cut off.
        n: Pictures of each.
        seed: Of the first; then seed + 1, ...
        labels: For a class-conditional model, classes in turn (default: every class in turn).
        noise: As in `sample`.

    Raises:
        ConfigError: No truncations, a model that has none or not such ones, no pictures but points,
            or what `sample` refuses.
    """
    if not truncations:
        raise ConfigError("a sweep needs truncations: name some, e.g. 0.3,0.5,0.7,1.")
    if len(model.shape) != 3:
        raise ConfigError("a sweep of truncations is a sheet of pictures; this model draws points.")
    rows = [model.sample(n, seed, labels, truncation, noise) for truncation in truncations]
    return Sweep(torch.stack(rows), tuple(truncations), seed)
