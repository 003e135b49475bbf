"""What the first layer of a model makes of its latents."""

from typing import Any

import torch
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.models.base import Diffuses, LatentModel, Styles, class_labels

_BATCH = 64


class _ReachedError(Exception):
    """Ends a forward pass whose rest is of no interest."""


@torch.no_grad()
def first_activations(model: LatentModel, latents: Tensor) -> Tensor:
    """What leaves the first layer of `decode`, flat: (N, features), before any rectifier.

    Args:
        model: That meets its latents with an affine layer: a GAN or a VAE.
        latents: z, (N, latent_size).

    Raises:
        ConfigError: The model is a StyleGAN, whose w says more, or draws by diffusion.
    """
    if isinstance(model, Styles):
        raise ConfigError(
            "z of a StyleGAN first meets the mapping, which bends it, so there are no directions "
            "in it to be had from weights: leave out --space z, for w."
        )
    if isinstance(model, Diffuses):
        raise ConfigError(
            "latent diffusion draws a picture in many steps, so that no layer is the first to meet "
            "its latents. Directions can be found for a gan, a stylegan or a vae."
        )
    labels = class_labels(model, model.classes[:1], len(latents))
    parts = []
    for start in range(0, len(latents), _BATCH):
        chosen = None if labels is None else labels[start : start + _BATCH]
        parts.append(_reach(model, latents[start : start + _BATCH], chosen))
    return torch.cat(parts)


def _reach(model: LatentModel, latents: Tensor, labels: Tensor | None) -> Tensor:
    seen: list[Tensor] = []

    def catch(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor):
            seen.append(output.detach().float().flatten(1))
            raise _ReachedError

    leaves = [module for module in model.modules() if not list(module.children())]
    handles = [leaf.register_forward_hook(catch) for leaf in leaves]
    try:
        model.decode(latents, labels)
    except _ReachedError:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return seen[0]
