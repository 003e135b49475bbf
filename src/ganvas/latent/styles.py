"""Styles of seeds, in one layer or in all: what spaces, mixing and variation share."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.models.base import LatentModel, Samples, Styles, Truncates, class_labels


def without_styles(what: str) -> ConfigError:
    """The error for a model that has no styles to do `what` with."""
    return ConfigError(
        f"this model has no styles, so it cannot {what}. Models that have them: stylegan, "
        "stylegan2, stylegan3."
    )


@torch.no_grad()
def styles_of(
    model: LatentModel,
    seeds: Sequence[int],
    labels: Sequence[int | str] = (),
    truncation: float | None = None,
) -> Tensor:
    """The styles w of seeds, one for all layers of a picture: (N, latent_size).

    Args:
        model: With styles.
        seeds: The same seeds as in `sample`; one may come twice.
        labels: For a class-conditional model, classes in turn (default: every class in turn).
        truncation: psi: w is pulled towards its mean by 1 - psi (Karras et al. 2019, appendix B).

    Raises:
        ConfigError: No seeds, a model without styles, no such class, or no such truncation.
    """
    if not isinstance(model, Styles) or not isinstance(model, Samples):
        raise without_styles("map seeds to them")
    if not seeds:
        raise ConfigError("no seeds are given: name at least one, e.g. 1,2,3.")
    latents = torch.cat([model.sample_latents(1, seed) for seed in seeds])
    classes = class_labels(model, labels, len(latents))
    if truncation is None:
        return model.map(latents, classes)
    if not isinstance(model, Truncates):
        raise ConfigError("the styles of this model cannot be truncated: leave out --truncation.")
    with model.truncated(truncation) as truncate:
        return model.map(truncate(latents), classes)


def in_all_layers(model: Styles, w: Tensor) -> Tensor:
    """The same w (N, L) in every layer: w+ (N, layers, L)."""
    return w[:, None].expand(-1, model.layers, -1)
