"""Tiny versions of every recipe, and what tests do with them."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ganvas import api
from ganvas.models.gan_config import GanConfig
from ganvas.recipes import find_recipe
from ganvas.training.config import RunConfig


def tiny(recipe: str, *settings: str) -> RunConfig:
    """A recipe small enough to train in a second: 96 images of 16x16 in steps of 8 or 16."""
    model = find_recipe(recipe).model
    game = ["model.blocks=1"] if isinstance(model, GanConfig) else []
    if isinstance(model, GanConfig) and model.critic_steps > 1:
        game.append("model.critic_steps=2")
    return api.configure(
        recipe,
        resolution=16,
        images=96,
        settings=[
            *game,
            "data.images=40",
            "model.width=4",
            "model.latent_size=8",
            "training.batch=8",
            "training.log_every=8",
            "training.sample_every=48",
            "training.checkpoint_every=32",
            "training.score_every=0",
            "training.device=cpu",
            *settings,
        ],
    )


def train_quietly(config: RunConfig, out: Path) -> Path:
    """Train and say nothing."""
    return api.train(config, out=out, say=lambda line: None)


def final_state(run: Path) -> dict[str, Tensor]:
    """Every tensor of the newest checkpoint: weights, averages, optimisers."""
    newest = max((run / "checkpoints").glob("[0-9]*"), key=lambda path: int(path.name))
    saved = torch.load(newest / "state.pt", weights_only=True)
    tensors = {f"weights/{k}": v for k, v in load_file(newest / "weights.safetensors").items()}
    _collect(saved, "state", tensors)
    return tensors


def _collect(value: object, name: str, into: dict[str, Tensor]) -> None:
    if isinstance(value, Tensor):
        into[name] = value
    elif isinstance(value, dict):
        for key, item in value.items():
            _collect(item, f"{name}/{key}", into)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _collect(item, f"{name}/{i}", into)


def assert_same_bits(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    """Every tensor equal, bit for bit."""
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different, f"{len(different)} of {len(first)} tensors differ, first {different[:3]}"
