"""`ganvas failures` as a function: plan, run, summarise, write."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from ganvas._version import __version__
from ganvas.data.config import DataConfig
from ganvas.data.pack import open_pack
from ganvas.data.progress import progress_bar
from ganvas.data.sources import absolute
from ganvas.data.stacked import PREFIX, SIDE
from ganvas.errors import ConfigError, RunError
from ganvas.failures.cases import CASES, STACKED, Case
from ganvas.failures.counting import digit_reader
from ganvas.failures.page import write_page
from ganvas.failures.results import Result
from ganvas.failures.running import Run, run_all
from ganvas.failures.summary import Told, findings, table, tell
from ganvas.files import write_text
from ganvas.settings import nearest
from ganvas.training.announce import Say
from ganvas.training.precision import resolve_device

PAGE, NUMBERS, RUNS = "failures.html", "failures.json", "runs"
"""What lies in the folder."""


def failures(
    out: str | Path = "failures",
    *,
    seeds: int = 5,
    only: Sequence[str] = (),
    mnist: str | None = None,
    images: int | None = None,
    cases: Sequence[Case] = CASES,
    say: Say = print,
) -> Path:
    """Train failing recipes and their fixes, count what they draw, and write the page.

    Args:
        out: A folder for the runs, the page and the numbers. What is finished in it is kept.
        seeds: Trainings of every recipe, with seeds 0, 1, ...
        only: Names of cases; all by default.
        mnist: A source of grey digits in ten classes, for stacked digits; without it these are
            left out.
        images: Length of every training in images shown, in place of the cases' own.
        cases: What there is to choose from; stacked digits come on top.
        say: Gets what a user should know, one line at a time.

    Returns:
        The page.

    Raises:
        GanvasError: There is no such case, the digits cannot be used, or the folder holds other
            things.
    """
    folder = Path(out)
    chosen = _choose(cases, only, mnist)
    digits = None if mnist is None else _single_digits(mnist)
    _check_folder(folder)
    if STACKED.name in {case.name for case in chosen} and digits is not None:
        _prepare_digits(digits, say)
    results: list[Result] = []
    for case in chosen:
        results += _run(case, folder / RUNS, seeds, images, digits, say)
    told = [tell(case, results) for case in chosen]
    write_text(folder / NUMBERS, findings(told, __version__).model_dump_json(indent=1))
    say(table(told))
    return _write(told, folder)


def _choose(cases: Sequence[Case], only: Sequence[str], mnist: str | None) -> list[Case]:
    """The cases asked for, with the source of the stacked digits filled in."""
    known = [*(case.name for case in cases), STACKED.name]
    for name in only:
        if name not in known:
            raise ConfigError(f"There is no failure {name!r}.{nearest(name, known)}")
    if STACKED.name in only and mnist is None:
        raise ConfigError(
            f"{STACKED.name!r} needs digits to stack: give --mnist with MNIST (a Parquet file, or "
            "the name mnist, which is then fetched) or with other grey digits in ten classes."
        )
    offered = list(cases)
    if mnist is not None:
        source = f"{PREFIX}:{absolute(mnist)}"
        offered.append(dataclasses.replace(STACKED, source=source))
    return [case for case in offered if not only or case.name in only]


def _check_folder(folder: Path) -> None:
    """Raise RunError where other things lie in the folder, which is no place for these then."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file, and a folder is needed: choose another with --out.")
    names = [path.name for path in folder.glob("*")]
    strange = [n for n in names if n not in (PAGE, NUMBERS, RUNS) and not n.startswith(".")]
    if strange:
        raise RunError(
            f"{folder} holds other things ({', '.join(sorted(strange)[:3])}), so nothing is "
            "written there. Choose a new folder with --out, or one of an earlier `ganvas failures`."
        )


def _single_digits(mnist: str) -> DataConfig:
    """The digits as they are stacked, for the classifier that tells them apart."""
    return DataConfig(source=absolute(mnist), channels=1, resolution=(SIDE, SIDE))


def _prepare_digits(digits: DataConfig, say: Say) -> None:
    """Pack the digits and train their classifier once, before the workers need them."""
    open_pack(DataConfig(source=f"{PREFIX}:{digits.source}", images=2))  # refuses what cannot be
    reader = digit_reader(digits, resolve_device("auto"))
    for name, share in reader.accuracy.items():
        say(f"Digits are read by a classifier, right in {share:.2%} of those held out ({name}).")


def _run(
    case: Case, runs: Path, seeds: int, images: int | None, digits: DataConfig | None, say: Say
) -> list[Result]:
    """The runs of a case, seed by seed, so that the first ones tell how long all will take."""
    planned = []
    for seed in range(seeds):
        for recipe in case.recipes:
            config = case.config(recipe, seed, images)
            path = runs / case.name / recipe.name / str(seed)
            planned.append(Run(case.name, recipe.name, seed, config, path, digits))
    is_small = case.name != STACKED.name
    workers = max(1, os.cpu_count() or 1) if is_small else 1
    with progress_bar(case.title, len(planned)) as advance:

        def note(run: Run, result: Result) -> None:
            advance(1)
            say(f"  {run.label}: {result.in_words}")

        say(f"{case.title}: {len(planned)} trainings")
        return run_all(planned, workers, note)


def _write(told: Sequence[Told], folder: Path) -> Path:
    return write_page(told, folder / RUNS, folder / PAGE)
