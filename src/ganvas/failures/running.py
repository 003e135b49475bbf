"""Training and measuring the runs of cases: several at once, each once.

DIR/runs/CASE/RECIPE/SEED is a run folder as any other, made by the ordinary training, with two
files more: `asked.json`, the configuration as it was asked for, and `result.json`, its numbers.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ganvas.api import load, resume, train
from ganvas.data.config import DataConfig
from ganvas.errors import RunError
from ganvas.failures.results import Result
from ganvas.files import write_text
from ganvas.models.base import LatentModel
from ganvas.training.config import RunConfig
from ganvas.training.run_folder import RunFolder
from ganvas.training.run_log import History


@dataclass(frozen=True)
class Run:
    """One training of a case."""

    case: str
    recipe: str
    seed: int
    config: RunConfig
    folder: Path
    digits: DataConfig | None = None
    """Of stacked digits, the single ones."""

    @property
    def label(self) -> str:
        """For a line of progress."""
        return f"{self.case}, {self.recipe}, seed {self.seed}"

    def finished(self) -> Result | None:
        """Its numbers, if it was trained and measured before.

        Raises:
            RunError: The folder holds a run of other settings.
        """
        if not self._is_asked_for():
            raise RunError(
                f"{self.folder} holds a run with other settings than {self.label} has. Choose "
                "another folder with --out, or remove that one."
            )
        try:
            return Result.model_validate_json((self.folder / "result.json").read_bytes())
        except (FileNotFoundError, ValidationError):  # damaged: the run is there and measured anew
            return None

    def _is_asked_for(self) -> bool:
        """Whether what is in the folder, if anything, is of this configuration.

        Settings that have come since a run was begun had their defaults then.
        """
        try:
            asked = (self.folder / "asked.json").read_bytes()
            return RunConfig.model_validate_json(asked) == self.config
        except FileNotFoundError:
            return True
        except ValidationError:
            return False


def run_all(
    runs: Sequence[Run], workers: int, advance: Callable[[Run, Result], None]
) -> list[Result]:
    """Train and measure what is not finished, several runs at a time in processes of their own.

    Args:
        runs: In the order in which to begin them.
        workers: Processes. Several have one thread each; one has all.
        advance: Called with every run and its result, when it is there.

    Returns:
        The results in the order of the runs.

    Raises:
        GanvasError: Data cannot be had, or a folder not be used. Other runs begun are kept.
    """
    results: dict[int, Result] = {}
    waiting: list[int] = []
    for index, run in enumerate(runs):
        found = run.finished()
        if found is None:
            waiting.append(index)
        else:
            results[index] = found
            advance(run, found)
    for index, result in _in_processes(runs, waiting, workers):
        results[index] = result
        advance(runs[index], result)
    return [results[index] for index in range(len(runs))]


def _in_processes(
    runs: Sequence[Run], waiting: Sequence[int], workers: int
) -> Iterator[tuple[int, Result]]:
    """The results as they come; what has not begun when one fails, or on Ctrl-C, never begins."""
    if not waiting:
        return
    count = min(workers, len(waiting))
    context = multiprocessing.get_context("spawn")  # a fork would share torch's threads
    with ProcessPoolExecutor(count, context, _prepare_worker, (workers > 1,)) as pool:
        try:
            futures = {pool.submit(train_and_measure, runs[index]): index for index in waiting}
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _prepare_worker(alone_on_its_core: bool) -> None:
    """Be silent, for the parent shows the progress; and stay out of the other workers' way."""
    import torch

    threading.Thread(target=_end_with_parent, daemon=True).start()

    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for as long as the process lives
    if alone_on_its_core:
        torch.set_num_threads(1)


def _end_with_parent() -> None:
    """Where the parent is killed, train no further: its runs are resumed as after any kill."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def train_and_measure(run: Run) -> Result:
    """Train a run, or go on with it, measure it and keep the numbers in its folder."""
    write_text(run.folder / "asked.json", run.config.model_dump_json())
    stopped = ""
    try:
        if RunFolder(run.folder).config.is_file():
            resume(run.folder, say=_silent)
        else:
            train(run.config, out=run.folder, say=_silent)
    except RunError as error:  # such as a loss that is no longer finite: that, too, is a result
        if not _was_stopped(run.folder):
            raise
        stopped = str(error)
    result = _measure(run, stopped)
    write_text(run.folder / "result.json", result.model_dump_json(indent=1))
    return result


def _measure(run: Run, stopped: str) -> Result:
    from ganvas.failures.counting import count_modes

    history = History.read(RunFolder(run.folder).log)
    if history.end is None or history.end.reason == "interrupted":
        raise RunError(f"{run.label} was stopped. The same command goes on with it.")
    counts = None
    if not stopped:
        model = load(run.folder, device=run.config.training.device, say=_silent)
        assert isinstance(model, LatentModel)
        counts = count_modes(model, run.config.data.source, run.digits)
    last = history.progress[-1] if history.progress else None
    return Result(
        case=run.case,
        recipe=run.recipe,
        seed=run.seed,
        modes=counts.modes if counts else None,
        total=counts.total if counts else 0,
        samples=counts.samples if counts else 0,
        good=counts.good if counts else None,
        divergence=counts.divergence if counts else None,
        images=history.images,
        updates=last.step if last else 0,
        seconds=(last.seconds or 0.0) if last else 0.0,
        at=tuple(record.images for record in history.progress),
        gradients=tuple(r.gradient_norms.get("generator") for r in history.progress),
        stopped=stopped,
    )


def _was_stopped(folder: Path) -> bool:
    """Whether the training itself came to a stop, rather than never began or lost its disk."""
    log = RunFolder(folder).log
    end = History.read(log).end if log.is_file() else None
    return end is not None and end.reason == "stopped"


def _silent(line: str) -> None:
    """The parent says how it goes."""
