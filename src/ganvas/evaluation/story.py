"""Whether the story from the autoencoder to latent diffusion is true: the scores decide.

A claim that one number lies above another holds where their 95% intervals, as far as these are
known, lie apart in that order, and fails where they lie apart in the other; where they overlap, it
is left open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ganvas.evaluation.compare import Chapter, Claim
from ganvas.evaluation.protocol import Evaluation, Protocol
from ganvas.evaluation.ranking import interval, number
from ganvas.recipes.story import STORY, Story

Evaluations = Mapping[str, Evaluation]
Relation = Literal["below", "above"]
Ends = tuple[float, float]

_EXCUSED = {"draws"}
"""A model without a prior is drawn from with what stands in for one: that is the point."""


@dataclass(frozen=True)
class Order:
    """One entry's score lies below another's, or above it."""

    text: str
    score: str
    first: str
    relation: Relation
    second: str
    times: float = 1
    """The second score is multiplied with it first."""

    def decide(self, evaluations: Evaluations) -> Claim:
        """The claim with its evidence."""
        a = _find(evaluations, self.first, self.score)
        b = _find(evaluations, self.second, self.score)
        if a is None or b is None:
            return Claim(self.text, None, f"Not measured: {self.score}.")
        unlike = [name for name in a.protocol.differences(b.protocol) if name not in _EXCUSED]
        if unlike:
            return Claim(self.text, None, f"Measured unlike: {', '.join(unlike)} differ.")
        evidence = f"{a.label}: {self.first} {a.text}, {self.second} {b.text}."
        low, high = (end * self.times for end in b.ends)
        return Claim(self.text, _decide(a.ends, self.relation, (low, high)), evidence)


@dataclass(frozen=True)
class Bound:
    """An entry's score lies below a number, or above it."""

    text: str
    score: str
    name: str
    relation: Relation
    bound: float

    def decide(self, evaluations: Evaluations) -> Claim:
        """The claim with its evidence."""
        found = _find(evaluations, self.name, self.score)
        if found is None:
            return Claim(self.text, None, f"Not measured: {self.score}.")
        evidence = f"{found.label}: {self.name} {found.text}, claimed {self.relation} {self.bound}."
        holds = _decide(found.ends, self.relation, (self.bound, self.bound))
        return Claim(self.text, holds, evidence)


CLAIMS: dict[str, tuple[Order | Bound, ...]] = {
    "autoencoder": (
        Bound(
            "It gives back faces that it has never seen: the root of the mean squared error is "
            "below a tenth of the range.",
            "psnr", "autoencoder", "above", 20,
        ),
        Order(
            "It gives them back more closely than the VAE.",
            "psnr", "autoencoder", "above", "vae",
        ),
        Bound(
            "It cannot be sampled: codes drawn at random give pictures among which fewer than a "
            "fifth of the real faces find their like.",
            "coverage_k5", "autoencoder", "below", 0.2,
        ),
    ),
    "vae": (
        Order(
            "It can be sampled: its drawings are nearer to real faces than the autoencoder's.",
            "frechet_distance", "vae", "below", "autoencoder",
        ),
        Order(
            "They reach more of the real faces.",
            "coverage_k5", "vae", "above", "autoencoder",
        ),
        Bound(
            "They are blurred: of the real faces' fine detail they have less than four fifths.",
            "sharpness", "vae", "below", 0.8,
        ),
    ),
    "gan": (
        Order(
            "Its drawings hold more fine detail than the VAE's (what goes beyond 1 is noise).",
            "sharpness", "gan", "above", "vae",
        ),
        Bound(
            "It pays for them with noise: few of its drawings pass for real faces.",
            "precision_k5", "gan", "below", 0.5,
        ),
        Order(
            "It drops modes: its drawings show fewer of the combinations of attributes that there "
            "are than the VAE's.",
            "mode_coverage", "gan", "below", "vae",
        ),
        Order(
            "Its faces vary less in pose and shape than the VAE's.",
            "attribute_spread", "gan", "below", "vae",
        ),
    ),
    "dcgan-tiny": (
        Order(
            "Its drawings reach more of the real faces than the GAN's.",
            "coverage_k5", "dcgan-tiny", "above", "gan",
        ),
        Order(
            "They show more of the combinations of attributes that there are.",
            "mode_coverage", "dcgan-tiny", "above", "gan",
        ),
        Order(
            "They show every attribute more nearly as often as it occurs.",
            "attribute_distance", "dcgan-tiny", "below", "gan",
        ),
        Order(
            "More of its drawings pass for real faces.",
            "precision_k5", "dcgan-tiny", "above", "gan",
        ),
        Order(
            "Its drawings hold more fine detail than the VAE's.",
            "sharpness", "dcgan-tiny", "above", "vae",
        ),
        Order(
            "All in all its drawings are nearer to real faces than the GAN's.",
            "frechet_distance", "dcgan-tiny", "below", "gan",
        ),
        Order(
            "They are nearer to them than the VAE's, too.",
            "frechet_distance", "dcgan-tiny", "below", "vae",
        ),
    ),
    "vae-wide": (
        Bound(
            "Most of its code says nothing: of 576 numbers fewer than half are in use.",
            "active_units", "vae-wide", "below", 288,
        ),
        Bound(
            "What it gives back is still blurred: it has less than four fifths of the fine detail.",
            "reconstruction_sharpness", "vae-wide", "below", 0.8,
        ),
    ),
    "vqvae-tiny": (
        Order(
            "It gives faces back more closely than the VAE with the larger code.",
            "psnr", "vqvae-tiny", "above", "vae-wide",
        ),
        Order(
            "What it gives back is sharper, too.",
            "reconstruction_sharpness", "vqvae-tiny", "above", "vae-wide",
        ),
        Bound(
            "By itself it cannot be sampled.",
            "coverage_k5", "vqvae-tiny", "below", 0.2,
        ),
    ),
    "autoencoder-kl-tiny": (
        Order(
            "At equal compression, what it gives back is sharper than the VAE's.",
            "reconstruction_sharpness", "autoencoder-kl-tiny", "above", "vae-wide",
        ),
        Order(
            "It is closer to the face, pixel by pixel, ...",
            "psnr", "autoencoder-kl-tiny", "above", "vae-wide",
        ),
        Order(
            "... and in the eyes of a network that has learned to tell faces apart.",
            "reconstruction_distance", "autoencoder-kl-tiny", "below", "vae-wide",
        ),
        Bound(
            "By itself it cannot be sampled.",
            "coverage_k5", "autoencoder-kl-tiny", "below", 0.2,
        ),
    ),
    "latent-diffusion-tiny": (
        Order(
            "Its drawings are nearer to real faces than the VAE's.",
            "frechet_distance", "latent-diffusion-tiny", "below", "vae",
        ),
        Order(
            "They are nearer than the GAN's.",
            "frechet_distance", "latent-diffusion-tiny", "below", "gan",
        ),
        Order(
            "They are nearer than DCGAN's.",
            "frechet_distance", "latent-diffusion-tiny", "below", "dcgan-tiny",
        ),
        Order(
            "They reach more of the real faces than DCGAN's.",
            "coverage_k5", "latent-diffusion-tiny", "above", "dcgan-tiny",
        ),
        Order(
            "They show every attribute more nearly as often as it occurs.",
            "attribute_distance", "latent-diffusion-tiny", "below", "dcgan-tiny",
        ),
        Order(
            "The price: a drawing takes more than ten times as long as DCGAN's.",
            "sampling_seconds", "latent-diffusion-tiny", "above", "dcgan-tiny", times=10,
        ),
    ),
}  # fmt: skip
"""By part, in the order in which they are told."""


def chapters(evaluations: Evaluations, story: Story = STORY) -> tuple[Chapter, ...]:
    """The story's chapters with every claim decided.

    Args:
        evaluations: By part; what is missing leaves its claims open.
        story: Models and texts.
    """
    return tuple(
        Chapter(
            part.title,
            part.text,
            (part.name,),
            tuple(claim.decide(evaluations) for claim in CLAIMS.get(part.name, ())),
        )
        for part in story.parts
    )


@dataclass(frozen=True)
class _Found:
    """A score that was measured, with its protocol."""

    protocol: Protocol
    label: str
    text: str
    ends: Ends
    """The 95% interval; twice the value where it is not known."""


def _find(evaluations: Evaluations, name: str, score_name: str) -> _Found | None:
    evaluation = evaluations.get(name)
    score = evaluation.score(score_name) if evaluation else None
    if evaluation is None or score is None or score.value is None:
        return None
    text = number(score.value, score.digits)
    if score.interval is not None:
        text = f"{text} ({interval(score)})"
    ends = score.interval or (score.value, score.value)
    return _Found(evaluation.protocol, score.label, text, ends)


def _decide(first: Ends, relation: Relation, second: Ends) -> bool | None:
    """Whether the relation holds; None where the intervals overlap."""
    low, high = (first, second) if relation == "below" else (second, first)
    if low[1] < high[0]:
        return True
    return False if low[0] > high[1] else None
