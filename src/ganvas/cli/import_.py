"""`ganvas import`."""

from pathlib import Path
from typing import Annotated

import typer

from ganvas.errors import ConfigError


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="A .pkl of StyleGAN2(-ADA), StyleGAN3 or R3GAN by their authors' PyTorch code, or "
            "the folder of an AutoencoderKL of diffusers.",
            metavar="FILE|FOLDER",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Run folder to make (default: runs/FILE).")
    ] = None,
    resolution: Annotated[
        str | None,
        typer.Option(
            help="Of the pictures that an AutoencoderKL is to be used for: 256 or HEIGHTxWIDTH "
            "(default: its sample_size)."
        ),
    ] = None,
) -> None:
    """Make a run of other software's weights, without executing anything in them."""
    if file.is_dir():
        from ganvas.interop.importing_autoencoder import import_autoencoder

        folder = import_autoencoder(file, out, resolution)
        _report(file, folder.path, folder.notes, folder.licence)
        typer.echo(f"Look at what it does: ganvas reconstruct {folder.path} PICTURES")
        typer.echo(f"Use it: ganvas train latent-diffusion --first-stage {folder.path}")
        return
    if resolution is not None:
        raise ConfigError(
            f"--resolution is for folders of an AutoencoderKL; {file} says itself which pictures "
            "it makes. Leave it out."
        )
    from ganvas.interop.importing import import_official

    made = import_official(file, out)
    _report(file, made.path, made.notes, made.licence)
    typer.echo(f"Draw from it: ganvas sample {made.path} -n 16")


def _report(source: Path, run: Path, notes: tuple[str, ...], licence: str) -> None:
    for note in notes:
        typer.echo(note)
    typer.echo(f"Licence of the weights: {licence}")
    typer.echo(f"Imported {source.name}: {run}")
