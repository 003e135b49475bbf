"""Two-dimensional toy distributions on which mode collapse is counted, not eyeballed.

`ring` and `grid` have known modes; the ratio of a mode's width to the spacing is the literature's,
the scale is changed so that all points lie in [-1, 1], a tanh generator's range:

- `ring`: 8 Gaussians on a circle. Metz et al. 2017 (unrolled GAN, arXiv:1611.02163) take radius 2
  and standard deviation 0.02; here both times 0.45: radius 0.9, std 0.009.
- `grid`: 25 Gaussians on a 5x5 grid. Srivastava et al. 2017 (VEEGAN, arXiv:1705.07761) and Lin et
  al. 2018 (PacGAN, arXiv:1712.04086) take centres in {-4, -2, 0, 2, 4} and std 0.05; here both
  times 0.225: centres in {-0.9, -0.45, 0, 0.45, 0.9}, std 0.01125.
- `swiss-roll`: (t cos t, t sin t) with t uniform in [1.5 pi, 4.5 pi] and noise of std 0.25, all
  divided by 15.5, as in Gulrajani et al. 2017 (WGAN-GP, arXiv:1704.00028) up to the scale.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganvas.data.builtin.counter import uniform
from ganvas.errors import ConfigError
from ganvas.settings import nearest

_ROLL_SCALE = 15.5
_ROLL_NOISE = 0.25


@dataclass(frozen=True, eq=False)
class Modes:
    """The known modes of a mixture of equally likely round Gaussians.

    Attributes:
        centres: (K, 2) float32.
        std: Standard deviation of every Gaussian along each axis.
    """

    centres: NDArray[np.float32]
    std: float


def _ring() -> Modes:
    angles = 2 * np.pi * np.arange(8) / 8
    circle = 0.9 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Modes(circle.astype(np.float32), std=0.009)


def _grid() -> Modes:
    ticks = np.linspace(-0.9, 0.9, 5)
    cells = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    return Modes(cells.astype(np.float32), std=0.01125)


MODES: dict[str, Modes | None] = {"ring": _ring(), "grid": _grid(), "swiss-roll": None}
"""The toys by name, each with its modes; `swiss-roll` is one curve and has none."""


def sample_points(
    name: str, count: int, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw points of a toy distribution; point i depends on (name, seed, i) alone.

    Args:
        name: A key of `MODES`.
        count: How many points; the first k of n are what k alone would give.
        seed: Any integer.

    Returns:
        (count, 2) float32 points in about [-1, 1] and the (count,) int64 index of the Gaussian
        each was drawn from (all 0 for `swiss-roll`).

    Raises:
        ConfigError: For an unknown name or a negative count.
    """
    if name not in MODES:
        raise ConfigError(f"There is no toy data set {name!r}.{nearest(name, list(MODES))}")
    if count < 0:
        raise ConfigError(f"Cannot draw {count} points of {name!r}: the count must be 0 or more.")
    indices = range(count)
    where = uniform(indices, seed, f"{name}/where")
    noise = _normal_pairs(indices, seed, f"{name}/noise")
    modes = MODES[name]
    if modes is None:
        t = 1.5 * np.pi * (1 + 2 * where)
        curve = np.stack([t * np.cos(t), t * np.sin(t)], axis=1)
        points = (curve + _ROLL_NOISE * noise) / _ROLL_SCALE
        return points.astype(np.float32), np.zeros(count, np.int64)
    component = (where * len(modes.centres)).astype(np.int64)
    return (modes.centres[component] + modes.std * noise).astype(np.float32), component


def _normal_pairs(indices: range, seed: int, stream: str) -> NDArray[np.float64]:
    """(N, 2) standard normal numbers by Box and Muller 1958."""
    radius = np.sqrt(-2 * np.log1p(-uniform(indices, seed, f"{stream}/radius")))
    angle = 2 * np.pi * uniform(indices, seed, f"{stream}/angle")
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
