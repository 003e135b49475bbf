"""Sets of features that the tests of metrics share."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from ganvas.evaluation import blocks

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
NAMES = ("gaussian", "collapsed")


@cache
def golden(name: str) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Tensors and the numbers that the field's libraries gave for them; skips where absent."""
    path = GOLDEN / f"metrics_{name}.safetensors"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this checkout")
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["expected"])


def normal(count: int, size: int, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, size, generator=generator) * scale + shift


def in_blocks(monkeypatch: pytest.MonkeyPatch, compute: Callable[[], Tensor]) -> list[Tensor]:
    """The result with blocks of 1, 7 and 500 samples."""
    results = []
    for size in (1, 7, 500):
        monkeypatch.setattr(blocks, "BLOCK", size)
        results.append(compute())
    return results
