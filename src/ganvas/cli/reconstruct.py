"""`ganvas reconstruct`."""

from pathlib import Path
from typing import Annotated

import typer


def reconstruct(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    source: Annotated[
        str | None, typer.Argument(help="Pictures to encode (default: the run's own data).")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="How many pictures.", min=1)] = 32,
    out: Annotated[
        Path | None,
        typer.Option(help="A .png or a folder (default: RUN/reconstructions.png)."),
    ] = None,
) -> None:
    """Encode pictures and decode them again: each original with its reconstruction beside it."""
    from ganvas import api
    from ganvas.cli.output import save_images

    model = api.load(run, say=typer.echo)
    images, labels = api.pictures_for(run, source, n)
    pairs = api.reconstruct(model, images, labels)
    names = [f"{i:04d}-{kind}" for i in range(len(images)) for kind in ("original", "result")]
    typer.echo(save_images(pairs, out or run / "reconstructions.png", names, together=2))
