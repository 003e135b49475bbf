"""Which device, which number format and whether to compile: the answers to `auto`."""

import contextlib
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from ganvas.errors import ConfigError

Precision = Literal["float32", "bfloat16"]

_COMPILE_PAYS_FROM = 2_000_000
"""Images from which minutes of compilation are a small part of a run on a GPU."""


def resolve_device(name: str) -> torch.device:
    """The device of a name; `auto` takes CUDA, then Apple's MPS, then the CPU."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(name, True):
        raise ConfigError(
            f"training.device is {name}, but this PyTorch ({torch.__version__}) sees no such "
            "device. Use --set training.device=auto, or install a PyTorch built for it."
        )
    return torch.device(name)


def resolve_precision(name: str, device: torch.device, model: nn.Module) -> Precision:
    """`auto` takes bfloat16 where it pays: for convolutions, on hardware with bfloat16 arithmetic.

    Measured with benchmarks/training.py: 1.7 times float32 on a CPU with AVX512-BF16.
    """
    if name != "auto":
        return "bfloat16" if name == "bfloat16" else "float32"
    convolutional = any(weight.ndim == 4 for weight in model.parameters())
    return "bfloat16" if convolutional and _has_bfloat16(device) else "float32"


def resolve_compile(setting: bool | str, device: torch.device, images: int) -> bool:
    """`auto` compiles on CUDA for long runs only."""
    if setting == "auto":
        return device.type == "cuda" and images >= _COMPILE_PAYS_FROM
    return bool(setting)


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """The context in which losses are computed."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    cpuinfo = Path("/proc/cpuinfo")  # torch has no public way to ask
    flags = cpuinfo.read_text(errors="replace") if cpuinfo.exists() else ""
    return "amx_bf16" in flags or "avx512_bf16" in flags
