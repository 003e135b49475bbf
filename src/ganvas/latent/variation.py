"""Stochastic variation: what the noise inputs change in a picture, and what they leave alone.

Karras et al. 2019, section 3.2 and figure 4: with the same w and other noise, hairs fall
differently while pose and identity stay; the standard deviation of each pixel over 100 noises
shows where. Of a pixel with several channels it is the root of their mean variance.
"""

import math
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.latent.sheet import blank, parted, with_caption
from ganvas.latent.styles import in_all_layers, styles_of, without_styles
from ganvas.models.base import LatentModel, Styles
from ganvas.pictures import Bytes, to_uint8

_BATCH = 16


@dataclass(frozen=True, eq=False)
class Variation:
    """One w under many noises; images are float32 in [-1, 1].

    Attributes:
        pictures: (n, C, H, W), the same w under n noises.
        plain: (C, H, W), without noise.
        deviation: (H, W) standard deviation of each pixel in the units of the images, of which 2 is
            all from black to white.
        over: How many noises that is measured over.
    """

    pictures: Tensor
    plain: Tensor
    deviation: Tensor
    over: int

    @property
    def levels(self) -> float:
        """The largest deviation, in levels of 0 to 255: what the map shows as white."""
        return float(self.deviation.max()) * 127.5

    @property
    def caption(self) -> str:
        """What the map shows, and its scale."""
        what = f"standard deviation of each pixel over {self.over} noises"
        return f"{what}: white = {self.levels:.3g} of 255 levels"

    def sheet(self) -> Image.Image:
        """Apart at the left the picture without noise and the map below it; then the pictures."""
        pictures = list(to_uint8(self.pictures))
        first = [to_uint8(self.plain[None])[0], self._map()]
        rows = max(len(first), math.isqrt(len(pictures)))
        columns = math.ceil(len(pictures) / rows)
        empty = blank(first[0])
        first += [empty] * (rows - len(first))
        pictures += [empty] * (rows * columns - len(pictures))
        placed: list[Bytes] = []
        for row in range(rows):
            placed += [first[row], *pictures[row * columns : (row + 1) * columns]]
        sheet = parted(placed, 1 + columns, first_row=False)
        return with_caption(sheet, f"left: without noise, and the {self.caption}")

    def _map(self) -> Bytes:
        """The deviation from black (0) to white (the largest), (H, W, C)."""
        largest = self.deviation.max()
        share = self.deviation / largest if largest > 0 else self.deviation
        shown = (share * 2 - 1).expand_as(self.plain).clone()
        if len(shown) == 4:
            shown[3] = 1  # opaque
        pixels: Bytes = to_uint8(shown[None])[0]
        return pixels


def vary(
    model: LatentModel,
    seed: int,
    n: int = 8,
    *,
    over: int = 100,
    label: int | str | None = None,
    truncation: float | None = None,
) -> Variation:
    """Draw the picture of one seed again and again, with other noise.

    Args:
        model: What `ganvas.load` returns, with styles and noise.
        seed: Of the picture, as in `sample`, and of the first noise; the next are of seed + 1, ...
        n: How many of the pictures to keep.
        over: How many noises the deviation is measured over (the paper's 100), or n if that is
            more.
        label: The class, for a class-conditional model (default: the first).
        truncation: psi, from -2 to 2, as in `sample`.

    Returns:
        The pictures, float32 in [-1, 1], and the deviation; `Variation.sheet` lays them out.

    Raises:
        ConfigError: A model without styles or without noise, too few pictures, no such class or
            truncation.
    """
    if not isinstance(model, Styles):
        raise without_styles("keep them while the noise varies")
    if not model.noise_shapes:
        raise ConfigError(
            "this model adds no noise to its maps, so nothing in a picture varies by chance "
            "(stylegan3 left it out on purpose). Models that do: stylegan, stylegan2."
        )
    over = max(n, over)
    if n < 1 or over < 2:
        raise ConfigError("show at least one picture (-n) and measure over at least two noises.")
    labels = [label] if label is not None else model.classes[:1]
    styles = in_all_layers(model, styles_of(model, [seed], labels, truncation))
    with torch.no_grad():
        plain = model.synthesise(styles, "none").float()[0]
        pictures, deviation = _under_noises(model, styles, plain, seed, n, over)
    return Variation(pictures, plain, deviation, over)


def _under_noises(
    model: Styles, styles: Tensor, plain: Tensor, seed: int, n: int, over: int
) -> tuple[Tensor, Tensor]:
    """The first n pictures of w+ (1, layers, L), and the deviation over all, a batch at a time."""
    kept: list[Tensor] = []
    total = torch.zeros(plain.shape, dtype=torch.float64)
    squares = torch.zeros_like(total)
    for start in range(0, over, _BATCH):
        size = min(_BATCH, over - start)
        pictures = model.synthesise(styles.expand(size, -1, -1), "random", seed + start).float()
        kept.append(pictures[: max(0, n - start)])
        change = (pictures - plain).cpu().double()  # not every device has float64
        total, squares = total + change.sum(0), squares + change.square().sum(0)
    variance = (squares - total.square() / over).clamp(min=0) / (over - 1)
    return torch.cat(kept), variance.mean(0).sqrt().to(plain)
