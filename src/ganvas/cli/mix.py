"""`ganvas mix`."""

from pathlib import Path
from typing import Annotated

import typer

from ganvas.cli.ends import read_ends, seeds_and_files
from ganvas.cli.lists import label_list


def mix(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    rows: Annotated[
        str,
        typer.Option(
            help="The pictures to change: seeds, and files of points that `ganvas invert` wrote: "
            "1,me.safetensors."
        ),
    ] = "0,1,2",
    cols: Annotated[str, typer.Option(help="Those whose styles they get, likewise.")] = "3,4,5,6",
    layers: Annotated[
        str,
        typer.Option(
            help="Which styles: coarse (up to 8 px), middle (16 to 32), fine (64 and up), all, or "
            "numbers from 0 (coarsest): 0-3 or 2,5."
        ),
    ] = "coarse",
    labels: Annotated[
        str | None,
        typer.Option(help="Classes of the seeds of rows, then columns, in turn: cat,dog."),
    ] = None,
    truncation: Annotated[
        float | None,
        typer.Option(help="psi of the seeds: 0.7 for fewer odd pictures, less variety."),
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="last, best, or the number of one.")] = "last",
    out: Annotated[Path | None, typer.Option(help="A .png (default: RUN/mix-LAYERS.png).")] = None,
) -> None:
    """Mix the styles of pictures: each row's picture with layers of each column's (StyleGAN)."""
    from ganvas import api
    from ganvas.cli.output import save_sheet
    from ganvas.latent.mix import mix as mix_styles
    from ganvas.latent.mix import written

    row_ends, column_ends = seeds_and_files(rows, "--rows"), seeds_and_files(cols, "--cols")
    model = api.load(run, checkpoint=checkpoint, say=typer.echo)
    mixed = mix_styles(
        model, read_ends(row_ends, model), read_ends(column_ends, model), layers,
        labels=label_list(labels), truncation=truncation,
    )  # fmt: skip
    place = out or run / f"mix-{layers.replace(' ', '')}.png"
    save_sheet(mixed.sheet(), place)
    kept, given = (",".join(map(str, ends)) for ends in (row_ends, column_ends))
    typer.echo(f"Rows {kept} with layers {written(mixed.layers)} of columns {given}: {place}")
