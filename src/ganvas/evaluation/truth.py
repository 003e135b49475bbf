"""Scores where the truth is known: which modes a model covers, and how often each value occurs.

Of the 2-D toys the modes are known; of avatars the distribution of every attribute, which a
classifier reads off the pictures. So dropped modes are counted here, not guessed from distances.
"""

from collections.abc import Mapping
from itertools import product
from math import prod

import numpy as np
import torch
from torch import Tensor

from ganvas.data.builtin.avatars import ATTRIBUTES, Attribute
from ganvas.data.builtin.toys import MODES, Modes
from ganvas.evaluation.estimate import Estimate, proportion
from ganvas.evaluation.protocol import Better, Score

JOINT = ("skin", "hair_style", "glasses", "beard", "hat")
"""The attributes of avatars whose joint values are the modes: 5 x 6 x 4 x 4 x 3 = 1,440. All are
large in the picture, so that the classifier hardly ever errs about them."""

_RADIUS = 3.0
"""Standard deviations around a centre within which a point is of high quality."""

_SHOWS_ON: dict[str, tuple[str, str]] = {
    "hat_colour": ("hat", "none"),
    "hair_colour": ("hair_style", "bald"),
    "eye_colour": ("glasses", "sunglasses"),
}
"""What is hidden where another attribute has some value; there it is not counted. As attributes
are independent of each other, the others have the same frequencies."""

_DISCRETE = tuple(a for a in ATTRIBUTES if a.kind == "discrete")
_CONTINUOUS = tuple(a for a in ATTRIBUTES if a.kind == "continuous")
_BY_NAME = {attribute.name: attribute for attribute in ATTRIBUTES}


def toy_scores(points: Tensor, real: Tensor, source: str) -> list[Score]:
    """How well points cover the known modes of a toy distribution.

    Args:
        points: What a model drew, (N, 2).
        real: Points of the distribution itself, (M, 2), for the floors: the first N of them.
        source: `ring` or `grid`. `swiss-roll` is one curve without modes: there is no score.

    Returns:
        `high_quality`: the share of points within three standard deviations of a centre;
        `modes`: the centres that are nearest to at least one such point (both Srivastava et al.
        2017, VEEGAN, section 5.1, who draw 2,500 points); `mode_divergence`: the Kullback-Leibler
        divergence of the frequencies of those points' modes from the uniform distribution in nats
        (the "reverse KL" of Lin et al. 2018, PacGAN, section 4.1).
    """
    modes = MODES.get(source)
    if modes is None:
        return []
    counts, floors = _mode_counts(points, modes), _mode_counts(real[: len(points)], modes)
    total = len(modes.centres)
    return [
        _score(
            "high_quality",
            "points near a mode",
            f"Share of points within {_RADIUS:g} standard deviations of the centre of a mode "
            "(Srivastava et al. 2017); the rest lie between the modes, where no real points are.",
            proportion(int(counts.sum()), len(points)),
            floor=float(counts.sum() / len(points)) if floors is counts else _near(floors, real),
            better="higher",
        ),
    ]
