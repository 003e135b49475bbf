"""What is measured of the latent space, without any real picture."""

import torch

from ganvas.evaluation.definitions import make_score
from ganvas.evaluation.equivariance import SMALLEST, drawing, equivariance
from ganvas.evaluation.features.base import Features
from ganvas.evaluation.path_length import path_length
from ganvas.evaluation.protocol import Score
from ganvas.models.base import Diffuses, LatentModel, Samples, class_labels
from ganvas.models.stylegan import StyleGan

_PATHS = 1_000
"""Short steps for the path length, at most; each needs two pictures."""
_PATHS_IN_STEPS = 100
"""The same for a model that takes many steps to a picture."""
_MOVED = 100
"""Pictures for the equivariance; each is drawn four times."""


def latent_scores(model: LatentModel, features: Features, n: int, seed: int) -> list[Score]:
    """How even the latent space is, for pictures drawn from a prior, and what its pictures do.

    Of n pictures, and fewer where few are enough.
    """
    if len(model.shape) == 1 or not isinstance(model, Samples):
        return []
    paths = min(n, _PATHS_IN_STEPS if isinstance(model, Diffuses) else _PATHS)
    length = make_score("path_length", path_length(model, features, paths, seed), None)
    return [length, *equivariance_scores(model, min(n, _MOVED), seed)]


@torch.no_grad()
def equivariance_scores(model: LatentModel, n: int, seed: int) -> list[Score]:
    """How exactly n pictures move with the input: square ones of a StyleGAN, if fully grown."""
    height, width = model.shape[1:]
    if not isinstance(model, StyleGan) or height != width or height < SMALLEST:
        return []
    if model.config.growing is not None and float(model.level) < model.layers // 2 - 1:
        return []
    w = model.map(model.sample_latents(n, seed), class_labels(model, None, n))
    styles = w[:, None].expand(-1, model.layers, -1)
    found = equivariance(drawing(model.generator.synthesis), styles, seed)
    return [
        make_score("equivariance_translation", found.translation, None),
        make_score("equivariance_fractional", found.fractional, None),
        make_score("equivariance_rotation", found.rotation, None),
    ]
