"""What a score is worth nothing without: how it was measured.

Two scores may be ranked only if their protocols are equal (`Protocol.differences`).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Split = Literal["train", "validation", "test", "all"]

TRANSLATED = "the other domain"
"""What a protocol says under `draws` of pictures that were translated, not drawn."""


class Record(BaseModel):
    """A frozen group of fields; unknown ones are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Protocol(Record):
    """How the pictures that a model draws were compared with real ones."""

    features: str
    """Name of the features: random, classifier, inception, dinov2, points."""
    features_hash: str
    """SHA-256 over the weights and the preparation of the features."""
    preparation: str
    """How a picture is brought to the size the features see, in words."""
    real: str
    """The source of the real pictures."""
    real_fingerprint: str
    """SHA-256 of the real pictures' pack."""
    split: Split
    """Which of them: held out from training or not."""
    shape: tuple[int, ...]
    """(C, H, W), or (2,) for points."""
    n_real: int
    n_fake: int
    seed: int
    """Of the first picture drawn; the next ones have seed + 1, ..."""
    draws: str
    """Where the latents came from: "prior", or what stood in for one, and whether the captions of
    the real pictures were asked for; "pictures" for pictures, and `TRANSLATED` for what was
    translated from pictures of the other domain."""
    truncation: float | None = None
    """Truncation of the latents; None for none."""

    def differences(self, other: "Protocol") -> list[str]:
        """The names of the fields in which two protocols differ; scores rank only without any."""
        return [n for n in type(self).model_fields if getattr(self, n) != getattr(other, n)]


Better = Literal["lower", "higher", "floor"]
Group = Literal[
    "generation",
    "translation",
    "asked",
    "truth",
    "latent",
    "reconstruction",
    "likelihood",
    "price",
]
"""In the order in which they are told."""


class Score(Record):
    """One measured number."""

    name: str
    """Such as "frechet_distance"."""
    group: Group
    label: str
    """For tables: "Fréchet distance"."""
    about: str
    """What it measures, with its parameters and its source, in one sentence."""
    value: float | None
    """None where it was not finite."""
    interval: tuple[float, float] | None = None
    """95% confidence."""
    floor: float | None = None
    """The same number for real pictures against other real ones, at the same n."""
    baseline: float | None = None
    """The same number for an answer that took no learning, which `about` names, such as always the
    mean target picture."""
    better: Better = "lower"
    """Whether lower or higher is better, or nearer to the floor."""
    digits: int = 3
    """Decimal places that are worth showing."""


class LikelihoodProtocol(Record):
    """How the likelihood of real pictures was measured, and what the latents carry of them."""

    likelihood: str
    """gaussian, bernoulli or logistic."""
    measured: str
    """What of it, in words: a probability, or what a density says of one."""
    samples: int
    """Importance samples for each picture."""
    pictures: int
    seed: int
    """Of the samples."""
    kl_by_dimension: tuple[float, ...]
    """KL divergence from the posterior to the prior in nats, of each latent dimension."""


class Guided(Record):
    """What a model draws with one strength of guidance."""

    guidance: float
    n: int
    """Pictures on each side."""
    scores: tuple[Score, ...]


class Evaluation(Record):
    """All scores of one model, or folder, with the protocol that they share."""

    format: Literal[1] = 1
    subject: str
    """The run folder's name, or the folder of pictures."""
    model: str
    """The recipe; "" for a folder of pictures."""
    images: int
    """Images that the model had been shown."""
    checkpoint: str
    """Name of the checkpoint: 000150000, best, or "" for a folder."""
    protocol: Protocol
    scores: tuple[Score, ...]
    notes: tuple[str, ...] = ()
    """What the reader should know, such as that nothing was held out."""
    seconds: dict[str, float]
    """Time for "sampling", "features", "metrics"."""
    likelihood: LikelihoodProtocol | None = None
    """Of a VAE of pictures."""
    guided: tuple[Guided, ...] = ()
    """Of a model with guidance, what it does (--guidances), from weak to strong."""
    sampling_speed: float | None = None
    """Pictures drawn per second, on `device`."""
    parameters: dict[str, int] = {}
    """Of every network."""
    device: str
    versions: dict[str, str]
    command: str
    time: str
    """ISO 8601, UTC."""

    def score(self, name: str) -> Score | None:
        """The score of a name, if it was measured."""
        return next((score for score in self.scores if score.name == name), None)
