"""`ganvas mix`."""

from pathlib import Path
from typing import Annotated

import typer

from ganvas.cli.lists import label_list, seed_list


def mix(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    rows: Annotated[str, typer.Option(help="Seeds of the pictures to change.")] = "0,1,2",
    cols: Annotated[str, typer.Option(help="Seeds of those whose styles they get.")] = "3,4,5,6",
    layers: Annotated[
        str,
        typer.Option(
            help="Which styles: coarse (up to 8 px), middle (16 to 32), fine (64 and up), all, or "
            "numbers from 0 (coarsest): 0-3 or 2,5."
        ),
    ] = "coarse",
    labels: Annotated[
        str | None, typer.Option(help="Classes of the rows, then the columns, in turn: cat,dog.")
    ] = None,
    truncation: Annotated[
        float | None, typer.Option(help="psi: 0.7 for fewer odd pictures, less variety.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="last, best, or the number of one.")] = "last",
    out: Annotated[Path | None, typer.Option(help="A .png (default: RUN/mix-LAYERS.png).")] = None,
) -> None:
    """Mix the styles of pictures: each row's picture with layers of each column's (StyleGAN)."""
    from ganvas import api
    from ganvas.cli.output import save_sheet
    from ganvas.latent.mix import mix as mix_styles
    from ganvas.latent.mix import written

    row_seeds, column_seeds = seed_list(rows, "--rows"), seed_list(cols, "--cols")
    model = api.load(run, checkpoint=checkpoint, say=typer.echo)
    mixed = mix_styles(
        model, row_seeds, column_seeds, layers, labels=label_list(labels), truncation=truncation
    )
    place = out or run / f"mix-{layers.replace(' ', '')}.png"
    save_sheet(mixed.sheet(), place)
    kept, given = (",".join(map(str, seeds)) for seeds in (row_seeds, column_seeds))
    typer.echo(f"Seeds {kept} with layers {written(mixed.layers)} of seeds {given}: {place}")
