"""`ganvas sample`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganvas.cli.lists import label_list, one_of

if TYPE_CHECKING:
    from ganvas.models.base import Noise


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
        typer.Option(
            help="0.5 for fewer odd pictures, less variety: cuts latents off there, or, for a "
            "StyleGAN, is psi."
        ),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(help="What a StyleGAN adds to its maps: constant, random (by seed), none."),
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
    kind: Noise | None = (
        None if noise is None else one_of(noise, ("constant", "random", "none"), "--noise")
    )
    from ganvas import api
    from ganvas.cli.output import save_images

    model = api.load(run, checkpoint=checkpoint, say=typer.echo)
    images = model.sample(n, seed, label_list(labels), truncation, kind)
    names = [f"seed{seed + i:04d}" for i in range(n)]
    typer.echo(save_images(images, out or run / f"samples-{seed}.png", names))
