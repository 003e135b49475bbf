"""`ganvas translate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganvas.cli.lists import one_of

if TYPE_CHECKING:
    from ganvas.models.translation import Direction


def translate(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    source: Annotated[
        str | None,
        typer.Argument(
            help="A picture, or a folder, a .zip or a .parquet file of them (default: pictures of "
            "the run's own data that it was not trained on).",
            metavar="INPUT",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for the results (default: RUN/translated).")
    ] = None,
    direction: Annotated[
        str,
        typer.Option(help="AB: from the first domain of the training to the second; BA: back."),
    ] = "AB",
    seed: Annotated[
        int,
        typer.Option(
            help="Of the first picture's noise (pix2pix); then seed + 1, ...", min=0, max=2**32 - 1
        ),
    ] = 0,
    resize: Annotated[
        bool,
        typer.Option(
            "--resize",
            help="Bring pictures to the size that the run learned from (else: their own size).",
        ),
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(
            help="What the pictures should become, by equal names: a third column of the sheet."
        ),
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option(help="AB or BA: every picture of INPUT holds both domains side by side."),
    ] = None,
    tile: Annotated[
        int,
        typer.Option(
            help="Larger pictures are translated in overlapping tiles of this side, which takes "
            "less memory."
        ),
    ] = 1024,
    checkpoint: Annotated[str, typer.Option(help="last, best, or the number of one.")] = "last",
) -> None:
    """Translate pictures from one domain to the other (pix2pix, cyclegan)."""
    both: tuple[Direction, Direction] = ("AB", "BA")
    way = one_of(direction, both, "--direction")
    side_by_side = None if pair is None else one_of(pair, both, "--pair")
    from ganvas import api

    done = api.translate(
        run, source, out, way, seed=seed, resize=resize, target=target, pair=side_by_side,
        tile=tile, checkpoint=checkpoint, say=typer.echo,
    )  # fmt: skip
    skipped = f", {len(done.skipped):,} left out" if done.skipped else ""
    count = f"{len(done.written):,} picture{'s' * (len(done.written) != 1)}"
    typer.echo(f"{count} in {done.sheet.parent}/{skipped}; see {done.sheet}")
