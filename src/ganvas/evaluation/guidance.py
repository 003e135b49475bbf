"""What guidance does (Ho & Salimans 2022): more of what was asked for, less variety.

The same latents and captions, or classes, are drawn from with one strength after the other; the
sampler and its steps stay as the model is configured.
"""

from collections.abc import Sequence
from dataclasses import replace

from ganvas.errors import ConfigError
from ganvas.evaluation import curves
from ganvas.evaluation.asked import asked_scores
from ganvas.evaluation.curves import Chart
from ganvas.evaluation.drawing import draw
from ganvas.evaluation.evaluate import Advance, Reference, generation_scores
from ganvas.evaluation.protocol import Evaluation, Guided, Score
from ganvas.models.base import Diffuses, LatentModel
from ganvas.models.diffusion_config import LatentDiffusionConfig, Sampling
from ganvas.models.reading import reads_captions

MOST = 1_000
"""Pictures that are drawn with each strength, at most: it takes long."""

_DISTANCES = ("frechet_distance", "kernel_distance", "precision_k5", "coverage_k5", "sharpness")
_CHARTS = (
    ("What was asked for", ("asked_class", "asked_all", "asked_glasses", "asked_hair_colour",
                            "asked_beard", "asked_hat")),
    ("Fréchet distance", ("frechet_distance",)),
    ("Precision and coverage", ("precision_k5", "coverage_k5")),
)  # fmt: skip


def sampling_of(model: LatentModel) -> Sampling | None:
    """How a model that draws in steps does it; None for all others."""
    config = getattr(model, "config", None)
    if isinstance(model, Diffuses) and isinstance(config, LatentDiffusionConfig):
        return config.sampling
    return None


def is_guided(model: LatentModel) -> bool:
    """Whether there are classes or captions that guidance strengthens."""
    return sampling_of(model) is not None and (bool(model.classes) or reads_captions(model))


def check_guidances(model: LatentModel, guidances: Sequence[float]) -> tuple[Sampling, ...]:
    """How to draw with each strength, from weak to strong; () for none.

    Raises:
        ConfigError: The model has no guidance, or a strength is no number from 0 on.
    """
    if not guidances:
        return ()
    sampling = sampling_of(model)
    if sampling is None or not is_guided(model):
        raise ConfigError(
            "--guidances is for latent diffusion that learnt classes or captions "
            "(model.condition=class or text), and this run has nothing that guidance could "
            "strengthen: leave it out."
        )
    return tuple(
        Sampling.parse(sampling.model_dump() | {"guidance": g}) for g in sorted(set(guidances))
    )


def guided(
    model: LatentModel, reference: Reference, sampling: Sampling,
    classes: tuple[str, ...], captions: int, seed: int, advance: Advance,
) -> Guided:  # fmt: skip
    """Draw with one strength and measure it, on at most `MOST` pictures of each side.

    Args:
        model: One that diffuses.
        reference: The real pictures.
        sampling: With the strength.
        classes: Those that the features' classifier knows.
        captions: At most so many are looked at.
        seed: Of the first picture.
        advance: Told how many pictures are done.
    """
    assert isinstance(model, Diffuses)
    n = min(MOST, len(reference.pictures))
    few = replace(reference, real=reference.real.first(n))
    with model.drawing(sampling, None):
        fakes = draw(model, few, n, seed, advance)
    asked, _ = asked_scores(model, few, fakes.observed, classes, captions)
    kept = [s for s in generation_scores(few, fakes.observed) if s.name in _DISTANCES]
    return Guided(guidance=sampling.guidance, n=n, scores=(*asked, *kept))


def by_guidance(evaluation: Evaluation) -> dict[str, Evaluation]:
    """An evaluation for each strength, as tables show them."""
    return {
        f"guidance {each.guidance:g}": evaluation.model_copy(
            update={
                "scores": each.scores,
                "protocol": evaluation.protocol.model_copy(
                    update={"n_real": each.n, "n_fake": each.n}
                ),
            }
        )
        for each in evaluation.guided
    }


def guidance_charts(evaluation: Evaluation) -> list[Chart]:
    """How the scores change with the strength."""
    charts = [_chart(title, names, evaluation.guided) for title, names in _CHARTS]
    return [chart for chart in charts if chart is not None]


def _chart(title: str, names: Sequence[str], found: Sequence[Guided]) -> Chart | None:
    series: dict[str, tuple[list[float], list[float | None]]] = {}
    for each in found:
        for score in each.scores:
            if score.name in names:
                places, values = series.setdefault(_short(score), ([], []))
                places.append(each.guidance)
                values.append(score.value)
    return curves.lines(title, "strength of guidance", series) if series else None


def _short(score: Score) -> str:
    return score.label.removesuffix(" as asked").partition(",")[0]
