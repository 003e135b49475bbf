"""Folders of an `AutoencoderKL`, as the library `diffusers` writes and reads them.

`config.json` names the sizes, `diffusion_pytorch_model.safetensors` holds the weights, by the names
that `ganvas.networks.autoencoder_kl` uses too. Folders come from anywhere: of config.json only
numbers and names that are checked are used, no more of the weights is read than the network of
those sizes has, and files that could execute something (.bin, .ckpt) are never opened.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ganvas.errors import RunError
from ganvas.interop.official_records import printable
from ganvas.models.autoencoder_kl import AutoencoderKl
from ganvas.networks.autoencoder_kl import groups_of, widths_of

CONFIG = "config.json"
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors")
"""The files of weights that are read, the first of them that is there."""

_UNSAFE = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
_FLOATS = ("F64", "F32", "F16", "BF16")
_MOST_TEXT = 2**20
_DOWN, _UP = "DownEncoderBlock2D", "UpDecoderBlock2D"

_OLDER_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Of the linear maps of attention, before diffusers 0.13."""
_ATTENTION = re.compile(r"(\.attentions\.0\.)(query|key|value|proj_attn)(\.(?:weight|bias))$")

_Width = Annotated[int, Field(ge=1, le=4096)]


class AutoencoderSettings(BaseModel):
    """What of config.json says which networks the weights are of, with the library's defaults."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    in_channels: Annotated[int, Field(ge=1, le=1024)] = 3
    out_channels: Annotated[int, Field(ge=1, le=1024)] = 3
    down_block_types: Annotated[list[str], Field(max_length=16)] = [_DOWN]
    up_block_types: Annotated[list[str], Field(max_length=16)] = [_UP]
    block_out_channels: Annotated[list[_Width], Field(min_length=1, max_length=16)] = [64]
    layers_per_block: Annotated[int, Field(ge=1, le=16)] = 1
    act_fn: str = "silu"
    latent_channels: Annotated[int, Field(ge=1, le=512)] = 4
    norm_num_groups: Annotated[int, Field(ge=1, le=4096)] = 32
    sample_size: int | list[int] = 32
    use_quant_conv: bool = True
    use_post_quant_conv: bool = True
    mid_block_add_attention: bool = True

    @property
    def factor(self) -> int:
        """How many times smaller than a picture its map of latents is."""
        return 1 << (len(self.block_out_channels) - 1)

    def difference(self) -> str | None:
        """What in these networks is unlike those of an autoencoder-kl of this package, or None."""
        widths, levels = self.block_out_channels, len(self.block_out_channels)
        ours = widths_of(widths[0], levels - 1)
        groups = groups_of(widths[0])
        reasons = {
            f"in_channels {self.in_channels} and out_channels {self.out_channels} differ": (
                self.in_channels != self.out_channels
            ),
            f"its pictures have {self.in_channels} channels, where 1, 3 or 4 are possible": (
                self.in_channels not in (1, 3, 4)
            ),
            f"its down_block_types are not all {_DOWN}": self.down_block_types != [_DOWN] * levels,
            f"its up_block_types are not all {_UP}": self.up_block_types != [_UP] * levels,
            f"it halves pictures {levels - 1} times, where 1 to 4 times are possible": (
                not 2 <= levels <= 5
            ),
            f"block_out_channels are {widths}, where {ours} are possible": widths != ours,
            f"norm_num_groups is {self.norm_num_groups}, where {groups} are possible with "
            f"{widths[0]} channels": self.norm_num_groups != groups,
            f"its act_fn is {self.act_fn!r}, where silu is possible": (
                self.act_fn not in ("silu", "swish")
            ),
            "it has no attention in the middle": not self.mid_block_add_attention,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)


def settings_of(model: AutoencoderKl) -> dict[str, Any]:
    """The arguments of the library's class that make the networks of this model."""
    config = model.config
    widths = widths_of(config.width, config.downsampling.bit_length() - 1)
    channels, height, width = model.shape
    return {
        "in_channels": channels,
        "out_channels": channels,
        "down_block_types": [_DOWN] * len(widths),
        "up_block_types": [_UP] * len(widths),
        "block_out_channels": widths,
        "layers_per_block": config.blocks,
        "latent_channels": config.latent_channels,
        "norm_num_groups": groups_of(config.width),
        "sample_size": height if height == width else [height, width],
    }


def weights_of(model: AutoencoderKl) -> dict[str, Tensor]:
    """The weights that the library's class has, by its names."""
    return {
        f"{network}.{name}": tensor
        for network in model.networks
        for name, tensor in model.get_submodule(network).state_dict().items()
    }


def read_settings(folder: Path) -> AutoencoderSettings:
    """The settings of a folder whose networks can be made here.

    Raises:
        RunError: It is no folder of an AutoencoderKL, or of one with other networks.
    """
    values = _read_json(folder)
    if values.get("_class_name") != "AutoencoderKL":
        raise RunError(
            f"{folder / CONFIG} is of {printable(str(values.get('_class_name'))[:80])}, where an "
            "AutoencoderKL of diffusers can be imported."
        )
    try:
        settings = AutoencoderSettings.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise RunError(f"{folder / CONFIG} is damaged: {where}: {problem['msg']}.") from None
    if reason := settings.difference():
        raise RunError(
            f"{folder} was not imported: {reason}. What can be imported are networks like those of "
            "the paper and of Stable Diffusion 1, 2 and XL."
        )
    return settings


def read_weights(
    folder: Path, settings: AutoencoderSettings, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """The weights of a folder in float32, by this package's names.

    Args:
        folder: With a file of `WEIGHTS`.
        settings: Its settings: the maps beside the latents may be left out, which then are the
            identity.
        shapes: Of all weights that the networks here have.

    Raises:
        RunError: They are missing, damaged, or those of other networks.
    """
    file = _weights_file(folder)
    absent = _left_out(settings, shapes)
    expected = {name: shape for name, shape in shapes.items() if name not in absent}
    try:
        with safe_open(file, framework="pt", device="cpu") as stored:
            names = {_newer_name(name): name for name in stored.keys()}  # noqa: SIM118
            slices = {name: stored.get_slice(old) for name, old in names.items()}
            _check(file, slices, expected)
            weights = {name: stored.get_tensor(old).float() for name, old in names.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(
            f"{file} cannot be read as safetensors ({printable(str(error)[:200])}): fetch it again."
        ) from None
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise RunError(f"{file} is damaged: {name} holds numbers that are not finite.")
    return weights | absent


def _left_out(
    settings: AutoencoderSettings, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """Maps that change nothing, for those beside the latents that these networks do without."""
    used = {"quant_conv": settings.use_quant_conv, "post_quant_conv": settings.use_post_quant_conv}
    result: dict[str, Tensor] = {}
    for network in (name for name, is_used in used.items() if not is_used):
        (size,) = shapes[f"{network}.bias"]
        result[f"{network}.weight"] = torch.eye(size)[:, :, None, None]
        result[f"{network}.bias"] = torch.zeros(size)
    return result


def _newer_name(name: str) -> str:
    """The name that a weight has today."""
    return _ATTENTION.sub(lambda match: match[1] + _OLDER_NAMES[match[2]] + match[3], name)


def _check(file: Path, slices: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Raise RunError naming the first weight that is not of the networks, before any is read."""
    for name in sorted(expected.keys() | slices.keys()):
        here = expected.get(name, "no such weight")
        there = tuple(slices[name].get_shape()) if name in slices else "no such weight"
        if here != there:
            raise RunError(
                f"{file} does not fit its {CONFIG}: {printable(name[:100])} has {there} in the "
                f"file, {here} in the networks of those sizes."
            )
        if (kind := slices[name].get_dtype()) not in _FLOATS:
            raise RunError(
                f"{file} holds {name} as {kind}: quantised weights cannot be imported. Fetch those "
                "in float32 or float16."
            )


def _weights_file(folder: Path) -> Path:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    unsafe = [path.name for path in sorted(folder.glob("*")) if path.suffix in _UNSAFE]
    if unsafe:
        raise RunError(
            f"{folder} holds its weights as {printable(unsafe[0])}, a pickle, which could execute "
            f"anything when it is opened. Fetch {WEIGHTS[0]} instead, which most authors offer "
            "beside it; diffusers writes it with save_pretrained."
        )
    raise RunError(f"{folder} has a {CONFIG} but no {WEIGHTS[0]}: fetch that, too.")


def _read_json(folder: Path) -> dict[str, Any]:
    """What is in config.json."""
    file = folder / CONFIG
    if not file.is_file():
        raise RunError(f"{folder} {_instead(folder)}")
    try:
        if file.stat().st_size > _MOST_TEXT:
            raise RunError(f"{file} has more than a mebibyte: it is no configuration.")
        values = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{file} cannot be read as JSON ({str(error)[:200]}).") from None
    if not isinstance(values, dict):
        raise RunError(f"{file} is not the configuration of a network.")
    return values


def _instead(folder: Path) -> str:
    """What a folder without config.json is, and what to do."""
    if (folder / "config.yaml").is_file():
        return "is a run of ganvas already: give it as --first-stage, or to ganvas reconstruct."
    if (folder / "model_index.json").is_file():
        part = folder / "vae"
        return (
            "is a whole pipeline of diffusers, of which the autoencoder can be imported: ganvas "
            f"import {part}"
        )
    return (
        f"has no {CONFIG}. What can be imported: a folder of an AutoencoderKL as diffusers writes "
        "it, or a .pkl of StyleGAN2, StyleGAN3 or R3GAN."
    )
