"""The base of every configuration: frozen, strict about names, kind about typing errors."""

import difflib
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from ganvas.errors import ConfigError


class Settings(BaseModel):
    """A frozen group of typed fields that refuses unknown ones."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Build from plain values; every mistake is named in one `ConfigError`."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(_explain(error, cls)) from None


def _explain(error: ValidationError, cls: type[BaseModel]) -> str:
    lines = []
    for problem in error.errors():
        location = [part for part in problem["loc"] if not str(part).startswith("function-")]
        name = ".".join(str(part) for part in location)
        if problem["type"] == "extra_forbidden":
            known = _field_names(cls)
            lines.append(f"there is no setting {name!r}.{nearest(name, known)}")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{name or cls.__name__}: {message} (got {problem['input']!r})")
    return "The configuration is wrong: " + "; ".join(lines)


def nearest(name: str, known: list[str]) -> str:
    """A half sentence that offers the valid names closest to a misspelt one."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not close:  # a right field in the wrong section: compare the last part alone
        last = name.rsplit(".", 1)[-1]
        by_last = {item.rsplit(".", 1)[-1]: item for item in known}
        close = [by_last[m] for m in difflib.get_close_matches(last, list(by_last), n=1)]
    return f" Did you mean {close[0]!r}?" if close else f" Valid: {', '.join(sorted(known))}."


def _field_names(cls: type[BaseModel], prefix: str = "") -> list[str]:
    names: list[str] = []
    for name, field in cls.model_fields.items():
        names.append(prefix + name)
        for candidate in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                names += _field_names(candidate, f"{prefix}{name}.")
    return names
