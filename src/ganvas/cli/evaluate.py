"""`ganvas evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from ganvas.errors import ConfigError

Features = Annotated[
    str,
    typer.Option(
        help="random, classifier (from the data's own labels), inception, dinov2; auto: "
        "classifier where labels are known, else random."
    ),
]
N = Annotated[int, typer.Option("-n", help="Pictures on each side, at most.", min=1)]
Seed = Annotated[int, typer.Option(help="Of the first picture drawn.", min=0, max=2**32 - 1)]
Checkpoint = Annotated[str, typer.Option(help="last, best, or the number of one.")]
Weights = Annotated[
    Path | None, typer.Option(help="Local weights: a file (inception) or a folder (dinov2).")
]


def evaluate(
    subject: Annotated[
        str, typer.Argument(help="A run folder, or any source of pictures.", metavar="SUBJECT")
    ],
    against: Annotated[
        str | None,
        typer.Option(
            help="Real pictures (default: what the run held out of its own data); of a run that "
            "translates, given as those that it was trained on."
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="With --against, of a run that translates between two sources: real pictures of "
            "the second domain."
        ),
    ] = None,
    features: Features = "auto",
    n: N = 5_000,
    seed: Seed = 0,
    checkpoint: Checkpoint = "last",
    weights: Weights = None,
    resolution: Annotated[
        str | None, typer.Option(help="Size of both sides, for pictures against pictures: 64.")
    ] = None,
    likelihood_samples: Annotated[
        int,
        typer.Option(
            help="Of a VAE: importance samples for each picture; 0 leaves its likelihood out.",
            min=0,
        ),
    ] = 200,
    likelihood_pictures: Annotated[
        int, typer.Option(help="Of a VAE: pictures whose likelihood is measured, at most.", min=6)
    ] = 250,
    captions: Annotated[
        int,
        typer.Option(
            help="Of a model that reads captions: those that its pictures are checked for.", min=0
        ),
    ] = 300,
    guidances: Annotated[
        str | None,
        typer.Option(
            help="Of latent diffusion with classes or captions: strengths of guidance whose effect "
            "is measured, too: 1,2,4,8 (takes as long again for each)."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print evaluation.json instead.")] = False,
) -> None:
    """Measure a run against real pictures that it never saw, or pictures against pictures."""
    from ganvas import measuring
    from ganvas.evaluation.table import evaluation_table, guidance_table

    options = measuring.Options(
        features, n, seed, checkpoint, weights,
        likelihood_samples=likelihood_samples, likelihood_pictures=likelihood_pictures,
        captions=captions, guidances=_strengths(guidances),
    )  # fmt: skip
    is_run = (Path(subject) / "config.yaml").is_file()
    if is_run and resolution is not None:
        raise ConfigError("a run is measured at its own resolution: leave out --resolution.")
    if target is not None and (against is None or not is_run):
        raise ConfigError(
            "--target goes with a run that translates, and with --against, which gives the "
            "pictures to translate: ganvas evaluate RUN --against PICTURES --target TARGETS"
        )
    if not is_run and against is None:
        missing = "" if Path(subject).exists() else " (there is no such folder)"
        raise ConfigError(
            f"{subject} is not a run folder{missing}. To measure pictures, say against which real "
            f"ones: ganvas evaluate {subject} --against REAL_PICTURES"
        )

    def say(line: str) -> None:
        typer.echo(line, err=json)

    if is_run:
        found = measuring.evaluate_run(subject, options, against=against, target=target, say=say)
    else:
        found = measuring.evaluate_pictures(
            subject, against or "", options, resolution=resolution, say=say
        )
    typer.echo(found.model_dump_json(indent=1) if json else evaluation_table(found))
    if found.guided and not json:
        typer.echo(f"\n{guidance_table(found)}")
    if is_run and not json:
        typer.echo(f"Page with pictures: {Path(subject) / 'evaluation.html'}")


def _strengths(text: str | None) -> tuple[float, ...]:
    """The numbers of a list such as 1,2,4,8."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ConfigError(
            f"--guidances {text} is no list of numbers: give strengths such as 1,2,4,8."
        ) from None
