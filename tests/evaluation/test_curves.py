import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ganvas.evaluation.curves import BOTTOM, LEFT, RIGHT, TOP, chart, compact, smooth, thin


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path)]


def test_a_line_runs_through_the_frame_at_the_right_places() -> None:
    drawn = chart("loss", [0, 50, 100], {"total": [0.0, 5.0, 10.0]})
    assert drawn is not None
    (line,) = drawn.lines
    (x0, y0), (x1, y1), (x2, y2) = points(line.raw)
    assert (x0, x2) == (LEFT, RIGHT)
    assert x1 == pytest.approx((LEFT + RIGHT) / 2)
    assert TOP < y2 < y1 < y0 < BOTTOM
    ticks = {tick.label: tick.position for tick in drawn.y_ticks}
    assert ticks["0"] == pytest.approx(y0, abs=0.1)
    assert ticks["10"] == pytest.approx(y2, abs=0.1)
    assert drawn.note == ""


def test_a_gap_breaks_the_line_and_a_lone_value_is_a_dot() -> None:
    drawn = chart("loss", [1, 2, 3, 4, 5], {"a": [1.0, None, 2.0, float("nan"), float("inf")]})
    assert drawn is not None
    assert drawn.lines[0].raw.count("M") == 2
    assert drawn.lines[0].raw.count("h0") == 2
    assert drawn.note == "3 values are missing or not a finite number."


@pytest.mark.parametrize(
    "series", [{}, {"a": [None, None]}, {"a": [float("nan"), float("inf")]}, {"a": [1e300, -1e300]}]
)
def test_nothing_to_draw(series: dict[str, list[float | None]]) -> None:
    assert chart("loss", [1, 2], series) is None
    assert chart("loss", [], {name: [] for name in series}) is None


def test_one_wild_value_does_not_squash_the_rest() -> None:
    values = [1.0 + 0.1 * (i % 7) for i in range(999)] + [-5000.0]
    drawn = chart("loss", range(1000), {"a": values})
    assert drawn is not None
    heights = [y for _, y in points(drawn.lines[0].raw)][:300]
    assert max(heights) - min(heights) > 0.7 * (BOTTOM - TOP)
    assert drawn.note == "1 value is outside the frame."


def test_many_orders_of_magnitude_get_a_logarithmic_axis() -> None:
    drawn = chart("loss", range(5), {"a": [1e4, 1e3, 1e2, 10.0, 1.0]})
    assert drawn is not None
    heights = np.diff([y for _, y in points(drawn.lines[0].raw)])
    assert np.allclose(heights, heights[0], atol=0.2)
    assert [tick.label for tick in drawn.y_ticks] == ["1", "10", "100", "1,000", "10k"]
    assert drawn.note == "Logarithmic scale."


def test_an_axis_from_zero_shows_ratios() -> None:
    drawn = chart("speed", range(3), {"a": [700.0, 710.0, 700.0]}, from_zero=True)
    assert drawn is not None
    assert (drawn.y_ticks[0].label, drawn.y_ticks[0].position) == ("0", BOTTOM)


def test_thinning_keeps_every_spike_and_both_ends() -> None:
    x = np.arange(100_000.0)
    y = np.zeros(100_000)
    y[[0, 4321, 77_777, 99_999]] = [1, 9, -9, 2]
    kept_x, kept_y = thin(x, y, 400)
    assert len(kept_x) <= 402
    assert {0, 4321, 77_777, 99_999} <= set(kept_x.tolist())
    assert (np.diff(kept_x) > 0).all()
    assert np.array_equal(kept_y, y[kept_x.astype(int)])


def test_smoothing_keeps_straight_lines_and_calms_noise() -> None:
    line = np.linspace(0, 1, 1000)
    assert np.allclose(smooth(line)[40:-40], line[40:-40])
    noise = np.random.default_rng(0).normal(size=1000)
    assert smooth(noise).std() < 0.3
    spike = np.full(1000, 1e-3)
    spike[3] = 1e15
    assert np.allclose(smooth(spike)[100:], 1e-3, rtol=1e-9, atol=0)
    gap = line.copy()
    gap[400:600] = np.nan
    assert np.isnan(smooth(gap)[500])
    assert np.isfinite(smooth(gap)[[350, 650]]).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(0, "0"), (0.0123456, "0.0123"), (-4.556, "-4.56"), (99.96, "100"), (999.7, "1,000")],
        *[(1234, "1,234"), (9999, "9,999"), (50_000, "50k"), (999_400, "999k")],
        *[(999_600, "1M"), (1_234_000, "1.23M"), (2e9, "2G"), (3e15, "3.00e+15")],
    ],
)
def test_compact_numbers(value: float, text: str) -> None:
    assert compact(value) == text


@given(
    st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=40),
    st.booleans(),
)
@example([5e-324], True)
@example([0.0, 5e-324, 1e-300], False)
@example([1e300, -1e300], False)
def test_any_values_can_be_drawn(values: list[float | None], from_zero: bool) -> None:
    drawn = chart("loss", range(len(values)), {"a": values}, from_zero=from_zero)
    if drawn is not None:
        assert not re.search("nan|inf", drawn.lines[0].raw + drawn.lines[0].smooth)
        assert len(drawn.y_ticks) < 20
        for tick in drawn.y_ticks:
            assert TOP - 1 <= tick.position <= BOTTOM + 1
