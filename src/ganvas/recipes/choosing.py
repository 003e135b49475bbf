"""Choose for me: fields of a configuration that are chosen once the pictures are known.

`RunConfig.choose` names them until then; afterwards `RunConfig.chosen` says of each how it came to
its value (see `ganvas.recipes.rules`). What the user sets is never chosen, and neither is
`data.flip`: it would mirror text.
"""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, TypeVar

from ganvas.errors import ConfigError
from ganvas.recipes.rules import RULES, Facts
from ganvas.settings import Settings, nearest
from ganvas.training.config import RunConfig

FLIP_HINT = (
    "Left to you: data.flip=true doubles pictures that may be mirrored (no text, no fixed sides)."
)

_Group = TypeVar("_Group", bound=Settings)


def choosable(config: RunConfig) -> tuple[str, ...]:
    """The fields of a configuration that there are rules for, such as "training.batch"."""
    return tuple(name for name, rule in RULES.items() if rule.applies(config))


def leave_open(config: RunConfig, given: Mapping[str, Any]) -> RunConfig:
    """The configuration with every choosable field to be chosen but those in `given`.

    Args:
        config: The configuration.
        given: What the user set, as nested values: {"training": {"batch": 16}}.

    Raises:
        ConfigError: All of them are given.
    """
    names = choosable(config)
    left = tuple(name for name in names if not _has(given, name))
    if not left:
        raise ConfigError(
            f"--auto has nothing to choose: {', '.join(names)} are all set, by --set or in the "
            "file given with --config (the config.yaml of a run is complete). Leave out --auto, "
            "or those that should be chosen."
        )
    return config.model_copy(update={"choose": left})


def check_choices(config: RunConfig) -> None:
    """Raise ConfigError if `choose` names what cannot be chosen for this configuration."""
    for name in config.choose:
        if name not in (known := choosable(config)):
            raise ConfigError(
                f"choose names {name!r}, for which there is no rule in this configuration."
                f"{nearest(name, list(known))}"
            )


def choose(config: RunConfig, facts: Facts) -> RunConfig:
    """The configuration with the fields in `choose` set, and the sentences on them in `chosen`.

    Raises:
        ConfigError: `choose` names what cannot be chosen.
    """
    check_choices(config)
    result = config
    sentences = dict(config.chosen)
    for name, rule in RULES.items():  # in this order: the batch comes first, others build on it
        if name in config.choose:
            choice = rule.choose(result, facts)
            result = _replaced(result, name.split("."), choice.value)
            sentences[name] = choice.sentence
    done = result.model_copy(update={"choose": (), "chosen": sentences})
    return RunConfig.parse(done.model_dump(mode="json"))


def still_true(config: RunConfig, before: RunConfig) -> RunConfig:
    """The configuration without the sentences on fields that differ from what they were."""
    sentences = {
        name: sentence
        for name, sentence in config.chosen.items()
        if _value(config, name) == _value(before, name)
    }
    return config.model_copy(update={"chosen": sentences})


def _has(values: Any, name: str) -> bool:
    """Whether nested values say anything about a dotted name."""
    for part in name.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


def _value(config: RunConfig, name: str) -> Any:
    """The value of a dotted name, or None where the configuration has no such field."""
    try:
        return attrgetter(name)(config)
    except AttributeError:
        return None


def _replaced(settings: _Group, path: list[str], value: Any) -> _Group:
    """The settings with another value at the end of a path of field names."""
    field, *rest = path
    new = _replaced(getattr(settings, field), rest, value) if rest else value
    return settings.model_copy(update={field: new})
