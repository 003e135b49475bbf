"""DINOv2 (Oquab et al. 2023), whose Fréchet distance agrees best with people's judgement.

Stein et al. 2023 (arXiv 2306.04675) compare features for the evaluation of generative models and
recommend the class token of DINOv2's ViT-L/14. The network comes from the extra `dinov2`.
"""

import math
import re
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.errors import ConfigError, DataError
from ganvas.evaluation.features.base import Features, digest, to_rgb

SIDE = 224
"""Height and width that pictures are brought to."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet

_ADVICE = (
    "Give a model such as facebook/dinov2-large, or a folder with its config.json and "
    "model.safetensors."
)

_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


class Dinov2Features(Features):
    """The class token of a DINOv2 network: 1024 numbers for ViT-L/14; no logits.

    Args:
        device: Where to compute.
        model: A name on the Hugging Face hub, or a folder with `config.json` and
            `model.safetensors` as one gets them from there.

    Raises:
        ConfigError: The package transformers is missing, or there is no such folder.
        DataError: The model cannot be downloaded or read, or is not a DINOv2.
    """

    name = "dinov2"
    preparation = f"antialiased bicubic to {SIDE}x{SIDE}, ImageNet mean and deviation"

    def __init__(self, device: torch.device, model: str = "facebook/dinov2-large") -> None:
        self.device = device
        network = load_dinov2(model)
        weights = _weights_digest(network)
        _fit_positions(network)
        config = network.config
        facts = (config.num_attention_heads, config.layer_norm_eps, config.hidden_act)
        self.size = int(config.hidden_size)
        self.identity = digest({}, weights, self.name, self.preparation, str(facts))
        self._network = network.to(device)
        self._mean = torch.tensor(_MEAN, device=device).view(3, 1, 1)
        self._std = torch.tensor(_STD, device=device).view(3, 1, 1)

    def compute(self, images: Tensor) -> tuple[Tensor, None]:
        """Features (B, size)."""
        x = F.interpolate(
            to_rgb(images), (SIDE, SIDE), mode="bicubic", align_corners=False, antialias=True
        )
        x = (x.clamp(0, 255) / 255 - self._mean) / self._std  # bicubic overshoots
        return self._network(x).last_hidden_state[:, 0], None


def load_dinov2(model: str) -> Any:
    """A `transformers.Dinov2Model` in float32 that is ready for use; see `Dinov2Features`."""
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(
            f"The features dinov2 need the package transformers, which cannot be imported "
            f"({error}). Install it with: pip install transformers"
        ) from None
    source = _located(model)
    safe = {"trust_remote_code": False, "local_files_only": _is_here(source)}
    try:
        config = transformers.AutoConfig.from_pretrained(source, **safe)
        if config.model_type != "dinov2":
            raise DataError(f"{model} is a {config.model_type}, not a DINOv2. {_ADVICE}")
        network, report = transformers.Dinov2Model.from_pretrained(
            source, config=config, use_safetensors=True, output_loading_info=True, **safe
        )
    except DataError:
        raise
    except Exception as error:  # transformers, the hub and safetensors raise dozens of types
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(
            f"The DINOv2 model {model} cannot be loaded: {reason[0]} {_ADVICE} Without a "
            "connection, a folder copied from another machine works."
        ) from None
    if missing := sorted(report["missing_keys"]):  # transformers would leave them random
        raise DataError(
            f"The DINOv2 model {model} is not whole: it lacks {missing[0]} ({len(missing)} such "
            f"weights in all). {_ADVICE}"
        )
    return network.float().eval().requires_grad_(False)


def _located(model: str) -> Path | str:
    """The folder, or the name on the hub, that `model` stands for."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists() or not _HUB_NAME.fullmatch(model):
        raise ConfigError(
            f"{model} is neither a folder nor a name on the Hugging Face hub. {_ADVICE}"
        )
    return model


def _is_here(source: Path | str) -> bool:
    """Whether no connection is needed: a folder, or a model that the hub's cache holds."""
    if isinstance(source, Path):
        return True
    from huggingface_hub import try_to_load_from_cache

    files = ("config.json", "model.safetensors")
    return all(isinstance(try_to_load_from_cache(source, file), str) for file in files)


def _weights_digest(network: Any) -> str:
    """A hash of the weights whatever they are called: their names change with transformers."""
    return digest({}, *sorted(digest({"": value}) for value in network.state_dict().values()))


def _fit_positions(network: Any) -> None:
    """Bring the position embeddings to pictures of 224, as DINOv2's own code does.

    They are learnt for 518 pixels, a grid of 37x37. DINOv2 scales them to 16x16 by the factor
    16.1 / 37, which transformers does not, and Stein et al. used DINOv2's code.
    """
    positions = network.embeddings.position_embeddings  # (1, 1 + grid * grid, size)
    grid, cells = math.isqrt(positions.shape[1] - 1), SIDE // network.config.patch_size
    if grid == cells:
        return
    maps = positions[:, 1:].unflatten(1, (grid, grid)).permute(0, 3, 1, 2)
    scale = (cells + 0.1) / grid
    fitted = F.interpolate(maps, scale_factor=(scale, scale), mode="bicubic")
    patches = fitted.flatten(2).transpose(1, 2)
    network.embeddings.position_embeddings = nn.Parameter(
        torch.cat([positions[:, :1], patches], dim=1), requires_grad=False
    )
