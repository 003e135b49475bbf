"""R3GAN's weights by the authors' names (Huang et al. 2024), as this package names them.

Their networks have the same layers. A generator's stage begins with what resamples its input, a
discriminator's ends with what resamples its output; here both lie between the stages. The fixed
resampling filters are code here. An embedding is a linear layer without bias of one-hot classes
there, a table here: transposed.
"""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ganvas.errors import RunError

_LAYERS = {
    "LinearLayer1.Layer.weight": "widen.weight",
    "NonLinearity1.Bias": "first.0.bias",
    "LinearLayer2.Layer.weight": "grouped.weight",
    "NonLinearity2.Bias": "second.0.bias",
    "LinearLayer3.Layer.weight": "narrow.weight",
}
_GENERATOR = {
    "AggregationLayer.Layer.weight": "to_image.weight",
    "EmbeddingLayer.weight": "embedding.weight",
    "MainLayers.0.Layers.0.Basis": "basis",
    "MainLayers.0.Layers.0.LinearLayer.weight": "project.weight",
}
_DISCRIMINATOR = {
    "ExtractionLayer.Layer.weight": "from_image.weight",
    "EmbeddingLayer.weight": "embedding.weight",
}
_HEAD = {"Basis.weight": "basis.weight", "LinearLayer.weight": "head.weight"}
_KERNEL = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


def generator_from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state of a generator as that of `networks.r3gan.Generator`.

    Raises RunError naming what has no place there.
    """
    return _translated(state, _generator_name)


def discriminator_from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state of a discriminator as that of `networks.r3gan.Discriminator`.

    Raises RunError naming what has no place there.
    """
    return _translated(state, _discriminator_name)


def _translated(
    state: Mapping[str, Tensor], rename: Callable[[str], str | None]
) -> dict[str, Tensor]:
    result = {}
    for official, tensor in state.items():
        if official.endswith("Resampler.Kernel"):
            _check_kernel(official, tensor)
            continue
        name = rename(official)
        if name is None:
            raise RunError(f"{official!r} is no weight of an R3GAN network as its paper has it.")
        is_table = name == "embedding.weight" and tensor.ndim == 2
        result[name] = tensor.T.contiguous() if is_table else tensor
    return result


def _generator_name(official: str) -> str | None:
    if official in _GENERATOR:
        return _GENERATOR[official]
    match _in_stage(official):
        case (stage, layer, what) if layer and what in _LAYERS:
            return f"stages.{stage}.{layer - 1}.{_LAYERS[what]}"
        case (stage, 0, "LinearLayer.Layer.weight") if stage:
            return f"transitions.{stage - 1}.weight"
    return None


def _discriminator_name(official: str) -> str | None:
    if official in _DISCRIMINATOR:
        return _DISCRIMINATOR[official]
    match _in_stage(official):
        case (stage, layer, what) if what in _LAYERS:
            return f"stages.{stage}.{layer}.{_LAYERS[what]}"
        case (stage, _, "LinearLayer.Layer.weight"):
            return f"transitions.{stage}.weight"
        case (_, _, what) if what in _HEAD:
            return _HEAD[what]
    return None


def _in_stage(official: str) -> tuple[int, int, str] | None:
    """Stage, layer within it and the rest of a name."""
    found = re.fullmatch(r"MainLayers\.(\d{1,3})\.Layers\.(\d{1,3})\.(.+)", official, re.ASCII)
    return (int(found[1]), int(found[2]), found[3]) if found else None


def _check_kernel(name: str, kernel: Tensor) -> None:
    """The bilinear filter is the only one there is."""
    if kernel.shape != _KERNEL.shape or not torch.allclose(kernel.float(), _KERNEL, atol=1e-6):
        raise RunError(f"{name!r} is not the paper's resampling filter ([1, 2, 1]).")
