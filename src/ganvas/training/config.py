"""The complete configuration of a run: what `config.yaml` holds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from ganvas.data.config import DataConfig
from ganvas.errors import ConfigError
from ganvas.files import write_text
from ganvas.models import ModelConfig
from ganvas.settings import Settings


class StartFrom(Settings):
    """The run whose weights a training begins with; RUN or RUN:CHECKPOINT for short."""

    run: str
    """Its folder."""
    checkpoint: str = "last"
    """last, best, or the number of one; last becomes its number when the training begins."""
    sha256: str | None = None
    """Of the checkpoint's weights.safetensors, noted when the training begins: begun again, it
    refuses other weights."""

    @staticmethod
    def read(value: Any) -> Any:
        """The fields from the short form; other values stay as they are."""
        if not isinstance(value, str):
            return value
        run, colon, checkpoint = value.rpartition(":")
        if colon and run and (checkpoint in ("last", "best") or checkpoint.isdecimal()):
            return {"run": run, "checkpoint": checkpoint}
        return {"run": value}


class TrainingConfig(Settings):
    """How long, how fast and on what a model is trained. Intervals count images shown."""

    images: PositiveInt = 200_000
    """Length of the training, in images shown to the model."""
    batch: Annotated[int, Field(ge=1, le=65_536)] = 64
    """Images in one update, over all processes."""
    accumulate: PositiveInt = 1
    """Split every batch into so many parts to save memory; the gradient is the whole batch's, but
    for what looks across a batch or counts its passes, which then sees parts: batch norm, minibatch
    layers, unrolling, spectral norm."""
    seed: NonNegativeInt = 0
    """Fixes the initial weights, the order of the data and every random number."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the networks' arithmetic; weights, losses and optimisers are float32 always."""
    compile: Literal["auto"] | bool = "auto"
    """Use torch.compile: minutes of start-up that pay on a GPU over a long run."""
    ema_half_life: PositiveInt = 10_000
    """Half-life of the moving average of the weights, in images."""
    ema_ramp_up: NonNegativeFloat = 0.05
    """Until it reaches that, the half-life is this share of the images shown so far (not with
    start_from, whose averages are worth keeping)."""
    start_from: (
        Annotated[
            StartFrom, BeforeValidator(StartFrom.read, json_schema_input_type=StartFrom | str)
        ]
        | None
    ) = None
    """Begin with the weights of another run, whose resolution, channels, widths or classes may
    differ, instead of random ones: --from RUN, RUN:best or RUN:000050000."""
    log_every: PositiveInt | None = None
    """Images between lines of log.jsonl (default: 200 lines a run, at least one every 5,000)."""
    sample_every: PositiveInt | None = None
    """Images between two sample sheets (default: 20 a run)."""
    checkpoint_every: PositiveInt | None = None
    """Images between two checkpoints (default: 10 a run, at least one every 50,000)."""
    keep_checkpoints: PositiveInt = 2
    """How many of the newest checkpoints stay on the disk."""
    score_every: NonNegativeInt | None = None
    """Images between two scores, by which the best weights are kept beside the newest (default: 10
    a run; 0: none)."""


class RunConfig(Settings):
    """A run: its data, its model and its training."""

    name: str = "custom"
    """The recipe that it is, or began as."""
    data: DataConfig = DataConfig()
    model: ModelConfig
    training: TrainingConfig = TrainingConfig()
    choose: tuple[str, ...] = ()
    """Fields to be chosen when a new training has seen its data, such as training.batch (`--auto`:
    all that can be). Empty in the config.yaml of a run, which holds what was chosen."""
    chosen: dict[str, str] = Field(default_factory=dict)
    """How each of them came to its value: the formula, the numbers put into it and its source."""


_DOMAINS = {
    True: (
        "--pair AB where every picture holds both side by side, --target FOLDER with pictures of "
        "the same names, or --domains with two image columns of a Parquet file or two views of "
        "avatars (segmentation,image)"
    ),
    False: (
        "--target FOLDER, --domains with two classes of the data (of avatars:glasses none,round), "
        "or --pair AB where every picture holds both side by side"
    ),
}
"""What to write for a model that needs pairs, and for one that does not."""


def check_domains(config: RunConfig) -> None:
    """Raise ConfigError if a model that translates has one domain only, or another model two."""
    data, model = config.data, config.model
    if model.needs_pairs is None and (data.has_target or data.jitter):
        named = ("target", "pair", "domains", "jitter")
        given = [f"data.{name}" for name in named if getattr(data, name)]
        raise ConfigError(
            f"{model.name} makes pictures of its own; only models that translate pictures into "
            f"others take {' and '.join(given)}. Leave that out, or train pix2pix (from pairs) or "
            "cyclegan (without pairs)."
        )
    if model.needs_pairs is not None and not data.has_target:
        raise ConfigError(
            f"{model.name} translates pictures of one domain into another, and of {data.source} "
            f"only one is known. Say where the other is: {_DOMAINS[model.needs_pairs]}."
        )


def read_config(path: Path) -> RunConfig:
    """Read a YAML configuration; ConfigError names every mistake in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot read the configuration {path}: {error.strerror or error}. Give a YAML file "
            "such as the config.yaml of a run."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a text file, so it is no configuration.") from error
    values = _read_yaml(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path} is not a configuration: it needs data, model and training.")
    return RunConfig.parse(values)


def write_config(config: RunConfig, path: Path) -> None:
    """Write a configuration as YAML, atomically."""
    write_text(path, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


def override(values: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """`values` with settings like "model.width=32" laid over it.

    The right side is read as YAML, so that numbers, lists, true and null mean what they look like.
    """
    result = {**values}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set {setting!r} is not of the form section.field=value.")
        target = result
        *sections, field = name.strip().split(".")
        for section in sections:
            inner = target.get(section)
            target[section] = {**inner} if isinstance(inner, dict) else {}
            target = target[section]
        target[field] = _read_yaml(text, f"--set {name}")
    return result


def _read_yaml(text: str, name: str) -> Any:
    """The values in a text; ConfigError where it is not YAML, saying where `name` goes wrong."""
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{name} is not valid YAML{where}: {error.problem}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2001-13-99
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{name} is not valid YAML: {reason}.") from error
