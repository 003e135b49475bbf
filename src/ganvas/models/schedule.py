"""Numbers that change over the training, as papers prescribe for learning rates and penalties."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, model_validator

from ganvas.settings import Settings

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
