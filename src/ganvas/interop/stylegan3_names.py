"""The official StyleGAN3 generator's state dict under the names of `networks/stylegan3.py`.

Official layers have the side of their map and its channels in their names,
`synthesis.L9_148_181.weight`; ours are counted. Filters follow from the resolution: they are
compared with ours, and so is the transform of the input with the identity, but neither is saved.
The discriminator is StyleGAN2's.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ganvas.errors import RunError
from ganvas.interop.stylegan2_names import discriminator_from_official
from ganvas.networks.layers.bands import LAYERS, Band, bands, filters

__all__ = ["discriminator_from_official", "generator_from_official"]

_LAYER = re.compile(r"synthesis\.L(\d+)_(\d+)_\d+\.(.+)")
_OTHERS = {
    r"mapping\.w_avg": r"mapping.centre",
    r"mapping\.embed\.(weight|bias)": r"mapping.embed.\1",
    r"mapping\.fc(\d+)\.(weight|bias)": r"mapping.layers.\1.\2",
    r"synthesis\.input\.(weight|phases|affine\.weight|affine\.bias)": r"synthesis.input.\1",
    r"synthesis\.input\.freqs": r"synthesis.input.frequencies",
}
_IN_LAYERS = {
    "weight": "weight",
    "bias": "bias",
    "affine.weight": "affine.weight",
    "affine.bias": "affine.bias",
    "magnitude_ema": "magnitude.mean_square",
}


def generator_from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a `Generator` from that of the authors' one, T or R.

    Raises RunError, naming the tensor, where one has no place in our network or where a filter is
    not the one that our network has there.
    """
    sides = [int(match[2]) for name in state if (match := _LAYER.fullmatch(name))]
    plan = bands(min(sides)) if sides else []  # all maps but the last ones reach beyond the picture
    ours: dict[str, Tensor] = {}
    for theirs, tensor in state.items():
        if _is_fixed(theirs, tensor, plan):
            continue
        name = _rename(theirs)
        if name is None or name in ours:
            raise _refusal(theirs, "has no place")
        ours[name] = tensor
    return ours


def _rename(theirs: str) -> str | None:
    if match := _LAYER.fullmatch(theirs):
        index, rest = int(match[1]), _IN_LAYERS.get(match[3])
        if rest is None or index > LAYERS:
            return None
        return f"synthesis.{f'blocks.{index}' if index < LAYERS else 'to_image'}.{rest}"
    for pattern, ours in _OTHERS.items():
        if match := re.fullmatch(pattern, theirs):
            return match.expand(ours)
    return None


def _is_fixed(theirs: str, tensor: Tensor, plan: list[Band]) -> bool:
    """Whether this is a constant of the architecture, which then must be ours."""
    if theirs == "synthesis.input.transform":
        expected = torch.eye(3)
    elif (match := _LAYER.fullmatch(theirs)) and match[3] in {"up_filter", "down_filter"}:
        index = int(match[1])
        if index >= LAYERS:
            raise _refusal(theirs, "has no place")
        pair = filters(plan[max(index - 1, 0)], plan[index], radial=tensor.ndim == 2)
        expected = pair[match[3] == "down_filter"]
    else:
        return False
    found = tensor.cpu().to(expected.dtype)
    if found.shape != expected.shape or not torch.allclose(found, expected, rtol=1e-4, atol=1e-6):
        raise _refusal(theirs, "differs from the constant that has its place")
    return True


def _refusal(name: str, what: str) -> RunError:
    return RunError(
        f"the tensor {name!r} {what} in our StyleGAN3: this is not the state of the authors' "
        f"generator with {LAYERS} layers and their default filters, T or R, as they publish it, "
        "and it would draw other pictures. It cannot be imported."
    )
