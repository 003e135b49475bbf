"""A `Report` as text for a terminal."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .decoding import Problem
from .inspect import CaptionReport, Report, Spread, TwoReports

NAMES_SHOWN = 10
"""How many names are listed under one reason; `--json` has all."""

REASONS_SHOWN = 4
"""With more reasons of one kind than this, only the kind is shown; `--json` has the reasons."""

CLASSES_SHOWN = 20
"""How many classes are listed, the largest first."""


def as_text(report: Report) -> Group:
    """Lay the report out for `rich`: overview, classes, problems, changes, duplicates, verdict."""
    return Group(*_parts(report))


def two_as_text(reports: TwoReports) -> Group:
    """Lay the reports on two domains out for `rich`, and what makes pairs of them."""
    first = Text("Domain A, to translate", style="underline")
    second = Text("\nDomain B, what it becomes", style="underline")
    verdict: list[RenderableType] = []
    if reports.problems:
        verdict.append(Text(f"\nUnequal pairs: {len(reports.problems)}", style="bold red"))
        verdict.append(_names_by(_causes(reports.problems)))
    verdict.append(Text(f"\n{_verdict_on_pairs(reports)}", style="bold"))
    return Group(first, *_parts(reports.source), second, *_parts(reports.target), *verdict)


def _parts(report: Report) -> Iterator[RenderableType]:
    yield Text(report.source, style="bold")
    yield _overview(report)
    for note in report.notes:
        yield Text(note)
    if report.classes:
        yield Text(f"\nClasses: {len(report.classes)}", style="bold")
        yield _classes(report.classes)
    if report.captions:
        yield from _captions(report.captions, report.found)
    if report.problems:
        yield Text(f"\nCannot be used: {len(report.problems)}", style="bold red")
        yield _names_by(_causes(report.problems))
    if report.changes:
        count = len({change.name for change in report.changes})
        yield Text(f"\nUsed, but not as they are: {count}", style="bold yellow")
        yield _names_by([(change.name, change.action) for change in report.changes])
    if report.duplicates:
        extra = sum(len(group) - 1 for group in report.duplicates)
        yield Text(f"\nThe same file again, byte for byte: {extra}", style="bold yellow")
        yield _duplicates(report.duplicates)
    yield Text(_verdict(report), style="bold")


def _captions(captions: CaptionReport, pictures: int) -> Iterator[RenderableType]:
    if captions.problem is not None:
        yield Text("\nCaptions", style="bold red")
        yield Text(captions.problem)
        return
    yield Text(f"\nCaptions: {captions.count:,} of {pictures:,}", style="bold")
    yield Text(f"the longest of {captions.longest} words, {captions.words:,} different words")
    for example in captions.examples:
        yield Text(f"  {example}")
    if captions.without:
        yield Text(
            f"Without a caption: {_some(captions.without)}. A model that learns from captions "
            "needs one for every picture.",
            style="yellow",
        )


def _overview(report: Report) -> Table:
    table = Table(box=None, show_header=False)
    rows = {
        "found": f"{report.found:,} {report.kind}",
        "usable": f"{report.usable:,}",
        "other files": f"{report.ignored:,} ignored" if report.ignored else "",
        "formats": _counts(report.formats),
        "modes": _counts(report.modes),
        "width": _spread(report.width, "px"),
        "height": _spread(report.height, "px"),
        "width / height": _spread(report.aspect, ""),
    }
    for key, value in rows.items():
        if value:
            table.add_row(key, escape(value))
    return table


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _spread(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return ""
    if spread.smallest == spread.largest:
        return f"{spread.median:.4g} {unit}".strip()
    low, mid, high = (f"{v:.4g}" for v in (spread.smallest, spread.median, spread.largest))
    return f"{low} to {high} {unit}".strip() + f", median {mid}"


def _classes(classes: dict[str, int]) -> Table:
    counts = sorted(classes.items(), key=lambda item: -item[1])
    total = max(1, sum(classes.values()))
    table = Table(box=box.SIMPLE)
    table.add_column("class")
    table.add_column("pictures", justify="right")
    table.add_column("share", justify="right")
    for name, count in counts[:CLASSES_SHOWN]:
        table.add_row(escape(name), f"{count:,}", f"{count / total:.1%}")
    if len(counts) > CLASSES_SHOWN:
        table.add_row(f"and {len(counts) - CLASSES_SHOWN} more", "", "")
    return table


def _causes(problems: Sequence[Problem]) -> list[tuple[str, str]]:
    """Name and reason of each; the kind alone where there are too many different reasons."""
    reasons: defaultdict[str, set[str]] = defaultdict(set)
    for problem in problems:
        reasons[problem.kind].add(problem.reason)
    return [
        (p.name, p.reason if len(reasons[p.kind]) <= REASONS_SHOWN else p.kind) for p in problems
    ]


def _names_by(reasons: Iterable[tuple[str, str]]) -> Table:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name, reason in reasons:
        groups[reason].append(name)
    table = Table("why or how", box=box.SIMPLE)
    table.add_column("files", justify="right")
    table.add_column("which", overflow="fold")
    for reason, names in sorted(groups.items(), key=lambda item: -len(item[1])):
        table.add_row(escape(reason), str(len(names)), escape(_some(names)))
    return table


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    hidden = len(names) - NAMES_SHOWN
    return f"{shown} and {hidden} more (--json names all)" if hidden > 0 else shown


def _duplicates(groups: tuple[tuple[str, ...], ...]) -> Table:
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column("which", overflow="fold")
    for group in groups[:NAMES_SHOWN]:
        table.add_row(escape(_some(group)))
    if len(groups) > NAMES_SHOWN:
        table.add_row(f"and {len(groups) - NAMES_SHOWN} more groups (--json names all)")
    return table


def _verdict_on_pairs(reports: TwoReports) -> str:
    if reports.pairs is None:
        return f"No pairs: {reports.unpaired}. A cyclegan needs none."
    if odd := _odd(reports.source):
        return (
            f"Pairs: {reports.pairs:,}, but training refuses the whole source for the {odd:,} of "
            "odd width: crop those to an even width, with the seam in the middle, or remove them."
        )
    if reports.problems:
        return (
            f"Pairs: {reports.pairs:,}, but a pix2pix refuses them all for those of unequal size: "
            "bring the two pictures of each pair to the same size, or remove both. A cyclegan "
            "takes the pictures as they are, without pairs."
        )
    if reports.pairs < 2:
        return f"Pairs: {reports.pairs}, and at least 2 are needed."
    return f"Pairs: {reports.pairs:,}. A pix2pix learns from them."


def _odd(report: Report) -> int:
    """How many pictures that should hold two cannot be halved, for which training stops."""
    return sum(problem.kind == "odd width" for problem in report.problems)


def _verdict(report: Report) -> str:
    if report.usable < 2:
        return "Too few usable pictures to train on: at least 2 are needed."
    if 2 * report.usable < report.found:
        return "More than half cannot be used: training would refuse this source."
    if _odd(report):
        return "Those of odd width have no halves: training would refuse this source."
    if report.resolution is None:
        return "Ready to train."
    height, width = report.resolution
    return (
        f"Ready to train, by default at {height}x{width} with {report.channels} "
        f"channel{'s' * (report.channels != 1)}."
    )
