"""`ganvas edit`."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganvas.cli.lists import label_list, one_of, seed_list
from ganvas.errors import ConfigError

if TYPE_CHECKING:
    from ganvas.latent.space import SpaceName


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
    place = out or run / f"edit-{name_of(arithmetic or direction or '')}.png"
    factor = strength_factor(strength) if arithmetic is not None else 1.0
    steps = strength_list(strength) if direction is not None else []
    from ganvas import api
    from ganvas.cli.output import save_sheet
    from ganvas.latent.attributes import open_reader
    from ganvas.latent.directions import find_direction
    from ganvas.latent.edit import edit as edit_words
    from ganvas.latent.edit import edit_along
    from ganvas.latent.points import read_points

    model = api.load(run, checkpoint=checkpoint, say=typer.echo)
    whose = passed if points is None else read_points(points, model)
    classes = label_list(labels)
    if direction is not None:
        found = find_direction(run, direction, model)
        moved = edit_along(model, found, whose, steps, labels=classes, space=asked)
        save_sheet(moved.sheet(), place)
        typer.echo(f"{found.name} ({found.about}), {len(steps)} strengths: {place}")
        _say(moved.notes)
        return
    reader = open_reader(run, model.device, say=typer.echo)
    edited = edit_words(
        model, arithmetic or "", reader, whose, strength=factor, plain=plain, examples=examples,
        labels=classes, space=asked,
    )  # fmt: skip
    figure = place.with_name(f"{place.stem}-figure.png")
    save_sheet(edited.found.figure(), figure)
    save_sheet(edited.sheet(), place)
    name = edited.found.name
    typer.echo(f"{name}: before and after on {place}, how it was found on {figure}")
    _say(edited.notes)


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        typer.echo(note)


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


def name_of(text: str) -> str:
    """A name for a file of what was asked for."""
    from ganvas.latent.files import slug

    words = text.lower().replace("+", " plus ").replace(" -", " minus ")
    return slug(Path(words).stem)


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
