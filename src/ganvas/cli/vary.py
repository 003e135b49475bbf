"""`ganvas vary`."""

from pathlib import Path
from typing import Annotated

import typer


def vary(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    seed: Annotated[
        int, typer.Option(help="Of the picture and of its first noise.", min=0, max=2**32 - 1)
    ] = 0,
    n: Annotated[int, typer.Option("-n", help="How many noises to show.", min=1)] = 8,
    over: Annotated[
        int, typer.Option(help="How many to measure the deviation over, or n if more.", min=2)
    ] = 100,
    label: Annotated[str | None, typer.Option(help="Class of the picture.")] = None,
    truncation: Annotated[
        float | None, typer.Option(help="psi: 0.7 for fewer odd pictures, less variety.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="last, best, or the number of one.")] = "last",
    out: Annotated[Path | None, typer.Option(help="A .png (default: RUN/noise-SEED.png).")] = None,
) -> None:
    """Draw one picture under many noises, and a map of what they change (StyleGAN 1 and 2)."""
    from ganvas import api
    from ganvas.cli.output import save_sheet
    from ganvas.latent.variation import vary as vary_noise

    model = api.load(run, checkpoint=checkpoint, say=typer.echo)
    found = vary_noise(model, seed, n, over=over, label=label, truncation=truncation)
    place = out or run / f"noise-{seed}.png"
    save_sheet(found.sheet(), place)
    typer.echo(f"{n} pictures of seed {seed} and the map on {place}; {found.caption}")
