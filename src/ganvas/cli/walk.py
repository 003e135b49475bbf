"""`ganvas interpolate`."""

from pathlib import Path
from typing import Annotated

import typer

from ganvas.errors import ConfigError


def interpolate(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    seeds: Annotated[str, typer.Option(help="Where the walk passes: 1,2,3.")] = "0,1,2,3,4",
    images: Annotated[
        str | None, typer.Option(help="Walk between these pictures instead (models that encode).")
    ] = None,
    steps: Annotated[int, typer.Option(help="Pictures from one to the next.", min=2)] = 8,
    mode: Annotated[str, typer.Option(help="slerp (great arc) or lerp (straight).")] = "slerp",
    label: Annotated[str | None, typer.Option(help="Class of the walk.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="A .png or a folder (default: RUN/interpolation.png).")
    ] = None,
) -> None:
    """Walk through the latent space, one row from each picture to the next."""
    if mode not in ("slerp", "lerp"):
        raise ConfigError(f"--mode {mode!r} is neither slerp nor lerp.")
    from ganvas import api
    from ganvas.cli.output import save_images
    from ganvas.latent.walk import interpolate as walk

    model = api.load(run, say=typer.echo)
    ends = None if images is None else api.pictures_for(run, images, len(_numbers(seeds)))[0]
    frames = walk(
        model,
        _numbers(seeds),
        images=ends,
        steps=steps,
        mode="slerp" if mode == "slerp" else "lerp",
        label=label,
    )
    names = [f"{i // steps:03d}-{i % steps:03d}" for i in range(len(frames))]
    place = out or run / "interpolation.png"
    typer.echo(save_images(frames, place, names, columns=steps))


def _numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) <= 18 for part in parts):
        raise ConfigError(f"--seeds {text!r} is not a list of whole numbers like 1,2,3.")
    return [int(part) for part in parts]
