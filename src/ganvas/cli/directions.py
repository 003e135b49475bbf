"""`ganvas directions`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganvas.cli.lists import label_list, one_of
from ganvas.errors import ConfigError

if TYPE_CHECKING:
    from ganvas.latent.directions import Method
    from ganvas.latent.space import SpaceName
    from ganvas.models.base import LatentModel


def directions(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    find: Annotated[
        str | None,
        typer.Option(
            help="How to find new ones: pca (what varies most, GANSpace), sefa (from the weights "
            "alone), boundary (towards an attribute, InterFaceGAN). Without it, list those found."
        ),
    ] = None,
    attribute: Annotated[
        str | None,
        typer.Option(help="For boundary: towards what, such as glasses or 'red hair'; or several."),
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="For boundary: what not to change on the way: beard,hat.")
    ] = None,
    count: Annotated[
        int, typer.Option("-n", help="For pca and sefa: how many.", min=1, max=512)
    ] = 8,
    space: Annotated[
        str | None, typer.Option(help="z, or for a StyleGAN w (the default there).")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="last, best, or the number of one.")] = "last",
) -> None:
    """Find directions of the latent space and keep them in RUN/directions, or list them."""
    from ganvas import api
    from ganvas.latent.attributes import open_reader
    from ganvas.latent.directions import METHODS, save_directions
    from ganvas.latent.finding import directions as find_directions

    method: Method | None = None if find is None else one_of(find, METHODS, "--find")
    asked: SpaceName | None = None if space is None else one_of(space, ("z", "w"), "--space")
    if method != "boundary" and (attribute or keep):
        raise ConfigError("--attribute and --keep say where a boundary is: add --find boundary.")
    if method == "boundary" and not attribute:
        raise ConfigError("--find boundary needs --attribute: the way to what? e.g. glasses.")
    model = api.load(run, checkpoint=checkpoint, say=typer.echo)
    if method is None:
        _list(run, model)
        return
    reader = open_reader(run, model.device, say=typer.echo) if method == "boundary" else None
    found = find_directions(
        model, method, count, attributes=label_list(attribute), keep=label_list(keep),
        reader=reader, space=asked,
    )  # fmt: skip
    paths = save_directions(run, found, model)
    for direction, path in zip(found, paths, strict=True):
        typer.echo(f"{direction.name:24} {direction.quality:16} {path}")
    typer.echo(f"See one: ganvas edit {run} --direction {found[0].name} --strength -3:3")


def _list(run: Path, model: "LatentModel") -> None:
    """Print the directions of a run, and which of them are of no use any more."""
    from ganvas.errors import DataError
    from ganvas.latent.directions import kept, read_direction

    paths = kept(run)
    if not paths:
        typer.echo(f"No directions yet. Find some: ganvas directions {run} --find pca")
    for path in paths:
        try:
            direction = read_direction(path, model)
        except DataError as error:
            typer.echo(f"{path.stem:24} not usable: {error}")
        else:
            typer.echo(
                f"{path.stem:24} {direction.space:3} {direction.quality:16} {direction.about}"
            )
