"""Line charts as plain geometry, for a page to draw as SVG in its own colours.

A chart keeps what a reader needs to judge a training: a faint raw line that still has every spike,
a smoothed line on top, and a frame that a few wild values cannot squash.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]

WIDTH, HEIGHT = 460, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 446, 10, 214  # the frame, in the units of WIDTH and HEIGHT

_POINTS = 400  # drawn per line; more cannot be told apart on a screen
_SMOOTHING = 0.04  # the moving average's share of the history
_ABSURD = 1e100  # as good as infinite, and too large to calculate with; its inverse is as good as 0
_LOG_RATIO = 50.0  # positive values that differ by more than this get a logarithmic axis


@dataclass(frozen=True)
class Axis:
    """Maps values in [low, high] to places from `start` to `stop`."""

    low: float
    high: float
    start: float
    stop: float
    logarithmic: bool = False

    def place(self, values: Values) -> Values:
        """Where values lie; those far outside are kept within sane coordinates."""
        low, high, at = np.array(self.low), np.array(self.high), values
        if self.logarithmic:
            low, high, at = np.log10(low), np.log10(high), np.log10(values)
        share = ((at - low) / (high - low)).clip(-10, 10)
        places: Values = self.start + share * (self.stop - self.start)
        return places

    def ticks(self, about: int) -> "list[Tick]":
        """About that many labelled places at round values."""
        values = (_decades if self.logarithmic else _round_steps)(self.low, self.high, about)
        places = self.place(np.array(values))
        return [Tick(float(p), compact(v)) for p, v in zip(places, values, strict=True)]


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    position: float
    label: str


@dataclass(frozen=True)
class Line:
    """One series: SVG path data, and its last smoothed value as text."""

    name: str
    raw: str
    smooth: str
    last: str


@dataclass(frozen=True)
class Chart:
    """Everything to draw, in a WIDTH x HEIGHT box whose y axis points down."""

    title: str
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    note: str
    """What the drawing leaves unsaid: a logarithmic axis, values left out. May be empty."""
    over: str = "images shown"
    """What the x axis counts."""

    @property
    def description(self) -> str:
        """The chart in words, for those who cannot see it."""
        ends = ", ".join(f"{line.name} {line.last}" for line in self.lines)
        return f"{self.title} over {self.over}; at the end: {ends}."


def chart(
    title: str,
    images: Sequence[int],
    series: Mapping[str, Sequence[float | None]],
    *,
    from_zero: bool = False,
) -> Chart | None:
    """Lay out a line chart over images shown.

    Args:
        title: What is drawn.
        images: Images shown, rising, one for each measurement.
        series: By name, one value for each measurement; None, NaN and infinity leave a gap.
        from_zero: Begin the y axis at zero, for quantities whose ratio matters.

    Returns:
        The chart, or None when no series has a finite value.
    """
    every = {name: _gaps(values) for name, values in series.items()}
    finite = {name: y for name, y in every.items() if not np.isnan(y).all()}
    if not finite:
        return None
    across = Axis(0, max(images[-1], 1), LEFT, RIGHT)
    down = _vertical(list(finite.values()), from_zero)
    x = np.asarray(images, np.float64)
    return Chart(
        title=title,
        lines=[_line(name, x, y, across, down) for name, y in finite.items()],
        x_ticks=across.ticks(5),
        y_ticks=down.ticks(5),
        note=_note(list(every.values()), down),
    )


def smooth(values: Values) -> Values:
    """Centred triangular moving average over 4 % of the values; NaN is left out of it."""
    reach = max(1, round(len(values) * _SMOOTHING / 4))
    return _average(_average(values, reach), reach)


def thin(x: Values, y: Values, points: int = _POINTS) -> tuple[Values, Values]:
    """Keep about `points` of a line: the lowest and the highest value of each stretch.

    Unlike taking every k-th value, this keeps every spike that the full line would show.
    """
    if len(y) <= points:
        return x, y
    keep: set[int] = {0, len(y) - 1}
    for stretch in np.array_split(np.arange(len(y)), points // 2):
        part = y[stretch]
        if np.isnan(part).all():
            keep.add(int(stretch[0]))
        else:
            keep |= {int(stretch[np.nanargmin(part)]), int(stretch[np.nanargmax(part)])}
    index = sorted(keep)
    return x[index], y[index]


def compact(value: float) -> str:
    """A number in about three digits: 0.0123, 4.56, 789, 1,234, 50k, 1.2M."""
    size = abs(value)
    if size >= 1e12:
        return f"{value:.2e}"
    for unit, letter, least in ((1e9, "G", 0.9995e9), (1e6, "M", 0.9995e6), (1e3, "k", 1e4)):
        if size >= least:
            return f"{value / unit:.3g}{letter}"
    return f"{value:,.0f}" if size >= 100 else f"{value:.3g}"


def _average(values: Values, reach: int) -> Values:
    """Mean of each value and the `reach` ones on both sides, as far as they are known."""
    # Sums of a few values each: differences of running sums would lose small values after a spike.
    window, inside = np.ones(2 * reach + 1), slice(reach, reach + len(values))
    known = ~np.isnan(values)
    sums = np.convolve(np.where(known, values, 0.0), window)[inside]
    counts = np.convolve(known, window)[inside]
    return np.where(counts > 0.5, sums / np.maximum(counts, 1), np.nan)


def _gaps(values: Sequence[float | None]) -> Values:
    """The values with NaN wherever there is none that can be drawn."""
    array = np.array([np.nan if value is None else value for value in values], np.float64)
    array = np.where(np.abs(array) < 1 / _ABSURD, 0.0, array)
    return np.where(np.abs(array) < _ABSURD, array, np.nan)


def _vertical(lines: list[Values], from_zero: bool) -> Axis:
    """The y axis: everything, or all but outliers that would squash the rest."""
    least = min(float(np.nanmin(y)) for y in lines)
    most = max(float(np.nanmax(y)) for y in lines)
    middle = [np.nanpercentile(y, (0.5, 99.5)) for y in lines]
    low, high = float(min(y[0] for y in middle)), float(max(y[1] for y in middle))
    if not most - least > 2 * (high - low) > 0:
        low, high = least, most
    if from_zero and low >= 0:
        return Axis(0, high * 1.06 or 1.0, BOTTOM, TOP)
    if least > 0 and high > _LOG_RATIO * low:
        return Axis(low / 1.15, high * 1.15, BOTTOM, TOP, logarithmic=True)
    margin = 0.06 * (high - low)
    if margin <= 1e-9 * abs(high):  # a flat line, which goes in the middle of some frame
        margin = 0.1 * abs(high) if abs(high) > 1 / _ABSURD else 1.0
    return Axis(low - margin, high + margin, BOTTOM, TOP)


def _line(name: str, x: Values, y: Values, across: Axis, down: Axis) -> Line:
    averaged = smooth(y)
    return Line(
        name=name,
        raw=_path(*thin(across.place(x), down.place(y))),
        smooth=_path(*thin(across.place(x), down.place(averaged))),
        last=compact(float(averaged[~np.isnan(averaged)][-1])),
    )


def _path(x: Values, y: Values) -> str:
    """SVG path data that starts anew after every gap; a lone point becomes a dot."""
    parts = []
    pen_down = False
    for index, (a, b) in enumerate(zip(x, y, strict=True)):
        if math.isnan(b):
            pen_down = False
            continue
        alone = not pen_down and (index + 1 == len(y) or math.isnan(y[index + 1]))
        parts.append(f"{'L' if pen_down else 'M'}{a:.1f} {b:.1f}{'h0' if alone else ''}")
        pen_down = True
    return "".join(parts)


def _round_steps(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within [low, high]."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.7)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float, about: int) -> list[float]:
    """Powers of ten within [low, high], with 2 and 5 between them where they are few."""
    first, last = math.floor(math.log10(low)), math.floor(math.log10(high))
    factors = (1, 2, 5) if last - first < about // 2 else (1,)
    stride = max(1, math.ceil((last - first) / about))
    values = [10.0**n * factor for n in range(first, last + 1, stride) for factor in factors]
    return [value for value in values if low <= value <= high]


def _note(lines: list[Values], down: Axis) -> str:
    notes = ["Logarithmic scale."] if down.logarithmic else []
    outside = sum(int(((y < down.low) | (y > down.high)).sum()) for y in lines)
    if outside:
        notes.append(f"{_values(outside)} outside the frame.")
    missing = sum(int(np.isnan(y).sum()) for y in lines)
    if missing:
        notes.append(f"{_values(missing)} missing or not a finite number.")
    return " ".join(notes)


def _values(count: int) -> str:
    return "1 value is" if count == 1 else f"{count:,} values are"


def lines(
    title: str,
    over: str,
    series: Mapping[str, tuple[Sequence[float], Sequence[float | None]]],
) -> Chart | None:
    """Lay out lines that have places of their own, as they are: neither smoothed nor doubled.

    Args:
        title: What is drawn.
        over: What the x axis counts, in words.
        series: By name, rising places x >= 0 and a value at each; None, NaN and infinity leave
            a gap.

    Returns:
        The chart of the series with a finite value, or None when there is none.
    """
    every = {name: (np.asarray(x, np.float64), _gaps(y)) for name, (x, y) in series.items()}
    drawn = {name: line for name, line in every.items() if not np.isnan(line[1]).all()}
    if not drawn:
        return None
    end = max(float(x[-1]) for x, _ in drawn.values())
    across = Axis(0, end if end > 1 / _ABSURD else 1, LEFT, RIGHT)
    down = _vertical([y for _, y in drawn.values()], from_zero=False)
    return Chart(
        title=title,
        lines=[
            Line(
                name=name,
                raw="",
                smooth=_path(*thin(across.place(x), down.place(y))),
                last=compact(float(y[~np.isnan(y)][-1])),
            )
            for name, (x, y) in drawn.items()
        ],
        x_ticks=across.ticks(5),
        y_ticks=down.ticks(5),
        note=_note([y for _, y in every.values()], down),
        over=over,
    )
