"""What the verbs that measure can be asked for."""

from dataclasses import dataclass
from pathlib import Path

from ganvas.errors import ConfigError
from ganvas.evaluation.evaluate import FEWEST

DEFAULT_N = 5_000


@dataclass(frozen=True)
class Options:
    """What all verbs that measure can be asked for."""

    features: str = "auto"
    """auto, random, classifier, inception, dinov2 or points."""
    n: int = DEFAULT_N
    """Pictures on each side, at most."""
    seed: int = 0
    """Of the first picture drawn."""
    checkpoint: str = "last"
    """last, best, or the number of one."""
    weights: Path | None = None
    """A local file (inception) or folder (dinov2) in place of a download."""
    device: str = "auto"
    progress: bool = True
    """Whether to show a bar when it takes long."""
    likelihood_samples: int = 200
    """Importance samples for each picture, of a VAE; 0: do not measure its likelihood."""
    likelihood_pictures: int = 250
    """Pictures whose likelihood is measured, at most."""
    captions: int = 300
    """Of a model that reads captions: those that a classifier checks its pictures for, at most."""
    guidances: tuple[float, ...] = ()
    """Of a model with guidance: the strengths whose effect is to be measured."""

    def __post_init__(self) -> None:
        if self.n < FEWEST:
            raise ConfigError(
                f"{self.n} pictures are too few to measure anything: at least {FEWEST}, and some "
                "thousand for scores that mean much (-n 5000)."
            )
        if self.likelihood_samples < 0 or self.likelihood_pictures < FEWEST:
            raise ConfigError(
                f"{self.likelihood_pictures} pictures with {self.likelihood_samples} samples give "
                f"no likelihood: at least {FEWEST} pictures, and 1 sample (or 0 to leave it out)."
            )


DEFAULTS = Options()
