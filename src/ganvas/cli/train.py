"""`ganvas train` and `ganvas resume`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ganvas.cli.domains import Domains, Pair, Target
from ganvas.errors import ConfigError


def train(
    model: Annotated[
        str | None, typer.Argument(help="A name that `ganvas models` lists (default: dcgan-tiny).")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Folder, ZIP, Parquet, hf:owner/name or a built-in name (avatars)."),
    ] = None,
    target: Target = None,
    pair: Pair = None,
    domains: Domains = None,
    resolution: Annotated[str | None, typer.Option(help="64, or HEIGHTxWIDTH: 64x96.")] = None,
    images: Annotated[
        int | None, typer.Option(help="Length of the training, in images shown to the model.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder to make (default: runs/MODEL-DATA).")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any field of the configuration: section.field=value."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A config.yaml to repeat or start from.")
    ] = None,
    auto: Annotated[
        bool,
        typer.Option(
            "--auto",
            help="Choose batch, learning rates, penalty weight, averaging and augmentation by size "
            "and number of the pictures, and say how; what --set sets stays.",
        ),
    ] = False,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Start from the weights of another run, or RUN:best, RUN:000050000; resolution, "
            "channels, widths and classes may differ.",
        ),
    ] = None,
    first_stage: Annotated[
        Path | None,
        typer.Option(
            help="For latent-diffusion: the run of the autoencoder-kl or vqvae in whose latents it "
            "draws.",
            metavar="RUN",
        ),
    ] = None,
) -> None:
    """Train a model; with nothing else, cartoon faces to a good generator in about five minutes."""
    from ganvas import api
    from ganvas.recipes import DEFAULT

    if model is not None and config is not None:
        raise ConfigError(f"--config {config} names its model already: leave out {model!r}.")
    chosen = api.configure(
        model or DEFAULT,
        config=config,
        data=data,
        target=target,
        pair=pair,
        domains=domains,
        resolution=resolution,
        images=images,
        settings=set_ or [],
        auto=auto,
        start_from=from_,
        first_stage=first_stage,
    )
    _exit_if_interrupted(api.train(chosen, out=out, say=typer.echo))


def resume(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
) -> None:
    """Go on with a training exactly where its last checkpoint left it."""
    from ganvas import api

    _exit_if_interrupted(api.resume(run, say=typer.echo))


def _exit_if_interrupted(run: Path) -> None:
    """Exit with the code of Ctrl-C, so that a shell does not go on with half a training."""
    from ganvas.training.run_folder import RunFolder

    first = os.environ.get("RANK", "0") == "0"  # the process that writes the log
    if first and not RunFolder(run).is_finished():
        raise typer.Exit(130)
