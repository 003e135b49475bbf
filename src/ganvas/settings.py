"""The base of every configuration: frozen, strict about names, kind about typing errors."""

import difflib
import reprlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from ganvas.errors import ConfigError

NUMBER = "a number"
"""Marks the plain number in the type of a setting that can be a group of settings, too."""


class Settings(BaseModel):
    """A frozen group of typed fields that refuses unknown ones."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
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
    for problem in error.errors(include_url=False, include_context=False):
        location, value = problem["loc"], problem["input"]
        name = _written(location, cls)
        if problem["type"] == "extra_forbidden":
            known = _field_names(cls, location)
            lines.append(f"there is no setting {name!r}.{nearest(name, known)}")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            is_short = isinstance(value, str | int | float | None)
            got = f" (got {reprlib.repr(value)})" if is_short else ""
            lines.append(f"{name or cls.__name__}: {message}{got}")
    return "The configuration is wrong: " + "; ".join(dict.fromkeys(lines))


def nearest(name: str, known: list[str]) -> str:
    """A half sentence that offers the valid names closest to a misspelt one."""
    section, _, last = name.rpartition(".")
    by_last = {item.rpartition(".")[2]: item for item in known}
    close = sorted({item for item in known if item.rpartition(".")[2] == last})  # wrong section
    close = [item for item in close if item.count(".") == min(i.count(".") for i in close)]
    close = close or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    close = close or [by_last[match] for match in difflib.get_close_matches(last, by_last, n=1)]
    if close:
        return f" Did you mean {' or '.join(map(repr, close))}?"
    beside = sorted({item for item in known if item.rpartition(".")[0] == section})
    return f" Valid: {', '.join(beside or sorted({*known}))}."


Location = tuple[int | str, ...]
"""Where pydantic found a mistake: field names, and the tags and types of the unions passed."""


def _written(location: Location, cls: type[BaseModel]) -> str:
    """The location as the user writes it: model.width, not model.gan.width."""
    names: list[str] = []
    groups = [cls]
    for part in map(str, location):
        fields = [group.model_fields[part] for group in groups if part in group.model_fields]
        if fields:
            names.append(part)
            groups = [inner for field in fields for inner in _groups(field, location)]
        elif part == NUMBER or (names and part.isdecimal()):
            continue  # the plain kind of a setting, or a place in a list
        elif groups and not any(_has_tag(group, part) for group in groups):
            names.append(part)  # there is no such field
            groups = []
    return ".".join(names)


def _field_names(cls: type[BaseModel], location: Location, prefix: str = "") -> list[str]:
    names: list[str] = []
    for name, field in cls.model_fields.items():
        names.append(prefix + name)
        for group in _groups(field, location):
            names += _field_names(group, location, f"{prefix}{name}.")
    return names


def _groups(field: FieldInfo, location: Location) -> list[type[BaseModel]]:
    """The groups of settings that a field may hold; of a union, those tagged in the location."""
    types = [t for t in _types(field.annotation) if t is not type(None)]
    groups = [t for t in types if issubclass(t, BaseModel)]
    tagged = [g for g in groups if any(_has_tag(g, part) for part in location)]
    return tagged or (groups if len(groups) == len(types) else [])


def _types(annotation: Any) -> Iterator[type]:
    """The classes that an annotation is made of."""
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from _types(inner[0])
    elif inner:
        for part in inner:
            yield from _types(part)
    elif isinstance(annotation, type):
        yield annotation


def _has_tag(group: type[BaseModel], part: int | str) -> bool:
    """Whether this part of a location says that the value is of this group."""
    named = "name" in group.model_fields and group.model_fields["name"].default == part
    return named or group.__name__ == part
