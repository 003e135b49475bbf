"""`ganvas edit`."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ganvas.cli.lists import label_list, one_of, seed_list
from ganvas.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from ganvas.latent.directions import Direction
    from ganvas.latent.space import Space, SpaceName
    from ganvas.models.base import LatentModel


def edit(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    arithmetic: Annotated[
        str | None,
        typer.Option(
            help="A sum of words: 'glasses', 'glasses - none + beard', 'beard, glasses - beard'."
        ),
    ] = None,
    direction: Annotated[
        str | None,
        typer.Option(help="A direction that `ganvas directions` has found, or its file."),
    ] = None,
    strength: Annotated[
        str | None,
        typer.Option(
            help="Of a direction, in spreads of the latent space: -3:3, -3:3:0.5 or -2,0,2. Of a "
            "sum, what it is multiplied by (1)."
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Of the pictures to change.")] = "0,1,2,3,4,5",
    points: Annotated[
        Path | None, typer.Option(help="Change these instead: a file of `ganvas invert`.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Classes of the pictures, in turn: cat,dog.")
    ] = None,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain",
            help="Only add the sum, as Radford et al. did, without correcting each picture so "
            "that it keeps everything else.",
        ),
    ] = False,
    examples: Annotated[
        int, typer.Option(help="Pictures to average for each word of a sum.", min=3, max=4096)
    ] = 256,
    space: Annotated[
        str | None, typer.Option(help="z, or for a StyleGAN w (the default there).")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="last, best, or the number of one.")] = "last",
    out: Annotated[Path | None, typer.Option(help="A .png (default: RUN/edit-NAME.png).")] = None,
) -> None:
    """Change pictures in their latent space, by words or along a direction."""
    if (arithmetic is None) == (direction is None):
        raise ConfigError("give --arithmetic 'glasses - none' or --direction NAME, one of the two.")
    if direction is not None and plain:
        raise ConfigError("--plain is for sums of words: leave it out, or give --arithmetic.")
    asked: SpaceName | None = None if space is None else one_of(space, ("z", "w"), "--space")
    passed = seed_list(seeds, "--seeds")
    if out is not None and out.suffix.lower() != ".png":
        raise ConfigError(f"--out {out}: this is saved as one sheet, a .png.")
    place = out or run / f"edit-{slug(arithmetic or direction or '')}.png"
    factor = strength_factor(strength) if arithmetic is not None else 1.0
    steps = strength_list(strength) if direction is not None else []
    from ganvas import api
    from ganvas.latent.directions import find_direction

    model = api.load(run, checkpoint=checkpoint, say=typer.echo)
    classes = label_list(labels)
    if direction is not None:
        found = find_direction(run, direction, model)
        where = _where(model, passed, points, classes, asked or found.space)
        _along(where, found, steps, place)
    else:
        where = _where(model, passed, points, classes, asked)
        _add(run, where, arithmetic or "", factor, plain, examples, place)


def strength_list(text: str | None) -> list[float]:
    """The strengths in "-3:3", "-3:3:0.5" or "-2,0,2" (default: -3:3).

    Raises ConfigError where it is something else, or has more than 99.
    """
    asked = "-3:3" if text is None else text
    ends = [_number(part) for part in asked.split(":")]
    if len(ends) == 1:
        values = [_number(part) for part in asked.split(",")]
    else:
        start, end, step = (*ends, 1.0)[:3]
        if len(ends) > 3 or not all(map(math.isfinite, ends)) or step <= 0 or start > end:
            raise _no_strengths(asked)
        values = [start + i * step for i in range(min(int((end - start) / step + 1e-6), 99) + 1)]
    if not all(map(math.isfinite, values)) or len(values) > 99:
        raise _no_strengths(asked)
    return values


def strength_factor(text: str | None) -> float:
    """What a sum is multiplied by (default 1); raises ConfigError for what is no number."""
    value = 1.0 if text is None else _number(text)
    if not math.isfinite(value):
        raise ConfigError(f"--strength {text!r}: a sum is multiplied by one number, such as 1.5.")
    return value


def slug(text: str) -> str:
    """A name for a file of what was asked for."""
    words = text.replace("+", " plus ").replace(" -", " minus ")
    return re.sub(r"[^\w]+", "-", Path(words).stem.lower()).strip("-")[:80] or "words"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _no_strengths(text: str) -> ConfigError:
    return ConfigError(
        f"--strength {text!r}: give from and to (-3:3), with a step (-3:3:0.5), or a list of "
        "numbers (-2,0,2); at most 99 of them."
    )


class _Where(NamedTuple):
    """Pictures to change: the space that moves are found in, that of the points, and the points."""

    base: "Space"
    space: "Space"
    points: "Tensor"
    labels: "Tensor | None"


def _where(
    model: "LatentModel",
    seeds: list[int],
    points: Path | None,
    labels: list[str],
    asked: "SpaceName | None",
) -> _Where:
    from ganvas.latent.points import read_points
    from ganvas.latent.space import default_space, open_space
    from ganvas.models.base import class_labels

    base = open_space(model, asked or default_space(model))
    if points is None:
        classes = class_labels(model, labels, len(seeds))
        return _Where(base, base, base.points(seeds, classes), classes)
    given = read_points(points, model)
    classes = class_labels(model, given.labels or labels, len(given))
    if given.space == "w+" and base.name == "w":
        whole = open_space(model, "w+")
        return _Where(base, whole, given.values.to(model.device), classes)
    return _Where(base, base, base.lift(given.values, given.space, classes), classes)


def _add(
    run: Path,
    where: _Where,
    text: str,
    strength: float,
    plain: bool,
    examples: int,
    place: Path,
) -> None:
    """Work out a sum, add it, and show both."""
    from ganvas.cli.output import save_sheet
    from ganvas.data.progress import progress_bar
    from ganvas.latent.arithmetic import arithmetic, parse
    from ganvas.latent.attributes import open_reader
    from ganvas.latent.edit import apply_arithmetic
    from ganvas.latent.hold import STEPS

    base, space, points, labels = where
    reader = open_reader(run, base.model.device, say=typer.echo)
    parse(text, reader)  # before anything slow
    with progress_bar("Reading pictures", 4 * examples) as advance:
        found = arithmetic(base, reader, text, examples=examples, advance=advance)
    with progress_bar("Correcting", len(points) * STEPS) as advance:
        edited = apply_arithmetic(
            space, reader, found, points, labels, strength=strength, plain=plain, advance=advance
        )
    figure = place.with_name(f"{place.stem}-figure.png")
    save_sheet(found.figure(), figure)
    save_sheet(edited.sheet(), place)
    typer.echo(f"{found.name}: before and after on {place}, how it was found on {figure}")
    for note in edited.notes:
        typer.echo(note)


def _along(where: _Where, direction: "Direction", strengths: list[float], place: Path) -> None:
    """Walk along a direction, and show it."""
    from ganvas.cli.output import save_sheet
    from ganvas.latent.edit import along

    moved = along(where.space, direction, where.points, strengths, where.labels)
    save_sheet(moved.sheet(), place)
    typer.echo(f"{direction.name} ({direction.about}), {len(strengths)} strengths: {place}")
    for note in moved.notes:
        typer.echo(note)
