"""The official StyleGAN2 networks' state dicts under the names of `networks/stylegan2.py`.

Official names have the resolution, `synthesis.b64.conv0.weight`; ours count from the coarsest. The
shapes are the same, but for the convolutions that double: theirs are (outputs, inputs, 3, 3), ours
the other way round.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ganvas.errors import RunError

_SYNTHESIS = r"synthesis\.b(?P<size>\d+)"
_LAYER = r"(?P<layer>weight|bias)"

_GENERATOR = {
    r"mapping\.w_avg": "mapping.centre",
    rf"mapping\.embed\.{_LAYER}": "mapping.embed.{layer}",
    rf"mapping\.fc(?P<index>\d+)\.{_LAYER}": "mapping.layers.{index}.{layer}",
    rf"{_SYNTHESIS}\.const": "synthesis.blocks.{level}.constant",
    **{
        rf"{_SYNTHESIS}\.{theirs}\.{what}": f"synthesis.blocks.{{level}}.{ours}.{name}"
        for theirs, ours in {"conv0": "first", "conv1": "second", "torgb": "to_image"}.items()
        for what, name in {
            _LAYER: "{layer}", rf"affine\.{_LAYER}": "style.{layer}",
            "noise_const": "noise", "noise_strength": "noise_strength",
        }.items()
    },
}  # fmt: skip

_DISCRIMINATOR = {
    rf"mapping\.embed\.{_LAYER}": "class_mapping.embed.{layer}",
    rf"mapping\.fc(?P<index>\d+)\.{_LAYER}": "class_mapping.layers.{index}.{layer}",
    rf"b\d+\.fromrgb\.{_LAYER}": "from_image.{layer}",
    rf"b4\.conv\.{_LAYER}": "convolution.{layer}",
    rf"b4\.fc\.{_LAYER}": "hidden.{layer}",
    rf"b4\.out\.{_LAYER}": "output.{layer}",
    **{
        rf"b(?P<size>\d+)\.{theirs}\.{_LAYER}": f"blocks.{{halvings}}.{ours}.{{layer}}"
        for theirs, ours in {"conv0": "first", "conv1": "second", "skip": "skip"}.items()
    },
}


def generator_from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a `Generator` from that of the authors' one (of the skip architecture).

    Raises RunError, naming the tensor, where one of them has no place in our network.
    """
    ours = _renamed(state, _GENERATOR)
    return {
        name: tensor.transpose(0, 1) if name.endswith(".first.weight") else tensor
        for name, tensor in ours.items()
    }


def discriminator_from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a `Discriminator` from that of the authors' one (of the residual architecture).

    Raises RunError, naming the tensor, where one of them has no place in our network.
    """
    return _renamed(state, _DISCRIMINATOR)


def _renamed(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    ours: dict[str, Tensor] = {}
    for theirs, tensor in state.items():
        if theirs.endswith("resample_filter"):
            _check_filter(theirs, tensor)
            continue
        name = _rename(theirs, names)
        if name is None or name in ours:
            raise RunError(
                f"the tensor {theirs!r} has no place in our StyleGAN2: this is not the state of "
                "the authors' skip generator and residual discriminator. Only networks of that "
                "architecture, the paper's final one, can be imported."
            )
        ours[name] = tensor
    return ours


def _rename(theirs: str, names: Mapping[str, str]) -> str | None:
    for pattern, ours in names.items():
        if match := re.fullmatch(pattern, theirs):
            parts = match.groupdict()
            level = int(parts.get("size") or 4).bit_length() - 3  # 4 x 4 is level 0
            return ours.format(level=level, halvings=level - 1, **parts)
    return None


def _check_filter(name: str, tensor: Tensor) -> None:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    expected = torch.outer(taps, taps)
    if tensor.shape != expected.shape or not torch.allclose(tensor.float().cpu(), expected):
        raise RunError(
            f"the filter {name!r} is not [1, 3, 3, 1], the only one that our StyleGAN2 resamples "
            "with, so the network would draw other pictures. It cannot be imported."
        )
