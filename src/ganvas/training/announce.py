"""What a training says at its start and at its end."""

import shlex
from collections.abc import Callable

from ganvas.data.config import DataConfig
from ganvas.data.pack import Pack
from ganvas.models.base import Samples
from ganvas.models.reading import Captions
from ganvas.models.translation import TranslationModel
from ganvas.training.checkpoint import BEST, TrainingState, list_checkpoints, read_best
from ganvas.training.config import RunConfig
from ganvas.training.loop import Reason
from ganvas.training.prepare import parameter_counts
from ganvas.training.run_folder import RunFolder
from ganvas.training.run_log import History
from ganvas.training.step import Plan

Say = Callable[[str], None]
"""Gets what a user should know, one line at a time."""

_SKIPPED_NAMED = 10


def headline(config: RunConfig, state: TrainingState, plan: Plan, pack: Pack) -> str:
    """What is trained on what, in one sentence."""
    counts = ", ".join(
        f"{name} {n:,}" for name, n in parameter_counts(state.model).items() if n > 1
    )
    skipped = f" ({len(pack.skipped):,} left out)" if pack.skipped else ""
    return (
        f"{'Going on with' if state.images else 'Training'} {config.name} on "
        f"{_extent(pack)} from {config.data.source}{skipped}: {counts} parameters; "
        f"{plan.device.type}, {plan.precision}, {config.training.images:,} images to show."
    )


def _extent(pack: Pack) -> str:
    """How many pictures of which shape there are, in one domain or in two."""
    text = f"{len(pack.images):,} x {'x'.join(map(str, pack.shape))}"
    if pack.target is None:
        return text
    return f"{text} {'paired with' if pack.paired else 'and'} {_extent(pack.target)}"


def say_skipped(config: RunConfig, pack: Pack, say: Say) -> None:
    """Name the files that were left out, or the first of them."""
    for problem in pack.skipped[:_SKIPPED_NAMED]:
        say(f"  left out {problem.name}: {problem.reason}")
    if len(pack.skipped) > _SKIPPED_NAMED:
        more = len(pack.skipped) - _SKIPPED_NAMED
        say(f"  and {more:,} more: {_inspect(config.data)}")


def _inspect(data: DataConfig) -> str:
    """The command that names everything that is wrong with the data."""
    domains = None if data.domains is None else ",".join(data.domains)
    options = {"--target": data.target, "--pair": data.pair, "--domains": domains}
    given = [part for name, value in options.items() if value is not None for part in (name, value)]
    return shlex.join(["ganvas", "data", "inspect", data.source, *given])


def say_captions(captions: Captions | None, say: Say) -> None:
    """What there is to read, for a model that learns from captions."""
    if captions is not None:
        say(
            f"  captions: {len(captions.vocabulary):,} words, at most {captions.longest} in one, "
            f'such as "{captions.examples[0]}"'
        )


def say_pairs(config: RunConfig, pack: Pack, say: Say) -> None:
    """Where pictures are taken for pairs by their names alone, and need not be any, say so."""
    if pack.paired and config.data.target is not None and not config.model.needs_pairs:
        say(
            "  taken for pairs by their names: scores compare each output with the picture of the "
            "same name (training does not). If they are no pairs, rename those of one domain."
        )


def result(folder: RunFolder, state: TrainingState, reason: Reason) -> str:
    """How it ended, where everything lies, and what to do next."""
    sheets = sorted(folder.samples.glob("*.png"))
    speed = state.images / max(state.seconds, 1e-9)
    lines = [
        f"{reason.capitalize()} at {state.images:,} images after "
        f"{state.seconds / 60:.1f} minutes ({speed:,.0f} images/s).",
        *_best(folder),
        f"  samples     {sheets[-1] if sheets else folder.samples}",
        f"  report      {folder.report}",
        f"  checkpoint  {list_checkpoints(folder.checkpoints)[0]}",
        _next(folder, state) if reason == "finished" else f"Go on: ganvas resume {folder.path}",
    ]
    return "\n".join(lines)


def _next(folder: RunFolder, state: TrainingState) -> str:
    """What to do with a finished model."""
    if isinstance(state.model, TranslationModel):
        return f"Translate pictures: ganvas translate {folder.path} PICTURES --out FOLDER"
    if not isinstance(state.model, Samples):
        return f"See what comes back of pictures: ganvas reconstruct {folder.path}"
    captions = folder.read_captions()
    if captions is not None:
        return f"Draw more: ganvas sample {folder.path} --text {shlex.quote(captions.examples[0])}"
    return f"Draw more: ganvas sample {folder.path} -n 64 --seed 1"


def _best(folder: RunFolder) -> list[str]:
    """The best score while training, if there were scores."""
    best, spent = read_best(folder.checkpoints), History.read(folder.log).scoring_seconds
    if best is None:
        return []
    return [
        f"  best        {best.value:.4g} at {best.images:,} images ({best.name}; "
        f"scores took {spent:.0f} s): {folder.checkpoints / BEST}"
    ]
