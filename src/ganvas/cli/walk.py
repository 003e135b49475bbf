"""`ganvas interpolate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganvas.cli.ends import read_ends, seeds_and_files
from ganvas.cli.lists import one_of
from ganvas.errors import ConfigError

if TYPE_CHECKING:
    from ganvas.latent.space import SpaceName
    from ganvas.latent.walk import Mode

_SEEDS = "0,1,2,3,4"


def interpolate(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Where the walk passes: seeds, and files of points that `ganvas invert` wrote: "
            f"1,me.safetensors,3 (default: {_SEEDS})."
        ),
    ] = None,
    points: Annotated[
        Path | None, typer.Option(help="Walk through the points of this file instead.")
    ] = None,
    images: Annotated[
        str | None, typer.Option(help="Walk between these pictures instead (models that encode).")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="How many of --images, from the first.", min=2)] = 5,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Pictures from one to the next (default: 8, and two seconds' in a film).", min=2
        ),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="Pictures of the whole walk, instead of --steps.", min=2)
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Walk back to where it began.")] = False,
    mode: Annotated[
        str | None,
        typer.Option(
            help="slerp (great arc, the default in z) or lerp (straight, as always in w)."
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Class of the walk.")] = None,
    text: Annotated[
        str | None, typer.Option(help="Caption of the walk, for a model that learnt from captions.")
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            help="z, or w or w+ of a StyleGAN, where pictures change more evenly (default: w where "
            "there is one)."
        ),
    ] = None,
    truncation: Annotated[
        float | None, typer.Option(help="psi of the seeds in w: 0.7 for fewer odd pictures.")
    ] = None,
    fps: Annotated[int, typer.Option(help="Frames a second of a film.", min=1)] = 24,
    checkpoint: Annotated[str, typer.Option(help="last, best, or the number of one.")] = "last",
    out: Annotated[
        Path | None,
        typer.Option(
            help="A sheet (.png), a film (.gif, .mp4) or a folder for frames (default: "
            "RUN/interpolation.png)."
        ),
    ] = None,
) -> None:
    """Walk through the latent space: a sheet with a row from one picture to the next, or a film."""
    way: Mode | None = None if mode is None else one_of(mode, ("slerp", "lerp"), "--mode")
    where: SpaceName | None = None if space is None else one_of(space, ("z", "w", "w+"), "--space")
    if sum(given is not None for given in (seeds, points, images)) > 1:
        raise ConfigError("--seeds, --points and --images exclude each other: give one of them.")
    if frames is not None and steps is not None:
        raise ConfigError("--frames is for the whole walk, --steps for a part: give one of them.")
    through = [points] if points is not None else seeds_and_files(seeds or _SEEDS, "--seeds")
    place = out or run / "interpolation.png"
    from ganvas import api
    from ganvas.latent.film import Film
    from ganvas.latent.walk import SECONDS, check_images, check_space_of_images
    from ganvas.latent.walk import interpolate as walk

    if place.suffix.lower() != ".png":
        Film(place, fps)  # what is wrong with it is said before anything slow happens
        steps = steps or SECONDS * fps + 1
    if images is not None:
        check_space_of_images(where)
    model = api.load(run, checkpoint=checkpoint, say=typer.echo)
    ends = None
    if images is not None:
        check_images(model)
        ends = api.pictures_for(run, images, n)[0]
    found = walk(
        model, () if images is not None else read_ends(through, model), images=ends, steps=steps,
        frames=frames, loop=loop, mode=way, label=label, text=text, space=where,
        truncation=truncation,
    )  # fmt: skip
    typer.echo(found.save(place, fps))
