"""`ganvas invert`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganvas.cli.lists import one_of

if TYPE_CHECKING:
    from ganvas.latent.inversion import Inversion, Inverter
    from ganvas.latent.photos import Photos
    from ganvas.latent.space import SpaceName
    from ganvas.latent.verdict import Verdict, Yardstick


def invert(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    source: Annotated[
        str,
        typer.Argument(help="A photo, a folder or a ZIP of them, Parquet.", metavar="PHOTO|FOLDER"),
    ],
    space: Annotated[
        str | None,
        typer.Option(help="z, or for a StyleGAN w or w+ (default: w+, where most can be found)."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Of the optimisation.", min=1, max=100_000)] = 200,
    n: Annotated[int, typer.Option("-n", help="At most so many pictures.", min=1)] = 32,
    checkpoint: Annotated[str, typer.Option(help="last, best, or the number of one.")] = "last",
    out: Annotated[
        Path | None, typer.Option(help="A folder (default: RUN/inversions/SOURCE-SPACE).")
    ] = None,
) -> None:
    """Find pictures in the latent space: how near the model comes, and whether it can make them."""
    asked: SpaceName | None = None if space is None else one_of(space, ("z", "w", "w+"), "--space")
    from ganvas import api
    from ganvas.data.progress import progress_bar
    from ganvas.errors import ConfigError
    from ganvas.latent.inversion import Inverter, best_space
    from ganvas.latent.photos import read_photos
    from ganvas.latent.space import open_space
    from ganvas.latent.verdict import verdicts
    from ganvas.training.run_folder import RunFolder

    if out is not None and (out.suffix.lower() == ".png" or out.is_file()):
        raise ConfigError(
            f"--out {out}: a sheet, the points and the scores are written into a folder. Give a "
            f"folder, such as {out.with_suffix('')}."
        )
    model = api.load(run, checkpoint=checkpoint, say=typer.echo)
    inverter = Inverter(open_space(model, asked or best_space(model)), steps)
    photos = read_photos(source, n, model.shape, RunFolder(run).read().data)
    _say_fitted(photos)
    yardstick = _yardstick(run, inverter)
    with progress_bar("Inverting", len(photos.names)) as advance:
        found = inverter.invert(photos.images, advance=advance)
    judged = verdicts(found, yardstick)
    place = out or run / "inversions" / f"{Path(source).stem or 'pictures'}-{found.space}"
    _save(place, inverter, found, photos, judged)
    _say(found, photos, judged, yardstick, place)


def _say_fitted(photos: "Photos") -> None:
    """What was done to pictures to make them fit, and which are left out."""
    for problem in photos.problems:
        typer.echo(f"Left out: {problem.name}: {problem.reason}")
    for name, change in zip(photos.names, photos.fitted, strict=True):
        if change:
            typer.echo(f"{name}: {change}")
    if photos.left:
        typer.echo(f"{photos.left:,} more pictures are not looked at: -n takes more.")


def _yardstick(run: Path, inverter: "Inverter") -> "Yardstick":
    """What the self-check finds, or has found before."""
    from ganvas.data.progress import progress_bar
    from ganvas.latent import verdict

    path = run / "inversions" / f"self-check-{inverter.space.name}.json"
    known = verdict.known_yardstick(path, inverter)
    if known is not None:
        return known
    typer.echo(f"Self-check on {verdict.OWN_PICTURES} pictures of the model itself (once) ...")
    with progress_bar("Self-check", verdict.OWN_PICTURES) as advance:
        found = verdict.self_check(inverter, verdict.OWN_PICTURES, advance)
    verdict.save_yardstick(path, found)
    return found


def _save(
    place: Path,
    inverter: "Inverter",
    found: "Inversion",
    photos: "Photos",
    judged: "list[Verdict]",
) -> None:
    """Write the sheet, the points, and what is said of each picture."""
    from ganvas.cli.output import save_sheet
    from ganvas.files import write_text
    from ganvas.latent.points import Points, save_points

    scores = {"psnr": tuple(found.psnr.tolist()), "distance": tuple(found.distance.tolist())}
    labels = None if found.labels is None else tuple(found.labels.tolist())
    points = Points(found.space, found.points, photos.names, labels, scores)
    records = [
        {"picture": name, "verdict": verdict, "psnr": psnr, "distance": distance, "fitted": change}
        for name, verdict, psnr, distance, change in zip(
            photos.names, judged, *scores.values(), photos.fitted, strict=True
        )
    ]
    save_points(place / "points.safetensors", points, inverter.space.model)
    save_sheet(found.sheet(), place / "sheet.png")
    write_text(place / "scores.json", json.dumps(records, indent=1) + "\n")


def _say(
    found: "Inversion",
    photos: "Photos",
    judged: "list[Verdict]",
    yardstick: "Yardstick",
    place: Path,
) -> None:
    """A line for each picture, and what the lines mean."""
    typer.echo(yardstick.text())
    for name, verdict, psnr, distance in zip(
        photos.names, judged, found.psnr.tolist(), found.distance.tolist(), strict=True
    ):
        typer.echo(
            f"{name}: {verdict} what this model can make "
            f"(PSNR {psnr:.1f} dB, feature distance {distance:.3f})"
        )
    typer.echo(f"Sheet, points and scores in {place}/ ({found.space}).")
