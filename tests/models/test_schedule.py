import pytest

from ganvas.errors import ConfigError
from ganvas.models.phase import Adam
from ganvas.models.schedule import Schedule, value_at


def test_linear_moves_between_its_two_shares_and_rests_outside() -> None:
    schedule = Schedule(start=2.0, end=1.0, begin=0.5, until=0.75)
    assert [schedule.at(p) for p in (0.0, 0.5, 0.625, 0.75, 1.0)] == [2.0, 2.0, 1.5, 1.0, 1.0]


def test_cosine_is_slow_at_both_ends() -> None:
    schedule = Schedule(start=0.0, end=1.0, shape="cosine")
    assert [schedule.at(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([0.0, 0.5, 1.0])
    assert schedule.at(0.1) == pytest.approx(0.0245, abs=1e-4)


def test_a_number_never_changes() -> None:
    assert value_at(0.3, 0.0) == value_at(0.3, 0.9) == 0.3


def test_a_schedule_that_goes_nowhere_is_refused() -> None:
    with pytest.raises(ConfigError, match="begin before"):
        Schedule.parse({"start": 1, "end": 0, "begin": 0.5, "until": 0.5})


def test_rates_are_read_as_numbers_or_schedules() -> None:
    moving = Adam.parse({"learning_rate": {"start": 1e-3, "end": 0}, "betas": [0, 0.9]})
    assert moving.learning_rate == Schedule(start=1e-3, end=0)
    assert Adam.parse({"learning_rate": 1e-3}).learning_rate == 1e-3
    with pytest.raises(ConfigError, match="learning_rate"):
        Adam.parse({"learning_rate": {"begin": 1e-3, "end": 0}})
    with pytest.raises(ConfigError, match="learning_rate"):
        Adam.parse({"learning_rate": -1})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": {"start": 1, "ende": 0}}, "learning_rate.end: Field required"),
        ({"learning_rate": {"start": 1, "ende": 0}}, "Did you mean 'learning_rate.end'?"),
        ({"learning_rate": {"start": 1, "end": -2}}, "learning_rate.end: Input should be greater"),
        ({"learning_rate": {"start": 0, "end": 0}}, "learning_rate: a schedule from 0 to 0"),
        ({"learning_rate": None}, "learning_rate: Input should be a valid number (got None)"),
        ({"betas": [0.5, {"start": 0.9, "end": 1}]}, "betas: a schedule of this setting must stay"),
        ({"betas": [0.5, {"start": 0.9}]}, "betas.end: Field required"),
        ({"betas": [0.5, 1]}, "betas: Input should be less than 1 (got 1)"),
    ],
)
def test_mistakes_are_told_of_the_kind_that_was_meant(
    values: dict[str, object], message: str
) -> None:
    """Of a number where a number is given, of a schedule where that is; in the user's words."""
    with pytest.raises(ConfigError) as info:
        Adam.parse(values)
    assert message in str(info.value)
    assert "Schedule" not in str(info.value)
    assert "valid dictionary" not in str(info.value)
