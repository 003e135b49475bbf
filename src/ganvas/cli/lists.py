"""Lists and choices as a user writes them: 1,2,3 and cat,dog."""

import math
from collections.abc import Sequence
from typing import TypeVar

from ganvas.errors import ConfigError

Choice = TypeVar("Choice")


def seed_list(text: str, option: str) -> list[int]:
    """The seeds in "1,2,3"; raises ConfigError, naming the option, where it is something else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) <= 18 for part in parts):
        raise ConfigError(f"{option} {text!r} is not a list of whole numbers like 1,2,3.")
    return [int(part) for part in parts]


def number_list(text: str, option: str) -> list[float]:
    """The numbers in "0.5,1"; raises ConfigError, naming the option, where one is something else.

    Infinities and NaN are no numbers.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise ConfigError(f"{option} {text!r} is not a list of numbers like 0.5,1.")
    return numbers


def label_list(text: str | None) -> list[str]:
    """The classes in "cat,dog"; none where nothing is given."""
    return [] if text is None else [label.strip() for label in text.split(",")]


def one_of(text: str, valid: Sequence[Choice], option: str) -> Choice:
    """The valid value that was given; raises ConfigError, naming the option, for any other."""
    for value in valid:
        if value == text:
            return value
    raise ConfigError(f"{option} {text!r} is none of {', '.join(map(str, valid))}.")
