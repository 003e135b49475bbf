"""`ganvas compare` and `ganvas story`."""

from pathlib import Path
from typing import Annotated

import typer

from ganvas.cli.evaluate import Checkpoint, Features, N, Seed, Weights


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.", metavar="RUN...")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("comparison.html"),
    features: Features = "auto",
    n: N = 5_000,
    seed: Seed = 0,
    checkpoint: Checkpoint = "last",
    weights: Weights = None,
) -> None:
    """Measure several runs alike, and write one page with scores, samples and curves."""
    from ganvas import measuring
    from ganvas.evaluation.compare import comparison_table, write_comparison

    options = measuring.Options(features, n, seed, checkpoint, weights)
    entries = measuring.compare(runs, options, say=typer.echo)
    typer.echo(comparison_table(entries))
    typer.echo(f"Page: {write_comparison(entries, out)}")


def story(
    out: Annotated[
        Path, typer.Option(help="Folder for the runs and the page; a finished run in it is kept.")
    ] = Path("story"),
    images: Annotated[
        int | None, typer.Option(help="Budget of a model, in images shown.", min=1)
    ] = None,
) -> None:
    """Train from the autoencoder to latent diffusion, and write the page that compares them."""
    import dataclasses

    from ganvas import measuring
    from ganvas.recipes.story import STORY

    told = STORY if images is None else dataclasses.replace(STORY, images=images)
    typer.echo(f"Page: {measuring.story(out, told=told, say=typer.echo)}")
