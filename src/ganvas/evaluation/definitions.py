"""What each score is called, what it means and which way is better."""

import math
from collections.abc import Sequence
from typing import NamedTuple, get_args

from ganvas.evaluation.estimate import Estimate
from ganvas.evaluation.protocol import Better, Group, Score
from ganvas.models.translation import Direction


class Definition(NamedTuple):
    """What is the same of a score whenever it is measured; the fields are those of `Score`."""

    label: str
    group: Group
    better: Better
    digits: int
    about: str


_READ = (
    "as a classifier reads it off; the floor is what it reads off the real pictures of these "
    "captions"
)
_ASKED = {
    "hair_style": "Hair style",
    "hair_colour": "Hair colour",
    "expression": "Expression",
    "glasses": "Glasses",
    "beard": "Beard",
    "hat": "Hat",
    "hat_colour": "Colour of the hat",
    "earrings": "Earrings",
    "shirt_colour": "Colour of the shirt",
    "background": "Background",
}

DEFINITIONS: dict[str, Definition] = {
    "frechet_distance": Definition(
        "Fréchet distance", "generation", "lower", 3,
        "Distance between Gaussians fitted to the features of both sides (Heusel et al. 2017); "
        "called FID only with inception features and 50,000 pictures.",
    ),
    "kernel_distance": Definition(
        "Kernel distance", "generation", "lower", 5,
        "Squared maximum mean discrepancy with a cubic kernel, unbiased (Bińkowski et al. 2018); "
        "called KID with inception features.",
    ),
    "energy_distance": Definition(
        "Energy distance", "generation", "lower", 5,
        "2 E|x - y| - E|x - x'| - E|y - y'|, unbiased (Székely & Rizzo 2013).",
    ),
    "precision_k3": Definition(
        "Precision, k=3", "generation", "higher", 3,
        "Share of drawn pictures that lie within reach of a real one: quality (Kynkäänniemi et al. "
        "2019).",
    ),
    "recall_k3": Definition(
        "Recall, k=3", "generation", "higher", 3,
        "Share of real pictures that lie within reach of a drawn one: diversity (Kynkäänniemi et "
        "al. 2019).",
    ),
    "precision_k5": Definition(
        "Precision, k=5", "generation", "higher", 3,
        "As precision, reaching to the fifth neighbour.",
    ),
    "recall_k5": Definition(
        "Recall, k=5", "generation", "higher", 3, "As recall, reaching to the fifth neighbour."
    ),
    "density_k5": Definition(
        "Density, k=5", "generation", "higher", 3,
        "How many real pictures a drawn one lies within reach of, over k: quality, robust against "
        "outliers; 1 for real ones (Naeem et al. 2020).",
    ),
    "coverage_k5": Definition(
        "Coverage, k=5", "generation", "higher", 3,
        "Share of real pictures with a drawn one among their neighbours: diversity, robust against "
        "outliers (Naeem et al. 2020).",
    ),
    "inception_score": Definition(
        "Inception score", "generation", "higher", 2,
        "exp of the mean KL divergence between the classifier's answer to one picture and to all: "
        "clear and varied pictures score up to the number of classes (Salimans et al. 2016); named "
        "after the Inception network, measured here with the features' own classifier.",
    ),
    "sharpness": Definition(
        "Sharpness", "generation", "floor", 3,
        "High-frequency energy of the drawn pictures over that of the real ones: below 1 blurred, "
        "above 1 noisy.",
    ),
    "memorisation_closer": Definition(
        "Nearer than unseen", "generation", "floor", 3,
        "Probability that a drawn picture is nearer to a training picture than an unseen real one "
        "is: 0.5 for new pictures, towards 1 for copies (Meehan et al. 2020).",
    ),
    "memorisation_copies": Definition(
        "Copies", "generation", "floor", 4,
        "Share of drawn pictures that are nearer to a training picture than 99% of unseen real "
        "ones are: 0.01 is what chance gives.",
    ),
    "path_length": Definition(
        "Path length", "latent", "lower", 2,
        "Mean squared change of the features over a short step between two latents, by the step's "
        "square: how evenly the latent space is laid out (after Karras et al. 2019).",
    ),
    "equivariance_translation": Definition(
        "EQ-T", "latent", "higher", 1,
        "How exactly a picture moves when the generator's input is moved by whole pixels, in dB, "
        "over 100 pictures moved by up to an eighth; of a StyleGAN without its noise (Karras et "
        "al. 2021).",
    ),
    "equivariance_fractional": Definition(
        "EQ-T, fractions", "latent", "higher", 1, "As EQ-T, moved by fractions of pixels."
    ),
    "equivariance_rotation": Definition(
        "EQ-R", "latent", "higher", 1,
        "As EQ-T, turned around the middle by any angle; high for stylegan3-r alone.",
    ),
    "psnr": Definition(
        "PSNR", "reconstruction", "higher", 2,
        "Peak signal-to-noise ratio of reconstructed unseen pictures, in dB.",
    ),
    "ssim": Definition(
        "SSIM", "reconstruction", "higher", 3,
        "Structural similarity of reconstructed unseen pictures (Wang et al. 2004).",
    ),
    "reconstruction_sharpness": Definition(
        "Sharpness of reconstructions", "reconstruction", "floor", 3,
        "High-frequency energy of the reconstructions over that of the pictures themselves.",
    ),
    "reconstruction_distance": Definition(
        "Feature distance of reconstructions", "reconstruction", "lower", 3,
        "Mean Euclidean distance between the features of an unseen picture and of its "
        "reconstruction: forgives a shift by a pixel, which PSNR does not.",
    ),
    "nll": Definition(
        "NLL, nats", "likelihood", "lower", 2,
        "Minus the log-probability of an unseen picture with 8 bits a value (or a bound on it, for "
        "a gaussian likelihood), estimated by importance sampling, which errs upwards (Burda et "
        "al. 2016, eq. 8). The interval is over pictures.",
    ),
    "bits_per_dimension": Definition(
        "Bits per dimension", "likelihood", "lower", 4,
        "The same in bits for each value of a picture: of 8-bit pictures, noise has 8.",
    ),
    "negative_elbo": Definition(
        "-ELBO, nats", "likelihood", "lower", 2,
        "The same with one sample: what a VAE minimises. Its distance from NLL is what the "
        "posterior misses.",
    ),
    "active_units": Definition(
        "Active units", "likelihood", "higher", 0,
        "Latent dimensions whose posterior mean varies by more than 0.01 (variance) over the "
        "pictures (Burda et al. 2016, section 4): the others say nothing of a picture.",
    ),
    "asked_class": Definition(
        "Class as asked", "asked", "higher", 3,
        "Share of the pictures that the classifier takes for the class that was asked for, OVER; "
        "the floor is the share of real pictures that it takes for what they are.",
    ),
    "asked_class_worst": Definition(
        "Class as asked, worst", "asked", "higher", 3,
        "The same of the class that is drawn worst, OVER.",
    ),
    "asked_all": Definition(
        "All as asked", "asked", "higher", 3,
        f"Share of the faces that have everything that their caption names, OVER, {_READ}.",
    ),
    "asked_nothing_else": Definition(
        "Nothing else", "asked", "higher", 3,
        "Share of the faces without glasses, beard, hat or earrings where their caption does not "
        f"mention them, OVER, {_READ}.",
    ),
    **{
        f"asked_{name}": Definition(
            f"{label} as asked", "asked", "higher", 3,
            f"Share of the faces that have the {label.lower()} that their caption names, OVER, "
            f"{_READ}.",
        )
        for name, label in _ASKED.items()
    },
    "sampling_seconds": Definition(
        "Seconds a picture", "price", "lower", 5,
        "Time to draw one picture, drawn 64 at once, the mean over such batches.",
    ),
    "translating_seconds": Definition(
        "Seconds a picture", "price", "lower", 5, "Time to translate one picture, 64 at once."
    ),
}  # fmt: skip
"""By name. Those against a known truth are in `ganvas.evaluation.truth`; for OVER stands what a
share is of."""

_MEAN_PICTURE = "Baseline: always the mean of the training targets."

TRANSLATION: dict[str, Definition] = {
    "l1": Definition(
        "L1 to the target", "translation", "lower", 4,
        "Mean absolute difference of a value from the target's, where black to white is 1 (the "
        f"loss, which takes values from -1 to 1, counts it twice). {_MEAN_PICTURE}",
    ),
    "psnr": Definition(
        "PSNR to the target", "translation", "higher", 2,
        f"Peak signal-to-noise ratio against the target, in dB. {_MEAN_PICTURE}",
    ),
    "ssim": Definition(
        "SSIM to the target", "translation", "higher", 3,
        f"Structural similarity to the target (Wang et al. 2004). {_MEAN_PICTURE}",
    ),
    "feature_distance": Definition(
        "Feature distance", "translation", "lower", 4,
        "Mean Euclidean distance between the features of a picture and of its target: forgives a "
        f"shift by a pixel, which L1 does not. {_MEAN_PICTURE}",
    ),
    "sharpness": Definition(
        "Sharpness", "translation", "floor", 3,
        "High-frequency energy of the translated pictures over that of the real ones: below 1 "
        f"blurred, above 1 noisy. {_MEAN_PICTURE}",
    ),
    "frechet_distance": Definition(
        "Fréchet distance", "translation", "lower", 3,
        "Distance between Gaussians fitted to the features of translated and of real pictures of "
        "the domain (Heusel et al. 2017). Baseline: the pictures before they are translated.",
    ),
    "cycle_l1": Definition(
        "Cycle error", "translation", "lower", 4,
        "Mean absolute difference of a value between a picture and what comes back of it from "
        "there and back, through 8 bits, where black to white is 1 (Zhu et al. 2017, eq. 2). "
        "Baseline: always the mean of the training pictures.",
    ),
}  # fmt: skip
"""Of pictures that were translated, by name without the direction."""

PATHS = {"AB": "A to B", "BA": "B to A"}
"""Directions in words."""


def make_score(name: str, estimate: Estimate, floor: float | None) -> Score:
    """The score of a name; without a value, or an interval, that is not finite."""
    return _score(name, DEFINITIONS[name], estimate, floor, None)


def translation_score(
    name: str,
    direction: Direction,
    estimate: Estimate,
    *,
    floor: float | None = None,
    baseline: float | None = None,
) -> Score:
    """The score of a name in `TRANSLATION` for one direction, such as `l1_ab`."""
    definition = TRANSLATION[name]
    definition = definition._replace(label=f"{definition.label}, {PATHS[direction]}")
    return _score(f"{name}_{direction.lower()}", definition, estimate, floor, baseline)


def _score(
    name: str, definition: Definition, estimate: Estimate,
    floor: float | None, baseline: float | None,
) -> Score:  # fmt: skip
    finite = math.isfinite(estimate.value)
    bounded = finite and all(map(math.isfinite, estimate.interval or ()))
    return Score(
        name=name,
        value=estimate.value if finite else None,
        interval=estimate.interval if bounded else None,
        floor=floor,
        baseline=baseline,
        **definition._asdict(),
    )


def order(scores: Sequence[Score]) -> tuple[Score, ...]:
    """Scores by group, in the order in which they should be read."""
    groups = get_args(Group)
    return tuple(sorted(scores, key=lambda score: groups.index(score.group)))
