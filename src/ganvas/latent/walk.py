"""Walks through a latent space: from one picture to another."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.latent.styles import in_all_layers, pictures_of, styles_of, without_styles
from ganvas.models.base import Encodes, LatentModel, Samples, Styles, class_labels

Mode = Literal["lerp", "slerp"]
Space = Literal["z", "w"]


def lerp(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Points on the straight line: (D,), (D,), (T,) -> (T, D)."""
    return torch.lerp(start[None], end[None], t[:, None])


def slerp(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Points on the great arc: (D,), (D,), (T,) -> (T, D) (Shoemake 1985; White 2016).

    Gaussian latents of D dimensions lie near a sphere of radius sqrt(D); a straight line between
    two of them passes through the inside, where the model was never trained.
    """
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=0).clamp(-1, 1)
    angle = cosine.acos()
    if math.sin(angle) < 1e-4:  # same or opposite directions: no arc is singled out
        return lerp(start, end, t)
    t = t[:, None]
    return (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()


def walk(points: Tensor, steps: int, mode: Mode) -> Tensor:
    """Latents (K, D) joined by walks of `steps` frames each: ((K - 1) * steps, D), both ends in."""
    t = torch.linspace(0, 1, steps, device=points.device)
    along = {"lerp": lerp, "slerp": slerp}[mode]
    return torch.cat([along(a, b, t) for a, b in pairwise(points)])


def interpolate(
    model: LatentModel,
    seeds: Sequence[int] = (),
    *,
    images: Tensor | None = None,
    steps: int = 8,
    mode: Mode | None = None,
    label: int | str | None = None,
    space: Space = "z",
) -> Tensor:
    """Walk from seed to seed, or from image to image.

    Args:
        model: What `ganvas.load` returns.
        seeds: At least two; the same seeds as in `sample`.
        images: Instead of seeds, images (K, C, H, W) in [-1, 1] for a model that encodes.
        steps: Pictures from one seed to the next, both included.
        mode: On the straight line or the great arc (default: the arc in z, the line in w).
        label: The class of the whole walk, for a class-conditional model (default: the first).
        space: z, or for a model with styles w, where the same step changes a picture more evenly
            (Karras et al. 2019, section 4.1). No sphere holds the styles, so a walk there is on
            straight lines.

    Returns:
        ((K - 1) * steps, C, H, W) float32 in [-1, 1]: `steps` pictures for each pair.

    Raises:
        ConfigError: Fewer than two ends or steps, or the model cannot find the latents asked for.
    """
    ends = len(seeds) if images is None else len(images)
    if ends < 2 or steps < 2:
        raise ConfigError("a walk needs at least two ends and two steps, e.g. --seeds 1,2,3.")
    asked = [] if label is None else [label]
    if space == "w":
        return _through_styles(model, seeds, images, steps, mode, asked or model.classes[:1])
    points = _from_seeds(model, seeds) if images is None else _from_images(model, images, asked)
    latents = walk(points, steps, mode or "slerp")
    return model.decode_all(latents, class_labels(model, asked or model.classes[:1], len(latents)))


def _through_styles(
    model: LatentModel,
    seeds: Sequence[int],
    images: Tensor | None,
    steps: int,
    mode: Mode | None,
    labels: Sequence[int | str],
) -> Tensor:
    """Walk from seed to seed on straight lines in W."""
    if not isinstance(model, Styles):
        raise without_styles("walk in w (--space w)")
    if images is not None:
        raise ConfigError("a walk in w goes between seeds: leave out --images, or --space w.")
    if mode == "slerp":
        raise ConfigError("a walk in w is straight: leave out --mode slerp, or --space w.")
    frames = walk(styles_of(model, seeds, labels), steps, "lerp")
    return pictures_of(model, in_all_layers(model, frames))


def _from_seeds(model: LatentModel, seeds: Sequence[int]) -> Tensor:
    if not isinstance(model, Samples):
        raise ConfigError(
            "a plain autoencoder has no distribution to draw latents from; walk between pictures "
            "instead: --images FOLDER."
        )
    return torch.cat([model.sample_latents(1, seed) for seed in seeds])


@torch.no_grad()
def _from_images(model: LatentModel, images: Tensor, labels: Sequence[int | str]) -> Tensor:
    if not isinstance(model, Encodes):
        raise ConfigError(
            "this model has no encoder to find the latents of pictures; walk between seeds "
            "instead: --seeds 1,2,3."
        )
    chosen = class_labels(model, labels or model.classes[:1], len(images))
    return model.encode(images.to(model.device), chosen).float()
