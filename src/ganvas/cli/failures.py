"""`ganvas failures`."""

from pathlib import Path
from typing import Annotated

import typer


def failures(
    out: Annotated[
        Path,
        typer.Option(help="Folder for the runs, the numbers and the page; what is done is kept."),
    ] = Path("failures"),
    seeds: Annotated[int, typer.Option(help="Trainings of every recipe.", min=1, max=1000)] = 5,
    only: Annotated[
        list[str] | None, typer.Option(help="A failure by its name; may be given several times.")
    ] = None,
    mnist: Annotated[
        str | None,
        typer.Option(
            help="Digits for stacked MNIST (a Parquet file, or mnist); without it that is left out."
        ),
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="Length of every training, in images shown.", min=1)
    ] = None,
) -> None:
    """Make GANs fail on purpose, mend them, and write one page with the numbers of both."""
    from ganvas.failures.verb import failures as run

    page = run(out, seeds=seeds, only=only or (), mnist=mnist, images=images, say=typer.echo)
    typer.echo(f"Page: {page}")
