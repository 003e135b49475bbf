"""The bands of StyleGAN3's layers, and the filters between them (Karras et al. 2021, section 3.2).

Maps are signals of limited bandwidth. From layer to layer both the cutoff, up to which frequencies
pass, and the stopband, from which on there are none, grow geometrically; the sampling rate is the
lowest power of two that can hold the stopband. The last two layers are critically sampled: their
cutoff is the highest frequency that the picture can hold.
"""

from dataclasses import dataclass
from math import ceil, log2

from torch import Tensor

from ganvas.networks.layers.filtered import lowpass, radial_lowpass

LAYERS, CRITICAL = 14, 2
_FIRST_CUTOFF, _FIRST_STOPBAND = 2.0, 2**2.1
_LAST_STOPBAND = 2**0.3
"""Relative to the last cutoff."""
_MARGIN = 10
_TAPS = 6
"""Of a filter, for each sample of the coarser of its two grids."""
_FINER = 2
"""Rate at which rectifiers work, relative to the finer of the two grids around them."""


@dataclass(frozen=True)
class Band:
    """The band of a map, and its grid. Frequencies are in periods a picture.

    Args:
        cutoff: The highest frequency that is to pass.
        stopband: The lowest frequency that is to vanish.
        rate: Samples for a picture's side.
        size: Samples for the side of the map, which reaches beyond the picture.
    """

    cutoff: float
    stopband: float
    rate: int
    size: int

    @property
    def half_width(self) -> float:
        """Half of the band in which filters fall off."""
        return max(self.stopband, self.rate / 2) - self.cutoff


def bands(resolution: int) -> list[Band]:
    """The bands of all layers' outputs, coarse to fine, the picture's last."""
    last = resolution / 2
    found = []
    for i in range(LAYERS + 1):
        growth = min(i / (LAYERS - CRITICAL), 1)
        cutoff = _FIRST_CUTOFF * (last / _FIRST_CUTOFF) ** growth
        stopband = _FIRST_STOPBAND * (last * _LAST_STOPBAND / _FIRST_STOPBAND) ** growth
        rate = 2 ** ceil(log2(min(2 * stopband, resolution)))
        size = resolution if i >= LAYERS - 1 else rate + 2 * _MARGIN
        found.append(Band(cutoff, stopband, rate, size))
    return found


def filters(before: Band, after: Band, *, radial: bool) -> tuple[Tensor, Tensor]:
    """What a layer filters with between two bands: up, then down, `radial` or separable."""
    up, down = factors(before, after)
    rate = before.rate * up
    design = radial_lowpass if radial else lowpass
    return (
        lowpass(_TAPS * up, before.cutoff, 2 * before.half_width, rate),
        design(_TAPS * down, after.cutoff, 2 * after.half_width, rate),
    )


def factors(before: Band, after: Band) -> tuple[int, int]:
    """How many samples of the grid that a layer rectifies on fall to one before and one after."""
    rate = _FINER * max(before.rate, after.rate)
    return rate // before.rate, rate // after.rate
