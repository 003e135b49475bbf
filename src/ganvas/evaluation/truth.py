"""Scores where the truth is known: which modes a model covers, and how often each value occurs.

Of the 2-D toys the modes are known; of avatars the distribution of every attribute, which a
classifier reads off the pictures. So dropped modes are counted here, not inferred from distances.
"""

from collections.abc import Mapping
from math import isfinite, prod

import numpy as np
import torch
from torch import Tensor

from ganvas.data.builtin.avatars import ATTRIBUTES, Attribute
from ganvas.data.builtin.toys import MODES, Modes
from ganvas.evaluation.estimate import proportion
from ganvas.evaluation.features.known import visible
from ganvas.evaluation.protocol import Better, Score

JOINT = ("skin", "hair_style", "glasses", "beard", "hat")
"""The attributes of avatars whose joint values are the modes: 5 x 6 x 4 x 4 x 3 = 1,440. They are
large in the picture, so that the classifier hardly ever errs about them."""

_RADIUS = 3.0
"""Standard deviations from a centre up to which a point is of high quality."""

_BY_NAME = {attribute.name: attribute for attribute in ATTRIBUTES}
_DISCRETE = tuple(a for a in ATTRIBUTES if a.kind == "discrete")
_CONTINUOUS = tuple(a for a in ATTRIBUTES if a.kind == "continuous")


def toy_scores(points: Tensor, real: Tensor, source: str) -> list[Score]:
    """How well points cover the known modes of a toy distribution.

    Args:
        points: What a model drew, (N, 2).
        real: Points of the distribution itself, (M, 2); the floors are of the first N.
        source: `ring` or `grid`. `swiss-roll` is one curve, which has no modes to score.

    Returns:
        `high_quality`, the share of points within three standard deviations of a centre, and
        `modes`, how many centres are nearest to at least one of these points, as in Srivastava et
        al. 2017 (VEEGAN, section 5.1), who draw 2,500 points; `mode_divergence`, the divergence
        KL(drawn || uniform) of the frequencies of their modes in nats, as in Lin et al. 2018
        (PacGAN), None where no point is near a mode. Empty for a source without modes.
    """
    modes = MODES.get(source)
    if modes is None:
        return []
    counts, floor = mode_counts(points, modes), mode_counts(real[: len(points)], modes)
    total, near = len(counts), int(counts.sum())
    return [
        _score(
            "high_quality", "Points near a mode",
            f"Share of the points within {_RADIUS:g} standard deviations of the centre of one of "
            f"the {total} modes (Srivastava et al. 2017); the others lie where no data are.",
            near / len(points), int(floor.sum()) / min(len(real), len(points)),
            better="higher", interval=proportion(near, len(points)).interval,
        ),
        _score(
            "modes", f"Modes of {total}",
            f"How many of the {total} modes have at least one point within {_RADIUS:g} standard "
            f"deviations of their centre, of {len(points):,} drawn (Srivastava et al. 2017).",
            int((counts > 0).sum()), int((floor > 0).sum()), better="higher", digits=0,
        ),
        _score(
            "mode_divergence", "Imbalance of modes",
            "Kullback-Leibler divergence, in nats, of how often each mode is drawn from equally "
            f"often (Lin et al. 2018): 0 is even, {np.log(total):.2f} is one mode only.",
            divergence_from_uniform(counts), divergence_from_uniform(floor),
        ),
    ]  # fmt: skip


def avatar_scores(fake: Mapping[str, Tensor], real: Mapping[str, Tensor]) -> list[Score]:
    """How the attributes of drawn faces are distributed, against the known truth.

    Args:
        fake: Of the faces that a model drew, by the names of `ATTRIBUTES`: int64 codes (N,) of the
            discrete and float32 values (N,) of the continuous ones, as the classifier reads them.
        real: The same of real faces, for the floors: (M,) each. Scores depend on the number of
            faces, so of both the first min(N, M) are used.

    Returns:
        `mode_coverage` and `modes` of the joint values of `JOINT`; `attribute_distance` and
        `attribute_distance_worst`, total variation distances of the discrete attributes;
        `attribute_spread` and `attribute_spread_worst`, ratios of standard deviations of the
        continuous ones.
    """
    n = min(len(fake["skin"]), len(real["skin"]))
    fake, real = ({k: v[:n] for k, v in values.items()} for values in (fake, real))
    return [*_joint_scores(fake, real, n), *_distance_scores(fake, real),
            *_spread_scores(fake, real)]  # fmt: skip


def mode_counts(points: Tensor, modes: Modes) -> Tensor:
    """How many of the points (N, 2) are of high quality, by their nearest mode: int64 (K,)."""
    centres = torch.from_numpy(modes.centres).to(points)
    distances = (points[:, None] - centres).norm(dim=2)
    nearest, index = distances.min(1)
    near = index[nearest <= _RADIUS * modes.std]
    return torch.bincount(near, minlength=len(centres))


def divergence_from_uniform(counts: Tensor) -> float:
    """KL(frequencies || uniform) in nats, of counts (K,); NaN where there is nothing to count."""
    shares = counts.to(torch.float64) / counts.sum()
    return float(torch.special.xlogy(shares, shares * len(counts)).sum())


def _joint_scores(fake: Mapping[str, Tensor], real: Mapping[str, Tensor], n: int) -> list[Score]:
    """Which of the joint values of `JOINT` occur, and how much of the truth they stand for."""
    attributes = [_BY_NAME[name] for name in JOINT]
    masses = _joint_probabilities(attributes)
    covered, floor = _modes_present(fake, attributes), _modes_present(real, attributes)
    kinds = f"the {len(masses):,} combinations of {', '.join(JOINT[:-1])} and {JOINT[-1]}"
    return [
        _score(
            "mode_coverage", "Mode coverage",
            f"Of {kinds.replace('_', ' ')}, those that occur among {n:,} drawn faces: the share "
            "of all real faces that are of such a kind. What is missing was dropped.",
            masses[covered].sum().item(), masses[floor].sum().item(), better="higher",
        ),
        _score(
            "modes", f"Modes of {len(masses):,}",
            f"How many of {kinds.replace('_', ' ')} occur among {n:,} drawn faces.",
            int(covered.sum()), int(floor.sum()), better="higher", digits=0,
        ),
    ]  # fmt: skip


def _joint_probabilities(attributes: list[Attribute]) -> Tensor:
    """The probability of every combination of values, in the order of `_modes_present`."""
    masses = torch.ones(1, dtype=torch.float64)
    for attribute in attributes:
        shares = torch.tensor(attribute.probabilities, dtype=torch.float64)
        masses = torch.outer(masses, shares).flatten()
    return masses


def _modes_present(values: Mapping[str, Tensor], attributes: list[Attribute]) -> Tensor:
    """Which combinations of values occur: bool (K,), the last attribute varying fastest."""
    codes = torch.zeros_like(values[attributes[0].name])
    for attribute in attributes:
        codes = codes * len(attribute.values) + values[attribute.name]
    total = prod(len(attribute.values) for attribute in attributes)
    return torch.bincount(codes, minlength=total) > 0


def _distance_scores(fake: Mapping[str, Tensor], real: Mapping[str, Tensor]) -> list[Score]:
    """Frequencies of discrete attributes against their known probabilities."""
    distances = {a.name: _total_variation(a, fake) for a in _DISCRETE}
    seen = {name: value for name, value in distances.items() if isfinite(value)}
    floors = {name: _total_variation(_BY_NAME[name], real) for name in seen}
    worst = max(seen, key=seen.__getitem__)
    about = (
        "Total variation distance between how often each value is drawn and how often it should "
        "be: 0 is right, 0.1 says that a tenth of the faces would have to change"
    )
    return [
        _score(
            "attribute_distance", "Wrong frequencies",
            f"{about}; mean over {len(_DISCRETE)} attributes such as hats and glasses.",
            _mean(seen), _mean(floors),
        ),
        _score(
            "attribute_distance_worst", f"Wrong frequencies, worst ({_words(worst)})",
            f"{about}; of {_words(worst)}, which is furthest off.", seen[worst], floors[worst],
        ),
    ]  # fmt: skip


def _total_variation(attribute: Attribute, values: Mapping[str, Tensor]) -> float:
    """0.5 sum |frequency - probability|, where the attribute can be seen; NaN if nowhere."""
    codes = values[attribute.name][visible(attribute.name, values)]
    shares = torch.bincount(codes, minlength=len(attribute.values)).to(torch.float64) / len(codes)
    truth = torch.tensor(attribute.probabilities, dtype=torch.float64)
    return 0.5 * (shares - truth).abs().sum().item()


def _spread_scores(fake: Mapping[str, Tensor], real: Mapping[str, Tensor]) -> list[Score]:
    """Standard deviations of continuous attributes against those of the truth."""
    ratios = {a.name: _spread(a, fake) for a in _CONTINUOUS}
    floors = {a.name: _spread(a, real) for a in _CONTINUOUS}
    worst = max(ratios, key=lambda name: abs(ratios[name] - floors[name]))
    about = (
        "Standard deviation over the faces, as read off the pictures, divided by the true one: "
        "below the floor the faces are too much alike, and 0 is always the same"
    )
    return [
        _score(
            "attribute_spread", "Spread",
            f"{about}; mean over {len(_CONTINUOUS)} attributes such as the tilt of the head.",
            _mean(ratios), _mean(floors), better="floor",
        ),
        _score(
            "attribute_spread_worst", f"Spread, worst ({_words(worst)})",
            f"{about}; of {_words(worst)}, which is furthest from its floor.",
            ratios[worst], floors[worst], better="floor",
        ),
    ]  # fmt: skip


def _spread(attribute: Attribute, values: Mapping[str, Tensor]) -> float:
    """Standard deviation over the uniform distribution's, (high - low) / sqrt(12)."""
    low, high = attribute.limits
    deviation = values[attribute.name].to(torch.float64).std(correction=0).item()
    return deviation * 12**0.5 / (high - low)


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _score(
    name: str,
    label: str,
    about: str,
    value: float,
    floor: float,
    *,
    better: Better = "lower",
    interval: tuple[float, float] | None = None,
    digits: int = 3,
) -> Score:
    return Score(
        name=name,
        group="truth",
        label=label,
        about=about,
        value=value if isfinite(value) else None,
        interval=interval,
        floor=floor if isfinite(floor) else None,
        better=better,
        digits=digits,
    )
