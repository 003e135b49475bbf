"""`ganvas interpolate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganvas.cli.lists import one_of, seed_list

if TYPE_CHECKING:
    from ganvas.latent.walk import Mode, Space


def interpolate(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    seeds: Annotated[str, typer.Option(help="Where the walk passes: 1,2,3.")] = "0,1,2,3,4",
    images: Annotated[
        str | None, typer.Option(help="Walk between these pictures instead (models that encode).")
    ] = None,
    steps: Annotated[int, typer.Option(help="Pictures from one to the next.", min=2)] = 8,
    mode: Annotated[
        str | None,
        typer.Option(
            help="slerp (great arc, the default in z) or lerp (straight, as always in w)."
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Class of the walk.")] = None,
    space: Annotated[
        str, typer.Option(help="z, or for a StyleGAN w, where pictures change more evenly.")
    ] = "z",
    out: Annotated[
        Path | None, typer.Option(help="A .png or a folder (default: RUN/interpolation.png).")
    ] = None,
) -> None:
    """Walk through the latent space, one row from each picture to the next."""
    way: Mode | None = None if mode is None else one_of(mode, ("slerp", "lerp"), "--mode")
    where: Space = one_of(space, ("z", "w"), "--space")
    from ganvas import api
    from ganvas.cli.output import save_images
    from ganvas.latent.walk import interpolate as walk

    model = api.load(run, say=typer.echo)
    passed = seed_list(seeds, "--seeds")
    ends = None if images is None else api.pictures_for(run, images, len(passed))[0]
    frames = walk(model, passed, images=ends, steps=steps, mode=way, label=label, space=where)
    names = [f"{i // steps:03d}-{i % steps:03d}" for i in range(len(frames))]
    place = out or run / "interpolation.png"
    typer.echo(save_images(frames, place, names, columns=steps))
