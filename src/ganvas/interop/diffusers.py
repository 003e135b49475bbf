"""`ganvas export --format diffusers`: folders that the library `diffusers` loads without ganvas.

An `autoencoder-kl` becomes an `AutoencoderKL`, a `latent-diffusion` a `StableDiffusionPipeline`.
The pipeline knows one number for the scale of all latents, where a run here has measured mean m and
standard deviation s of each channel. Both are folded into the linear maps beside the latents, so
that the exported autoencoder speaks of z' = (z - m) / s, and its scale is 1:

    encoder: mean' = (mean - m) / s,  log variance' = log variance - 2 log s
    decoder: W z + b  =  (W diag(s)) z' + (b + W m)
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganvas._version import __version__
from ganvas.errors import ConfigError
from ganvas.files import write_text
from ganvas.interop.autoencoder_folder import settings_of, weights_of
from ganvas.interop.new_run import check_free, new_folder
from ganvas.models.autoencoder_kl import AutoencoderKl
from ganvas.models.base import LatentModel
from ganvas.models.latent_diffusion import LatentDiffusion
from ganvas.models.sampling import scheduler_for

_PIPELINE = "StableDiffusionPipeline"
_PIPELINES_MULTIPLE = 8
"""Of pixels: what the sides of a pipeline's pictures must be multiples of."""

_LINEAR = ("quant_conv.weight", "quant_conv.bias", "post_quant_conv.weight", "post_quant_conv.bias")

_LEFT_OUT = ("safety_checker", "feature_extractor", "image_encoder")
"""Parts that a pipeline may do without."""

_USUAL_NAMES = {"TokenizersBackend": "PreTrainedTokenizerFast"}
"""Classes of transformers 5 by the names that transformers 4 has for them, too."""


@dataclass(frozen=True)
class Exported:
    """A folder for diffusers."""

    path: Path
    kind: str
    """The class that loads it."""
    lines: tuple[str, ...]
    """Of Python, that do so and use it."""


def export_diffusers(
    model: LatentModel, out: str | Path, pictures: Tensor | None = None
) -> Exported:
    """Write the folder of a model that diffusers has a class for.

    Args:
        model: An autoencoder-kl or a latent-diffusion, with the weights to use.
        out: The folder to make.
        pictures: (N, C, H, W) in [-1, 1], by which the scale of an autoencoder's latents is
            measured; without them it is said to be 1. A latent diffusion knows it.

    Raises:
        RunError: `out` is there already, or cannot be written. Nothing is left behind.
        ConfigError: diffusers has no class for this model, which the message explains, or it is not
            installed.
    """
    out = Path(out)
    check_free(out)
    if isinstance(model, LatentDiffusion):
        return _export_pipeline(model, out)
    if isinstance(model, AutoencoderKl):
        return _export_autoencoder(model, out, pictures)
    raise ConfigError(
        f"this model, a {type(model).__name__}, cannot be exported for diffusers: that has classes "
        "for autoencoder-kl and latent-diffusion only. The weights of every run are plain "
        "safetensors, in its checkpoints."
    )


@contextlib.contextmanager
def _library() -> Iterator[None]:
    """Within, transformers and diffusers are there and write without progress bars.

    Raises ConfigError where they are not installed.
    """
    try:
        import diffusers as _  # noqa: F401
        from transformers.utils import logging
    except ImportError as error:
        raise ConfigError(
            "the export for diffusers needs that library: pip install 'ganvas[diffusion]'."
        ) from error
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _export_autoencoder(model: AutoencoderKl, out: Path, pictures: Tensor | None) -> Exported:
    _check_sides(model)
    scale, said = 1.0, "was not measured and is said to be"
    if pictures is not None:
        scale, said = 1 / _deviation(model, pictures), f"by {len(pictures)} pictures is"
    about = (
        "The autoencoder of latent diffusion (Rombach et al. 2022), which makes pictures "
        f"{model.config.downsampling} times smaller. Its scaling_factor {said} {scale:.5g}."
    )
    with _library(), new_folder(out) as folder:
        _autoencoder(model, weights_of(model), scale).save_pretrained(folder)
        _write_card(folder, "Autoencoder", about, _use_of_autoencoder(out.name))
    return Exported(out, "AutoencoderKL", _use_of_autoencoder(str(out)))


def _use_of_autoencoder(place: str) -> tuple[str, ...]:
    return (
        "from diffusers import AutoencoderKL",
        f"autoencoder = AutoencoderKL.from_pretrained({json.dumps(place)})",
        "latents = autoencoder.encode(pictures).latent_dist.mean  # of (N, C, H, W) in [-1, 1]",
        "pictures = autoencoder.decode(latents).sample",
    )


def _export_pipeline(model: LatentDiffusion, out: Path) -> Exported:
    stage = _first_stage_of(model)
    with _library(), new_folder(out) as folder:
        _write_pipeline(model, stage, folder)
        use = _use_of_pipeline(model, out.name)
        _write_card(folder, "Latent diffusion", _about(model), use, "text-to-image")
    return Exported(out, _PIPELINE, _use_of_pipeline(model, str(out)))


def _use_of_pipeline(model: LatentDiffusion, place: str) -> tuple[str, ...]:
    sampling = model.config.sampling
    prompt = next(iter(model.examples), "")
    guidance = 1 if model.config.condition == "none" else sampling.guidance
    return (
        f"from diffusers import {_PIPELINE}",
        f"pipeline = {_PIPELINE}.from_pretrained({json.dumps(place)})",
        f"picture = pipeline({json.dumps(prompt, ensure_ascii=False)}, "
        f"num_inference_steps={sampling.steps}, guidance_scale={guidance:g}).images[0]",
    )


def _autoencoder(model: AutoencoderKl, weights: Mapping[str, Tensor], scale: float = 1.0) -> Any:
    """The library's autoencoder with these weights."""
    from diffusers import AutoencoderKL

    theirs = AutoencoderKL(**settings_of(model), scaling_factor=scale)
    theirs.load_state_dict({n: t.detach().cpu().contiguous() for n, t in weights.items()})
    return theirs


@torch.no_grad()
def _deviation(model: AutoencoderKl, pictures: Tensor) -> float:
    """The standard deviation of all latents of the pictures (Rombach et al. 2022, appendix G)."""
    parts = [model.maps_of(part.to(model.device)) for part in pictures.split(16)]
    return float(torch.cat(parts).std())


def folded(weights: Mapping[str, Tensor], mean: Tensor, std: Tensor) -> dict[str, Tensor]:
    """The weights of an autoencoder whose latents z become (z - mean) / std.

    Args:
        weights: With quant_conv and post_quant_conv.
        mean: Of each channel, C numbers of any shape.
        std: Likewise.
    """
    m, s = (numbers.detach().double().flatten() for numbers in (mean, std))
    by_row = torch.cat([1 / s, torch.ones_like(s)])  # the rows of means, then of log variances
    shift = torch.cat([-m / s, -2 * s.log()])
    encoder_w, encoder_b, decoder_w, decoder_b = (weights[name].double() for name in _LINEAR)
    new = (
        encoder_w * by_row[:, None, None, None],
        encoder_b * by_row + shift,
        decoder_w * s[None, :, None, None],
        decoder_b + decoder_w[:, :, 0, 0] @ m,
    )
    return {**weights, **{n: t.float() for n, t in zip(_LINEAR, new, strict=True)}}


def _check_sides(model: AutoencoderKl, multiple: int = 1) -> None:
    """Raise ConfigError for sizes of pictures that diffusers does not handle as this package does.

    Args:
        model: The autoencoder.
        multiple: Of which the sides must be multiples, besides being halved without a remainder.
    """
    _, height, width = model.shape
    halved = model.config.downsampling
    factor = max(halved, multiple)
    if height % factor or width % factor:
        is_mirrored = height % halved or width % halved
        reason = (
            f"{height}x{width} pixels (height x width) are mirrored beyond their border until they "
            f"can be made {halved} times smaller, which diffusers does not do"
            if is_mirrored
            else f"{height}x{width} pixels (height x width) are no size that a pipeline of "
            "diffusers draws"
        )
        raise ConfigError(
            f"this model cannot be exported: its pictures of {reason}. Sides that are multiples of "
            f"{factor} can be, such as --resolution {-(-max(height, width) // factor) * factor}."
        )


def _first_stage_of(model: LatentDiffusion) -> AutoencoderKl:
    """The first stage; ConfigError where a pipeline of diffusers cannot hold this model."""
    stage = model.first_stage
    if not isinstance(stage, AutoencoderKl):
        raise ConfigError(
            "this model cannot be exported: its first stage is a vqvae, whose networks diffusers "
            "has no class for. One with an autoencoder-kl as its first stage can be."
        )
    _check_sides(stage, _PIPELINES_MULTIPLE)
    kind = type(model.text_encoder).__name__
    if kind != "CLIPTextModel":
        raise ConfigError(
            f"this model cannot be exported: its captions are read by a {kind}, and a "
            "StableDiffusionPipeline reads them by CLIP. One that was trained with a CLIP as "
            "model.text_encoder, or with one of its own, can be."
        )
    return stage


def _write_pipeline(model: LatentDiffusion, stage: AutoencoderKl, folder: Path) -> None:
    """Every part in a folder of its own, and model_index.json, which names their classes."""
    scheduler = scheduler_for(model.config, model.config.sampling.sampler)
    # Without effect where times are counted from the end, as here; but any other number makes the
    # pipeline warn, and take this one.
    scheduler.register_to_config(steps_offset=1)
    parts = {
        "vae": _autoencoder(stage, folded(weights_of(stage), model.latent_mean, model.latent_std)),
        "unet": model.unet,
        "text_encoder": model.text_encoder,
        "tokenizer": model.tokenizer,
        "scheduler": scheduler,
    }
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    _rename(folder / "tokenizer" / "tokenizer_config.json")
    index = {
        "_class_name": _PIPELINE,
        **{name: list(_loaded_by(part)) for name, part in parts.items()},
        **{name: [None, None] for name in _LEFT_OUT},
        "requires_safety_checker": False,
    }
    write_text(folder / "model_index.json", json.dumps(index, indent=1))


def _loaded_by(part: Any) -> tuple[str, str]:
    """Library and class of a part of a pipeline."""
    kind = type(part)
    return kind.__module__.partition(".")[0], _USUAL_NAMES.get(kind.__name__, kind.__name__)


def _rename(file: Path) -> None:
    """Call the class in a tokenizer_config.json by the name that all versions know it by."""
    values = json.loads(file.read_bytes())
    name = values["tokenizer_class"]
    values["tokenizer_class"] = _USUAL_NAMES.get(name, name)
    write_text(file, json.dumps(values, indent=1))


def _write_card(folder: Path, name: str, about: str, lines: Sequence[str], tag: str = "") -> None:
    """README.md, which a model on a hub shows: what it is, and how to use it with diffusers."""
    head = ("---", "library_name: diffusers", *([f"pipeline_tag: {tag}"] if tag else []), "---")
    code = ("```python", *lines, "```")
    text = (*head, "", f"# {name}", "", about, "", *code, "", f"Made by ganvas {__version__}.", "")
    write_text(folder / "README.md", "\n".join(text))


def _about(model: LatentDiffusion) -> str:
    _, height, width = model.shape
    what = {
        "none": "The prompt is empty.",
        "class": f"The prompt is a class: {', '.join(model.classes[:100])}.",
        "text": "The prompt is a caption in the words that the model knows: see "
        "tokenizer/tokenizer.json.",
    }[model.config.condition]
    return (
        f"A latent diffusion model (Rombach et al. 2022) for pictures of {height}x{width} pixels "
        f"(height x width). {what}"
    )
