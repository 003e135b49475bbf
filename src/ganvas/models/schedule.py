"""Numbers that change over the training, as papers prescribe for learning rates and penalties."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    Tag,
    model_validator,
)

from ganvas.settings import NUMBER, Settings

Share = Annotated[float, Field(ge=0, le=1)]


class Schedule(Settings):
    """From one value to another, between two shares of the training; constant before and after."""

    start: NonNegativeFloat
    """The value at first."""
    end: NonNegativeFloat
    """The value at last."""
    begin: Share = 0.0
    """The share of the training after which the value begins to move."""
    until: Share = 1.0
    """The share of the training at which it arrives."""
    shape: Literal["linear", "cosine"] = "linear"
    """In a straight line, or slow at both ends: half a period of a cosine."""

    @model_validator(mode="after")
    def _moves_forward(self) -> Self:
        if not self.begin < self.until:
            raise ValueError("a schedule must begin before the share `until` at which it ends")
        return self

    def at(self, progress: float) -> float:
        """The value after a share of the training in [0, 1]."""
        way = min(max((progress - self.begin) / (self.until - self.begin), 0.0), 1.0)
        if self.shape == "cosine":
            way = 0.5 - 0.5 * math.cos(math.pi * way)
        return self.start + way * (self.end - self.start)


def value_at(setting: float | Schedule, progress: float) -> float:
    """A setting's value after a share of the training; a plain number never changes."""
    return setting.at(progress) if isinstance(setting, Schedule) else setting


def _kind(value: Any) -> str:
    """Which of a number and a schedule a value means to be, so that mistakes are told of that."""
    return Schedule.__name__ if isinstance(value, Mapping | Schedule) else NUMBER


def _not_always_zero(setting: float | Schedule) -> float | Schedule:
    if isinstance(setting, Schedule) and setting.start == setting.end == 0:
        raise ValueError("a schedule from 0 to 0 trains nothing")
    return setting


def _at_most_one(setting: float | Schedule) -> float | Schedule:
    if isinstance(setting, Schedule) and max(setting.start, setting.end) > 1:
        raise ValueError("a schedule of this setting must stay between 0 and 1")
    return setting


def _below_one(setting: float | Schedule) -> float | Schedule:
    if isinstance(setting, Schedule) and max(setting.start, setting.end) >= 1:
        raise ValueError("a schedule of this setting must stay below 1")
    return setting


_Moving = Annotated[Schedule, Tag(Schedule.__name__)]

Weight = Annotated[Annotated[NonNegativeFloat, Tag(NUMBER)] | _Moving, Discriminator(_kind)]
"""0 or more, or a schedule."""

Rate = Annotated[
    Annotated[PositiveFloat, Tag(NUMBER)] | _Moving,
    Discriminator(_kind),
    AfterValidator(_not_always_zero),
]
"""More than 0, or a schedule that is not always 0."""

Probability = Annotated[
    Annotated[Share, Tag(NUMBER)] | _Moving, Discriminator(_kind), AfterValidator(_at_most_one)
]
"""From 0 to 1, or a schedule."""

Decay = Annotated[float, Field(ge=0, lt=1)]

MovingDecay = Annotated[
    Annotated[Decay, Tag(NUMBER)] | _Moving, Discriminator(_kind), AfterValidator(_below_one)
]
"""From 0 to less than 1, or a schedule."""
