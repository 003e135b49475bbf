"""`ganvas sample`."""

import math
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganvas.cli.lists import label_list, number_list, one_of
from ganvas.errors import ConfigError

if TYPE_CHECKING:
    from ganvas.models.base import LatentModel, Noise
    from ganvas.models.diffusion_config import Sampler, Sampling

_PICTURES, _PICTURES_OF_A_TEXT, _PICTURES_OF_A_TRUNCATION = 64, 8, 8
_LONGEST_NAME = 60


def sample(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
    n: Annotated[
        int | None,
        typer.Option("-n", help="How many pictures (default: 64; 8 of each --text).", min=1),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(help="Of the first picture; then seed + 1, ...", min=0, max=2**32 - 1),
    ] = 0,
    labels: Annotated[
        str | None, typer.Option(help="Classes, by name or number, used in turn: cat,dog.")
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            help="A caption to draw, for a model that learnt from captions; several in turn: "
            '--text "a bald man" --text "a person with a red hat".'
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Of diffusion: more are slower, and better up to a point.", min=1),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            help="Of diffusion: 1 draws as learnt, more what is asked for more surely, with less "
            "variety.",
            min=0,
        ),
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help="Of diffusion: ddim, dpm (DPM-Solver++) or heun.")
    ] = None,
    truncation: Annotated[
        float | None,
        typer.Option(
            help="0.5 for fewer odd pictures, less variety: cuts latents off there, or, for a "
            "StyleGAN, is psi."
        ),
    ] = None,
    truncations: Annotated[
        str | None,
        typer.Option(help="A sheet with a row for each of several: 0.3,0.5,0.7,1."),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(help="What a StyleGAN adds to its maps: constant, random (by seed), none."),
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="last, best, or the number of one.")] = "last",
    out: Annotated[
        Path | None,
        typer.Option(
            help="A .png for one sheet, or a folder for single pictures, with captions in its "
            "metadata.jsonl (default: RUN/samples-SEED.png, with the text in its name)."
        ),
    ] = None,
) -> None:
    """Draw new pictures."""
    kind: Noise | None = (
        None if noise is None else one_of(noise, ("constant", "random", "none"), "--noise")
    )
    solver: Sampler | None = (
        None if sampler is None else one_of(sampler, ("ddim", "dpm", "heun"), "--sampler")
    )
    from ganvas import api
    from ganvas.cli.output import save_images
    from ganvas.latent.drawing import (
        captions_in_turn,
        sampling_of,
        shown_drawing,
        without_classes,
    )
    from ganvas.models.reading import reads_captions

    model = api.load(run, checkpoint=checkpoint, say=typer.echo)
    texts = text or []
    if truncations is not None:
        if truncation is not None or texts:
            raise ConfigError("--truncations goes without --truncation and --text: leave them out.")
        _sweep(model, truncations, n, seed, labels, kind, out or run / f"truncations-{seed}.png")
        return
    count = n or _PICTURES_OF_A_TEXT * len(texts) or _PICTURES
    captions = captions_in_turn(model, texts, count)
    sampling = sampling_of(model, solver, steps, guidance)
    if labels is not None and reads_captions(model):
        raise without_classes()
    began = time.perf_counter()
    with shown_drawing(model, count, sampling):
        if reads_captions(model):
            images = model.sample(count, seed, None, truncation, kind, texts=texts or None)
        else:
            images = model.sample(count, seed, label_list(labels), truncation, kind)
    seconds = time.perf_counter() - began
    names = [f"seed{seed + i:04d}" for i in range(count)]
    place = out or run / f"samples-{seed}{_in_name(texts)}.png"
    columns = _columns(count, len(texts)) if texts else None
    typer.echo(save_images(images, place, names, columns, captions=captions))
    if captions and not texts:
        typer.echo(
            f"Drawn from captions of its training, such as {captions[0]!r}; ask for others with "
            "--text."
        )
    if sampling is not None:
        typer.echo(_cost(seconds / count, sampling))


def _sweep(
    model: "LatentModel",
    truncations: str,
    n: int | None,
    seed: int,
    labels: str | None,
    noise: "Noise | None",
    out: Path,
) -> None:
    """Save a sheet of the same seeds under several truncations."""
    from ganvas.cli.output import save_sheet
    from ganvas.latent.sweep import sweep

    values = number_list(truncations, "--truncations")
    found = sweep(
        model, values, n or _PICTURES_OF_A_TRUNCATION, seed, labels=label_list(labels), noise=noise
    )
    save_sheet(found.sheet(), out)
    typer.echo(f"{out}: {found.caption}")


def _columns(count: int, texts: int) -> int:
    """Columns of a sheet on which each holds the pictures of one text, as square as it can be."""
    return min(count, texts * max(1, round(math.sqrt(count) / texts)))


def _in_name(texts: Sequence[str]) -> str:
    """The first text as a part of a file's name, and how many more there are."""
    if not texts:
        return ""
    words = re.sub(r"\W+", "-", texts[0]).strip("-")[:_LONGEST_NAME].strip("-")
    return f"-{words}" + (f"-and-{len(texts) - 1}-more" if len(texts) > 1 else "")


def _cost(seconds: float, sampling: "Sampling") -> str:
    return (
        f"{seconds:.3g} s for each: {sampling.sampler}, {sampling.steps} steps, guidance "
        f"{sampling.guidance:g}."
    )
