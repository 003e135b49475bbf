"""Tiny versions of every recipe, and what tests do with them."""

import tempfile
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ganvas import api
from ganvas.models import ModelConfig, build_model
from ganvas.models.autoencoder_kl import AutoencoderKlConfig
from ganvas.models.base import Model
from ganvas.models.diffusion_config import LatentDiffusionConfig
from ganvas.models.first_stage import FirstStageConfig
from ganvas.models.gan_config import GanConfig
from ganvas.models.reading import Captions
from ganvas.models.stylegan_config import StyleGanConfig
from ganvas.models.translation_config import CycleGanConfig, TranslationConfig
from ganvas.recipes import RECIPES, find_recipe
from ganvas.training.config import RunConfig
from ganvas.training.first_stage import with_first_stage

OTHER_SIZES = {
    "stylegan2-512": "stylegan2",
    "stylegan2-1024": "stylegan2",
    "stylegan2-tiny": "stylegan2",
    "stylegan3-tiny": "stylegan3-t",
    "vqvae-tiny": "vqvae",
    "autoencoder-kl-tiny": "autoencoder-kl",
    "pix2pix-tiny": "pix2pix",
    "cyclegan-tiny": "cyclegan",
    "latent-diffusion": "latent-diffusion-tiny",  # and in what is predicted at which times
}
"""Recipes that differ from another one in sizes, rates and weights only."""

DISTINCT = [name for name in RECIPES if name not in OTHER_SIZES]
"""Recipes to run tests over."""

TRANSLATING = [n for n in DISTINCT if isinstance(RECIPES[n].model, TranslationConfig)]
"""Those of them that translate pictures, ..."""

DRAWING = [name for name in DISTINCT if name not in TRANSLATING]
"""... and those that have latents."""

TAKING_CLASSES = [n for n in DISTINCT if "conditional" in type(RECIPES[n].model).model_fields]
"""Those of them that can learn classes."""


def tiny(recipe: str, *settings: str) -> RunConfig:
    """A recipe small enough to train in a second: 96 images of 16x16 in steps of 8 or 16."""
    diffuses = isinstance(find_recipe(recipe).model, LatentDiffusionConfig)
    return api.configure(
        recipe,
        resolution=16,
        images=96,
        first_stage=first_stage() if diffuses else None,
        settings=[
            *_smaller(find_recipe(recipe).model),
            "data.images=40",
            "model.width=4",
            "training.batch=8",
            "training.log_every=8",
            "training.sample_every=48",
            "training.checkpoint_every=32",
            "training.score_every=0",
            "training.device=cpu",
            *settings,
        ],
    )


@cache
def first_stage() -> Path:
    """The run of an autoencoder that hardly learnt anything, with maps of 3x8x8."""
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="ganvas-first-stage-"))
    sizes = ("model.downsampling=2", "model.latent_channels=3", "training.images=16")
    return train_quietly(tiny("autoencoder-kl", *sizes), Path(_FOLDERS[0].name) / "run")


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
"""Removed when the tests end."""


def _smaller(model: ModelConfig) -> list[str]:
    """What makes the model of a recipe small, as far as not every model has it."""
    if isinstance(model, TranslationConfig):
        own = ["pool=10"] if isinstance(model, CycleGanConfig) else []
        sizes = ["blocks=1", "discriminator_width=4", "discriminator_layers=1", "r1_every=4", *own]
        return [f"model.{size}" for size in sizes]
    if isinstance(model, AutoencoderKlConfig):
        sizes = ["blocks=1", "discriminator_width=4", "discriminator_layers=1"]
        return [f"model.{size}" for size in (*sizes, "adversarial_from=0.5")]
    if isinstance(model, FirstStageConfig):
        return ["model.codes=8", "model.code_size=4"]
    if isinstance(model, LatentDiffusionConfig):
        sizes = ["multipliers=[1,2]", "blocks=1", "attention=[1]", "head_size=4", "text_width=8"]
        more = ["text_layers=1", "condition=text", "sampling={sampler: ddim, steps: 2}"]
        return [f"model.{size}" for size in (*sizes, *more)]
    latents = "model.latent_size=8"
    if isinstance(model, GanConfig):
        steps = min(model.critic_steps, 2)
        return [latents, "model.blocks=1", f"model.critic_steps={steps}"]
    if isinstance(model, StyleGanConfig):
        every = min(model.r1_every, 4)
        sizes = ["max_width=8", "mapping_layers=2", f"r1_every={every}", "path_length_every=2"]
        if model.discriminator_max_width is not None:
            sizes += ["discriminator_width=4", "discriminator_max_width=4"]
        return [latents, *(f"model.{size}" for size in sizes)]
    return [latents]


CAPTIONS = Captions(("a", "ball", "blue", "red"), 3, ("a red ball", "a blue ball"))
"""What a model that reads is told where no data is at hand."""


def model_of(
    config: RunConfig,
    shape: tuple[int, ...],
    classes: tuple[str, ...] = (),
    target_shape: tuple[int, ...] | None = None,
) -> Model:
    """The model of a configuration; its first stage, if it has one, is as it was drawn."""
    return build_model(with_first_stage(config).model, shape, classes, target_shape, CAPTIONS)


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
    different = [name for name in first if not is_same(first[name], second[name])]
    assert not different, f"{len(different)} of {len(first)} tensors differ, first {different[:3]}"


def is_same(first: Tensor, second: Tensor) -> bool:
    """Whether all numbers are equal, those that are not known yet (NaN) included."""
    if first.shape != second.shape:
        return False
    unknown = first.isnan() & second.isnan()
    return bool(((first == second) | unknown).all())
