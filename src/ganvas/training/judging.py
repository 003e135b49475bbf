"""Scores while training: how good the averaged weights are, and which were the best so far."""

import math
import time
from pathlib import Path
from typing import Protocol

import torch

from ganvas.errors import GanvasError
from ganvas.models.base import Model
from ganvas.training.checkpoint import KeptScore, TrainingState, read_best, save_best
from ganvas.training.run_log import RunLog


class Judge(Protocol):
    """Says how good a model is in one number: the lower, the better.

    The number must depend on the weights alone, so that a run which is killed and resumed comes to
    the same ones. A judge may use torch's global random numbers: each step of training seeds them
    anew.
    """

    name: str
    """What is measured, with all that a number depends on: only numbers of one name compare."""

    def __call__(self, model: Model) -> float:
        """Judge a model in evaluation mode; may raise GanvasError where it cannot."""
        ...


def score(state: TrainingState, judge: Judge, checkpoints: Path, log: RunLog) -> float:
    """Judge the averaged weights, note the score, and keep them as the best if they are.

    That is, if no score was as low at fewer images. What lies in `checkpoints/best` from here or
    from beyond was kept by a run that was killed and went on from before it: it is replaced, and
    comes back when the run gets there again.

    Returns:
        The seconds that judging took; saving is not among them.

    Raises:
        RunError: A file cannot be written. A judge that fails stops no training: its record has
            no value but says why.
    """
    begun = time.perf_counter()
    value, note = _judged(state, judge)
    seconds = time.perf_counter() - begun
    log.write(
        "score",
        images=state.images,
        name=judge.name,
        value=value,
        seconds=round(seconds, 3),
        note=note,
    )
    if value is not None and not _is_beaten(value, state, judge, checkpoints):
        kept = KeptScore(name=judge.name, value=value, images=state.images)
        save_best(state, checkpoints, kept)
    return seconds


def _judged(state: TrainingState, judge: Judge) -> tuple[float | None, str | None]:
    """The score; or None and the reason."""
    try:
        with torch.no_grad(), state.ema.applied(state.model) as model:
            value = float(judge(model))
    except GanvasError as error:
        return None, str(error)
    return (value, None) if math.isfinite(value) else (None, "It was not a finite number.")


def _is_beaten(value: float, state: TrainingState, judge: Judge, checkpoints: Path) -> bool:
    """Whether an earlier score of this run was as good."""
    best = read_best(checkpoints)
    if best is None or best.name != judge.name or best.images >= state.images:
        return False
    return best.value <= value
