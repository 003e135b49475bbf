"""`ganvas export`."""

from pathlib import Path
from typing import Annotated

import typer

from ganvas.cli.lists import one_of

_MEASURED = 256
"""Pictures by which the scale of an autoencoder's latents is measured."""


def export(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    format: Annotated[
        str,
        typer.Option(
            help="diffusers: a folder that the library of that name loads without ganvas, an "
            "AutoencoderKL (of autoencoder-kl) or a StableDiffusionPipeline (of latent-diffusion)."
        ),
    ] = "diffusers",
    checkpoint: Annotated[str, typer.Option(help="last, best, or the number of one.")] = "last",
    out: Annotated[
        Path | None, typer.Option(help="Folder to make (default: RUN/diffusers).")
    ] = None,
) -> None:
    """Write a model for other software."""
    one_of(format, ("diffusers",), "--format")
    from ganvas import api
    from ganvas.errors import GanvasError
    from ganvas.interop.diffusers import export_diffusers
    from ganvas.models.autoencoder_kl import AutoencoderKl

    model = api.load(run, checkpoint=checkpoint, device="cpu", say=typer.echo)
    pictures = None
    if isinstance(model, AutoencoderKl):
        try:
            pictures = api.pictures_for(run, None, _MEASURED)[0]
        except GanvasError:  # an imported run has none, others may have been moved
            typer.echo("The run's pictures are not here to measure the scale of its latents by.")
    made = export_diffusers(model, out or run / "diffusers", pictures)
    typer.echo(f"{made.kind} in {made.path}. To use it:")
    for line in made.lines:
        typer.echo(f"  {line}")
