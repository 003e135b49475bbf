"""`ganvas import`."""

from pathlib import Path
from typing import Annotated

import typer


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="A .pkl of StyleGAN2(-ADA), StyleGAN3 or R3GAN by their authors' PyTorch code.",
            metavar="FILE",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Run folder to make (default: runs/FILE).")
    ] = None,
) -> None:
    """Make a run of an authors' file, without executing anything in it."""
    from ganvas.interop.importing import import_official

    made = import_official(file, out)
    for note in made.notes:
        typer.echo(note)
    typer.echo(f"Licence of the weights: {made.licence}")
    typer.echo(f"Imported {file.name}: {made.path}")
    typer.echo(f"Draw from it: ganvas sample {made.path} -n 16")
