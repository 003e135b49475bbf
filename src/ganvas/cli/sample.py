"""`ganvas sample`."""

from pathlib import Path
from typing import Annotated

import typer


def sample(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    n: Annotated[int, typer.Option("-n", help="How many pictures.", min=1)] = 64,
    seed: Annotated[
        int,
        typer.Option(help="Of the first picture; then seed + 1, ...", min=0, max=2**32 - 1),
    ] = 0,
    labels: Annotated[
        str | None, typer.Option(help="Classes, by name or number, used in turn: cat,dog.")
    ] = None,
    truncation: Annotated[
        float | None,
        typer.Option(help="Cut latents off there: 0.5 for fewer odd pictures, less variety."),
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="last, best, or the number of one.")] = "last",
    out: Annotated[
        Path | None,
        typer.Option(
            help="A .png for one sheet, or a folder for single pictures (default: "
            "RUN/samples-SEED.png)."
        ),
    ] = None,
) -> None:
    """Draw new pictures."""
    from ganvas import api
    from ganvas.cli.output import save_images

    model = api.load(run, checkpoint=checkpoint, say=typer.echo)
    chosen = None if labels is None else [label.strip() for label in labels.split(",")]
    images = model.sample(n, seed, chosen, truncation)
    names = [f"seed{seed + i:04d}" for i in range(n)]
    typer.echo(save_images(images, out or run / f"samples-{seed}.png", names))
