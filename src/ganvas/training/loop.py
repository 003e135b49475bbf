"""The training loop, one for all models: steps, and what happens between them."""

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack
from ganvas.pictures import grid, save_png, scatter, to_uint8
from ganvas.training.checkpoint import TrainingState, checkpoint_name, save_checkpoint
from ganvas.training.config import TrainingConfig
from ganvas.training.distributed import any_process
from ganvas.training.judging import Judge, score
from ganvas.training.run_folder import RunFolder
from ganvas.training.run_log import RunLog
from ganvas.training.step import Plan, Update, check_finite, train_step

Reason = Literal["finished", "interrupted"]
Watcher = Callable[[int, dict[str, float], float], None]
"""Called after each log line with images shown, losses and images per second."""

_PREVIEW_IMAGES = 64
_PREVIEW_TRANSLATED = 12  # each takes passes of its own, and several places on the sheet
_PREVIEW_POINTS = 2000


def train(
    state: TrainingState,
    plan: Plan,
    pack: Pack,
    folder: RunFolder,
    watch: Watcher,
    stop: Callable[[], bool],
    judge: Judge | None = None,
) -> Reason:
    """Run steps until the configured number of images is shown or `stop()` says so.

    Between steps it logs, draws sample sheets, asks the judge (if there is one) for a score and
    writes checkpoints, when due; the last checkpoint, sheet and score are made whatever the
    intervals. Raises RunError where a loss or gradient is not finite (the checkpoints written
    before are good) or a file cannot be written.
    """
    log = RunLog(folder.log)
    meter = _Meter(state)
    reason: Reason = "finished"
    if state.images == 0 and plan.processes.is_main:
        _draw_samples(state, pack, folder, log)
    while state.images < plan.config.images:
        before = state.images
        meter.add(train_step(state, plan))
        last = state.images >= plan.config.images
        if any_process(stop(), plan.processes, plan.device):
            reason, last = "interrupted", True
        saving = last or _due(before, state.images, plan.config.checkpoint_every)
        scoring = _is_scored(before, state.images, plan.config)
        if saving or scoring or _due(before, state.images, plan.config.log_every):
            meter.flush(state, plan, log, watch)  # before saving: no checkpoint holds a NaN
        if plan.processes.is_main:
            if reason == "finished" and (
                last or _due(before, state.images, plan.config.sample_every)
            ):
                _draw_samples(state, pack, folder, log)
            if scoring and judge is not None:  # before saving: what is resumed has its best
                meter.leave_out(score(state, judge, folder.checkpoints, log))
            if saving:
                _checkpoint(state, plan, folder.checkpoints, log)
        if reason == "interrupted":
            break
    if plan.processes.is_main:
        log.write("end", images=state.images, seconds=state.seconds, reason=reason)
    return reason


class _Meter:
    """Losses since the last log line, left on the device until they are asked for."""

    def __init__(self, state: TrainingState) -> None:
        self._updates: dict[str, list[Update]] = defaultdict(list)
        self._images = state.images
        self._mark = time.perf_counter()

    def add(self, updates: dict[str, list[Update]]) -> None:
        for phase, list_ in updates.items():
            self._updates[phase] += list_

    def leave_out(self, seconds: float) -> None:
        """Count so much of the time since the last log line as no training."""
        self._mark += seconds

    def flush(self, state: TrainingState, plan: Plan, log: RunLog, watch: Watcher) -> None:
        """Check that all is finite, average over the interval, write a line of the log."""
        losses, norms = self._averages(state, plan)
        now = time.perf_counter()
        seconds, self._mark = now - self._mark, now
        shown, self._images = state.images - self._images, state.images
        state.seconds += seconds
        if not plan.processes.is_main:
            return
        speed = shown / max(seconds, 1e-9)
        log.write(
            "progress",
            images=state.images,
            step=state.step,
            seconds=round(state.seconds, 3),
            images_per_second=round(speed, 2),
            losses=losses,
            gradient_norms=norms,
        )
        watch(state.images, losses, speed)

    def _averages(
        self, state: TrainingState, plan: Plan
    ) -> tuple[dict[str, float], dict[str, float]]:
        losses: dict[str, float] = {}
        norms: dict[str, float] = {}
        for phase in plan.phases:
            updates = self._updates.pop(phase.name, [])
            if not updates:
                continue
            for update in updates:
                check_finite(update, phase, state)
            norms[phase.name] = float(torch.stack([u.gradient_norm for u in updates]).mean())
            for name in updates[0].losses:
                losses[name] = float(torch.stack([u.losses[name] for u in updates]).mean())
        return losses, norms


def _due(before: int, now: int, every: int | None) -> bool:
    """Whether a multiple of `every` lies in (before, now]."""
    return every is not None and before // every < now // every


def _is_scored(before: int, now: int, config: TrainingConfig) -> bool:
    """Whether a score is due at an interval or the end.

    Also where the run is interrupted right there: when it is resumed it does not come there again.
    """
    if config.score_every == 0:
        return False
    return now >= config.images or _due(before, now, config.score_every)


def _checkpoint(state: TrainingState, plan: Plan, folder: Path, log: RunLog) -> None:
    # Noted first: a run killed while saving resumes from before it and drops the note, while one
    # killed right after saving would never write it.
    name = checkpoint_name(state.images)
    log.write("checkpoint", images=state.images, path=f"{folder.name}/{name}")
    save_checkpoint(state, folder, plan.config.keep_checkpoints)


@torch.no_grad()
def _draw_samples(state: TrainingState, pack: Pack, folder: RunFolder, log: RunLog) -> None:
    """A sheet from the averaged weights, for the same images and latents every time."""
    is_images = len(pack.shape) == 3
    count = _preview_count(pack)
    images = _first(pack, count)
    targets = None if pack.target is None else _first(pack.target, count)
    labels = None if pack.labels is None else torch.from_numpy(np.array(pack.labels[:count]))
    with state.ema.applied(state.model) as model:
        inputs = to_model_range(images.to(model.device))
        if labels is not None:
            labels = labels.to(model.device)
        if targets is not None:
            targets = to_model_range(targets.to(model.device))
        output = model.preview(inputs, labels, seed=0, targets=targets)
    path = folder.samples / f"{state.images:09d}.png"
    together = len(output) // count  # an autoencoder shows pairs, a model that translates more
    sheet = grid(to_uint8(output), together=together) if is_images else scatter(output, images)
    save_png(sheet, path, {"images": str(state.images)})
    log.write("samples", images=state.images, path=f"{folder.samples.name}/{path.name}")


def _preview_count(pack: Pack) -> int:
    """How many pictures, or points, a sheet begins with."""
    if pack.target is not None:
        return min(_PREVIEW_TRANSLATED, len(pack.images), len(pack.target.images))
    return min(_PREVIEW_IMAGES if len(pack.shape) == 3 else _PREVIEW_POINTS, len(pack.images))


def _first(pack: Pack, count: int) -> torch.Tensor:
    """The first pictures of a pack, (N, C, H, W) as they are stored, or points (N, 2)."""
    images = torch.from_numpy(np.array(pack.images[:count]))
    return images.permute(0, 3, 1, 2) if images.ndim == 4 else images
