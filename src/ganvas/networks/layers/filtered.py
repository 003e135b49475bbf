"""Rectifiers that create no aliases (Karras et al. 2021, section 3.2), and their filters.

A rectifier makes frequencies that its grid cannot hold. StyleGAN3 therefore raises the sampling
rate, rectifies there, and removes with a second filter what the lower rate cannot hold. Filters are
sincs in Kaiser's window, or jincs, which treat all directions alike (appendix C).

The fine map, four or sixteen times the coarse one, is never put together. Upsampling by a filter is
one short convolution for each phase of the fine grid; the rectifier does not care which phase it is
given; and the second filter with its stride is a sum of short convolutions of the phases. What
remains are depthwise convolutions with stride 1 of maps as large as the output.
"""

from collections.abc import Sequence
from math import pi, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.networks.layers.equalised import GAIN, SLOPE

_PART = 2**20
"""Numbers of coarse maps that are best filtered at a time on a CPU, while drawing.

Measured on one core of an AMD EPYC with 1 MB of L2 cache: quadrupling the rate of 128 channels of
148 x 148 takes 149 ms at once, and 75 ms in parts; doubling it takes 5 to 10% less.
"""


class FilteredRectifier(nn.Module):
    """(N, C, inputs, inputs) -> (N, C, outputs, outputs): up, `rectify`, down; zeros around.

    Both maps have the same centre. The sampling rate of the output is up / down times the input's.

    Args:
        up_filter: Taps (T,), at the fine rate, with the sum 1.
        down_filter: Taps (T,), or (T, T) for a filter that cannot be separated, with the sum 1.
        up: How many fine samples there are for each of the input's, a multiple of `down`.
        down: How many fine samples there are for each of the output's, a divisor of T.
        inputs: Side of the map that enters.
        outputs: Side of the map that leaves.
    """

    up_filter: Tensor
    down_filter: Tensor
    _rising: Tensor
    _falling: Tensor

    def __init__(
        self,
        up_filter: Tensor,
        down_filter: Tensor,
        *,
        up: int,
        down: int,
        inputs: int,
        outputs: int,
    ) -> None:
        super().__init__()
        self.outputs = outputs
        fine = (outputs - 1) * down + len(down_filter)  # samples that the second filter looks at
        surplus = fine + len(up_filter) - 1 - inputs * up  # zeros around the spread-out input
        left, shift = divmod((surplus + up) // 2, up)
        rising = _rising(up_filter, up, shift)
        right = -(-fine // up) + rising.shape[1] - 1 - inputs - left
        # Convolutions pad both sides alike, for free; a row too many at the end does no harm.
        self.padding = left if left >= max(right, 0) else 0
        self.margins = (0, 0) if self.padding == left else (left, right)
        # Not saved: all follow from the resolution, and weights move to other resolutions.
        buffers = {
            "up_filter": up_filter,
            "down_filter": down_filter,
            "_rising": up * sqrt(GAIN) * rising,  # LeakyReLU is homogeneous: its gain comes first
            "_falling": _falling(down_filter, down),
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Filter, rectify, filter."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or x.device.type != "cpu":
            return self._run(x)
        # A part of the channels after the other, so that their phases stay in the cache.
        height, width = x.shape[2:]
        channels = max(_PART // (16 * height * width), 1) * 16
        return torch.cat([self._run(part) for part in x.split(channels, 1)], 1)

    def _run(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        if self.margins != (0, 0):
            x = F.pad(x, self.margins * 2)
        down = len(self._falling)
        phases = []
        for column in _interleave(_raise(x, self._rising, 3, self.padding), 3, down):
            rows = [
                # In place: nobody else needs what a convolution returned.
                F.leaky_relu(row, SLOPE, inplace=True)
                for row in _raise(column, self._rising, 2, self.padding)
            ]
            phases.append(_interleave(rows, 2, down))
        y = _lower(phases, self._falling)
        return y[:, :, : self.outputs, : self.outputs]


def lowpass(taps: int, cutoff: float, width: float, rate: float) -> Tensor:
    """A sinc in Kaiser's window, (taps,) float64 with the sum 1 (appendix C).

    Args:
        taps: Their number.
        cutoff: Frequency that is halved, in the unit of `rate`.
        width: Of the transition band, in the unit of `rate`.
        rate: Samples for each unit of length.
    """
    x = _positions(taps, rate)
    filter_ = torch.sinc(2 * cutoff * x) * _window(taps, width, rate)
    return filter_ / filter_.sum()


def radial_lowpass(taps: int, cutoff: float, width: float, rate: float) -> Tensor:
    """A jinc in the product of two of Kaiser's windows, (taps, taps) float64 (appendix C).

    An even number of taps, so that none lies in the centre; arguments as for `lowpass`.
    """
    x = _positions(taps, rate)
    r = torch.hypot(x[:, None], x)
    window = _window(taps, width, rate)
    jinc: Tensor = torch.special.bessel_j1(2 * pi * cutoff * r) / r
    filter_ = jinc * torch.outer(window, window)
    return filter_ / filter_.sum()


def _positions(taps: int, rate: float) -> Tensor:
    return (torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2) / rate


def _window(taps: int, width: float, rate: float) -> Tensor:
    """Kaiser's window for a transition band of this width."""
    attenuation = 2.285 * (taps - 1) * pi * width / (rate / 2) + 7.95  # in dB
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    elif attenuation > 21:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    else:
        beta = 0.0
    return torch.kaiser_window(taps, periodic=False, beta=beta, dtype=torch.float64)


def _rising(taps: Tensor, up: int, shift: int) -> Tensor:
    """(up, reach): the taps that make each phase of the fine grid out of the coarse one.

    The first coarse sample that phases look at lies `shift` fine samples from the first fine one.
    """
    before = up - 1 - shift
    reach = -(-(before + len(taps)) // up)
    padded = F.pad(taps, (before, reach * up - before - len(taps)))
    return padded.view(reach, up).flip(1).t()


def _falling(taps: Tensor, down: int) -> Tensor:
    """(down, T / down), or (down, down, T / down, T / down): the taps that look at each phase."""
    if taps.ndim == 1:
        return taps.view(-1, down).t()
    reach = len(taps) // down
    return taps.view(reach, down, reach, down).permute(1, 3, 0, 2)


def _raise(x: Tensor, rising: Tensor, axis: int, padding: int) -> list[Tensor]:
    """The phases, at x's rate, of x filtered along the axis at the fine rate."""
    return [_filter(x, taps, axis, padding) for taps in rising]


def _lower(phases: Sequence[Sequence[Tensor]], falling: Tensor) -> Tensor:
    """What the second filter makes of phases[column][row]."""
    if falling.ndim == 4:
        pairs = [
            (phase, taps)
            for column, column_taps in zip(phases, falling.transpose(0, 1), strict=True)
            for phase, taps in zip(column, column_taps, strict=True)
        ]
        return _total([_depthwise(phase, taps) for phase, taps in pairs])
    columns = [
        _total([_filter(row, taps, 2) for row, taps in zip(column, falling, strict=True)])
        for column in phases
    ]
    return _total([_filter(x, taps, 3) for x, taps in zip(columns, falling, strict=True)])


def _interleave(phases: Sequence[Tensor], axis: int, count: int) -> list[Tensor]:
    """Phases put together to `count` ones of a higher rate."""
    if len(phases) == count:
        return list(phases)
    axis -= 1  # in channels last, as they lie
    pixels = [phase.permute(0, 2, 3, 1) for phase in phases]
    stacks = [torch.stack(pixels[i::count], axis + 1) for i in range(count)]
    return [stack.flatten(axis, axis + 1).permute(0, 3, 1, 2) for stack in stacks]


def _filter(x: Tensor, taps: Tensor, axis: int, padding: int = 0) -> Tensor:
    """Correlation along one axis."""
    if axis == 3:
        return _depthwise(x, taps[None], (0, padding))
    return _depthwise(x, taps[:, None], (padding, 0))


def _depthwise(x: Tensor, taps: Tensor, padding: tuple[int, int] = (0, 0)) -> Tensor:
    """Correlation of every channel with the same taps (height, width)."""
    channels = x.shape[1]
    kernel = taps.to(x.dtype).expand(channels, 1, *taps.shape)
    return F.conv2d(x, kernel, None, 1, padding, 1, channels)


def _total(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total += term  # in place, as above
    return total
