"""Evaluations and entries as tests need them."""

import numpy as np
from PIL import Image

from ganvas.evaluation.compare import Entry
from ganvas.evaluation.protocol import Better, Evaluation, Protocol, Score
from ganvas.pictures import grid
from ganvas.training.run_log import History, Progress, ScoreRecord, Start

PROTOCOL = Protocol(
    features="classifier",
    features_hash="f" * 64,
    preparation="as they are",
    real="avatars",
    real_fingerprint="0123456789abcdef" * 4,
    split="test",
    shape=(3, 64, 64),
    n_real=5000,
    n_fake=5000,
    seed=0,
    draws="prior",
)
JUDGED = "kernel distance in random features to 1,000 validation pictures"


def score(
    name: str,
    value: float | None,
    interval: tuple[float, float] | None = None,
    *,
    better: Better = "higher",
    floor: float | None = None,
    baseline: float | None = None,
) -> Score:
    """A score whose label and group follow from its name."""
    return Score(
        name=name,
        group="reconstruction" if name == "psnr" else "generation",
        label=name.replace("_", " ").capitalize(),
        about=f"What {name} measures.",
        value=value,
        interval=interval,
        better=better,
        floor=floor,
        baseline=baseline,
    )


def evaluation(name: str, *scores: Score, protocol: Protocol = PROTOCOL) -> Evaluation:
    """An evaluation with those scores."""
    return Evaluation(
        subject=name,
        model=name,
        images=150_000,
        checkpoint="000150000",
        protocol=protocol,
        scores=scores,
        notes=("Nothing was held out.",),
        seconds={"sampling": 31.0},
        sampling_speed=640.0,
        parameters={"generator": 1_000_000, "discriminator": 500_000},
        device="cpu (2 threads)",
        versions={"torch": "2.13.0"},
        command=f"ganvas evaluate {name}",
        time="2026-01-02T03:04:05+00:00",
    )


def history(speed: float = 100.0, scores: dict[int, float | None] | None = None) -> History:
    """A log of 10,000 images, with scores by images shown."""
    return History(
        start=Start(
            images=0,
            time="2026-01-02T03:04:05+00:00",
            command="ganvas train it",
            versions={},
            device="cpu",
            precision="float32",
            parameters={},
        ),
        progress=[
            Progress(
                images=images,
                step=images,
                seconds=images / speed,
                images_per_second=speed,
                losses={},
                gradient_norms={},
            )
            for images in range(1000, 10_001, 1000)
        ],
        samples=[],
        scores=[
            ScoreRecord(images=images, name=JUDGED, value=value, seconds=1.0)
            for images, value in (scores or {}).items()
        ],
        resumes=0,
        end=None,
        images=10_000,
    )


def noise(side: int = 8, seed: int = 0) -> Image.Image:
    """A sheet that compresses as badly as any."""
    random = np.random.default_rng(seed)
    return grid(random.integers(0, 256, (16, side, side, 3), np.uint8))


def entry(
    name: str,
    *scores: Score,
    protocol: Protocol = PROTOCOL,
    log: History | None = None,
    pictures: bool = True,
) -> Entry:
    """An entry with everything on it, or without pictures."""
    sheet = noise() if pictures else None
    measured = evaluation(name, *scores, protocol=protocol)
    return Entry(name, measured, log, sheet, sheet, sheet)
