"""What is measured of a run."""

from statistics import median
from typing import Literal

from ganvas.evaluation.protocol import Record

Measure = Literal["modes", "good", "divergence", "gradient"]

MEASURES: dict[Measure, str] = {
    "modes": "Modes covered",
    "good": "Share of good samples",
    "divergence": "KL to uniform, nats",
    "gradient": "Generator's gradient norm, median of the second half",
}
"""What each is called."""


class Result(Record):
    """The numbers of one run."""

    case: str
    recipe: str
    seed: int
    modes: int | None
    """Covered by at least one good sample; None where the training had to stop."""
    total: int
    """Modes that there are."""
    samples: int
    """Drawn to count them."""
    good: float | None
    """Share of samples within three standard deviations of a mode; None for pictures."""
    divergence: float | None
    """KL(drawn || uniform) over the modes, in nats; None where no sample is good."""
    images: int
    """Shown to the model."""
    updates: int
    """Steps, in each of which the generator was updated once."""
    seconds: float
    """Of training."""
    at: tuple[int, ...]
    """Images shown at each of the gradient norms."""
    gradients: tuple[float | None, ...]
    """Of the generator, averaged between lines of the log."""
    stopped: str = ""
    """Why the training had to stop, if it had to."""

    def value(self, measure: Measure) -> float | None:
        """One of its numbers; None where it is not known."""
        match measure:
            case "modes":
                return self.modes
            case "good":
                return self.good
            case "divergence":
                return self.divergence
            case "gradient":
                later = [g for g in self.gradients[len(self.gradients) // 2 :] if g is not None]
                return median(later) if later else None

    @property
    def in_words(self) -> str:
        """The result in half a line."""
        if self.modes is None:
            return "the training had to stop"
        good = "" if self.good is None else f", {self.good:.1%} good samples"
        return f"{self.modes:,} of {self.total:,} modes{good}, {self.seconds:.0f} s"

    @property
    def covers_all(self) -> bool:
        """Whether it draws every mode."""
        return self.modes == self.total
