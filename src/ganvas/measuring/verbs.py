"""evaluate and compare."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ganvas.data.source_types import printable
from ganvas.data.sources import IMPORTED
from ganvas.errors import DataError
from ganvas.evaluation.compare import Entry, write_comparison
from ganvas.evaluation.protocol import Evaluation
from ganvas.files import write_text
from ganvas.measuring.bench import Bench
from ganvas.measuring.options import DEFAULTS, Options
from ganvas.pictures import save_png
from ganvas.training.announce import Say
from ganvas.training.run_folder import RunFolder


def evaluate_run(
    run: str | Path,
    options: Options = DEFAULTS,
    *,
    against: str | None = None,
    target: str | None = None,
    say: Say = print,
) -> Evaluation:
    """Measure a run; its scores and a page with them are written into its folder.

    Args:
        run: The run folder.
        options: What to measure with.
        against: A source of real pictures; by default what the run held out of its own data. Of a
            run that translates, pictures of both domains, or those to translate.
        target: The second domain, where the run was trained with a second source (`--target`).
        say: Gets what a user should know, one line at a time.

    Raises:
        GanvasError: The run, the pictures or the weights cannot be used; the message says what to
            do.
    """
    entry = Bench(options, say).run(Path(run), against, target)
    folder = Path(run)
    write_text(folder / "evaluation.json", entry.evaluation.model_dump_json(indent=1))
    write_comparison([entry], folder / "evaluation.html", title=f"{entry.name}, measured")
    if entry.pairs is not None:
        save_png(entry.pairs, folder / "closest-pairs.png")
    return entry.evaluation


def evaluate_pictures(
    source: str,
    against: str,
    options: Options = DEFAULTS,
    *,
    resolution: str | int | None = None,
    say: Say = print,
) -> Evaluation:
    """Measure pictures of any source against real ones, both brought to one size.

    Raises GanvasError as `evaluate_run`.
    """
    return Bench(options, say).pictures(source, against, resolution)


def compare(
    runs: Sequence[str | Path],
    options: Options = DEFAULTS,
    *,
    say: Say = print,
) -> list[Entry]:
    """Measure several runs alike; give what `write_comparison` makes a page of.

    Raises GanvasError as `evaluate_run`; so does an imported run, which has no pictures.
    """
    for run in runs:  # one that cannot be compared should say so before the others are measured
        if RunFolder(Path(run)).read().data.source == IMPORTED:
            raise DataError(
                f"{run} was imported without its pictures, and runs are compared by those that "
                f"each was trained on. Measure it by itself: ganvas evaluate {run} --against "
                "PICTURES."
            )
    bench = Bench(options, say)
    entries = [bench.run(Path(run), None) for run in runs]
    names = [entry.name for entry in entries]
    return [
        entry if names.count(entry.name) == 1 else replace(entry, name=printable(str(run)))
        for entry, run in zip(entries, runs, strict=True)
    ]
