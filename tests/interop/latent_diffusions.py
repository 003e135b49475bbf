"""Latent diffusions with random weights, small enough to draw in a moment, and runs of them."""

import json
from dataclasses import asdict
from pathlib import Path

import torch

from ganvas.data.sources import IMPORTED
from ganvas.interop.new_run import write_run
from ganvas.models.autoencoder_kl import AutoencoderKlConfig
from ganvas.models.diffusion_config import LatentDiffusionConfig
from ganvas.models.latent_diffusion import LatentDiffusion
from ganvas.models.reading import Captions
from ganvas.models.vqvae import VqVaeConfig
from ganvas.training.checkpoint import TrainingState
from ganvas.training.config import RunConfig
from ganvas.training.ema import Ema
from ganvas.training.step import make_optimizers

CLASSES = {"none": (), "class": ("cat", "Big dog"), "text": ()}
PROMPTS = {"none": ("", ""), "class": ("cat", "Big dog"), "text": ("A red hat", "a bald man, red")}
CAPTIONS = Captions(("!", ",", "a", "bald", "hat", "man", "red"), 5, PROMPTS["text"])


def small(
    condition: str = "text",
    size: tuple[int, int] = (16, 16),
    *,
    first_stage: AutoencoderKlConfig | VqVaeConfig | None = None,
    **settings: object,
) -> LatentDiffusion:
    """A model whose latents have means and deviations as if they had been measured."""
    torch.manual_seed(1)
    stage = first_stage or AutoencoderKlConfig(width=8, blocks=1, downsampling=2)
    config = LatentDiffusionConfig.parse(
        {
            "condition": condition,
            "first_stage": {"model": stage.model_dump()},
            "width": 32,
            "text_width": 32,
            "text_layers": 1,
            "sampling": {"steps": 3},
            **settings,
        }
    )
    captions = CAPTIONS if condition == "text" else None
    model = LatentDiffusion(config, (3, *size), CLASSES[condition], captions).eval()
    model.latent_mean.copy_(torch.randn(model.latent_shape[0], 1, 1))
    model.latent_std.copy_(torch.rand(model.latent_shape[0], 1, 1) + 0.2)
    return model.requires_grad_(False)


def as_run(model: LatentDiffusion, folder: Path) -> Path:
    """A run folder of the model, as a training would leave it."""
    channels, *resolution = model.shape
    config = RunConfig.parse(
        {
            "model": model.config.model_dump(),
            "data": {"source": IMPORTED, "resolution": resolution, "channels": channels},
            "training": {"device": "cpu"},
        }
    )
    folder.mkdir()
    for name in model.networks:
        model.get_submodule(name).requires_grad_(True)
    state = TrainingState(model, Ema(model), make_optimizers(model))
    write_run(folder, config, state, CLASSES[model.config.condition], {})
    if model.config.condition == "text":
        summary = json.loads((folder / "data.json").read_text())
        summary["captions"] = {**asdict(CAPTIONS), "fingerprint": ""}
        (folder / "data.json").write_text(json.dumps(summary))
    return folder
