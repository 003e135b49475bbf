"""Small stand-ins for published networks: the right architecture, weights from a seed."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

GOLDEN = Path(__file__).parents[4] / "shared" / "golden" / "inception_seeded.safetensors"

needs_golden = pytest.mark.skipif(not GOLDEN.exists(), reason="shared/golden is not there")


def inception_state() -> dict[str, Tensor]:
    """Weights for every tensor of the published Inception, as the golden numbers were made with."""
    with safe_open(GOLDEN, "pt") as file:
        shapes = json.loads(file.metadata()["about"])["keys"]
    return {name: _fill(name, tuple(shape)) for name, shape in shapes.items()}


def golden(name: str) -> Tensor:
    with safe_open(GOLDEN, "pt") as file:
        tensor: Tensor = file.get_tensor(name)
    return tensor


def _fill(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    a = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if name.endswith("running_var"):
        a = 0.5 * abs(a) + 0.75
    elif name.endswith("bn.weight"):
        a = 1 + 0.1 * a
    elif name.endswith(("running_mean", "bias")):
        a = 0.1 * a
    else:
        a *= np.float32(np.sqrt(2 / np.prod(shape[1:])))
    return torch.from_numpy(np.asarray(a, np.float32))


def tiny_dinov2(folder: Path, seed: int = 0) -> Path:
    """A DINOv2 of two narrow layers, saved in `folder` as `transformers` saves one."""
    transformers = pytest.importorskip("transformers", reason="the extra dinov2 is not installed")
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=518, patch_size=14
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        transformers.Dinov2Model(config).save_pretrained(folder)
    return folder
