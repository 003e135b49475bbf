"""The frozen network of LPIPS (Zhang et al. 2018), from files that were downloaded by hand."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ganvas.errors import ConfigError, DataError
from ganvas.networks.perceptual import VggEyes

CONVOLUTIONS, CHANNELS = "vgg16-397923af.pth", "vgg.pth"
"""As torchvision publishes VGG16's weights, and the authors of LPIPS those of its channels."""

_MAX_BYTES = 2**30


def open_lpips(folder: Path, shape: tuple[int, ...]) -> VggEyes:
    """The network of two files in a folder, of which nothing is executed.

    Args:
        folder: Holds `vgg16-397923af.pth` and `vgg.pth`.
        shape: Of the pictures to look at, (C, H, W).

    Raises:
        ConfigError: A file is not there, or the pictures are too small for it.
        DataError: A file is damaged, or another one.
    """
    if min(shape[1:]) < VggEyes.SMALLEST:
        raise ConfigError(
            f"model.perceptual=lpips needs pictures of {VggEyes.SMALLEST} pixels or more each way, "
            f"but these have {shape[2]}x{shape[1]}: set model.perceptual=random."
        )
    convolutions, channels = (_read(folder / name) for name in (CONVOLUTIONS, CHANNELS))
    try:
        return VggEyes(convolutions, channels)
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{CONVOLUTIONS} and {CHANNELS} in {folder} are not the weights of VGG16 and of LPIPS "
            f"({error}). Get them from torchvision and from the authors of LPIPS, or set "
            "model.perceptual=random."
        ) from None


def _read(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file."""
    if not path.is_file():
        raise ConfigError(
            f"model.lpips_weights: there is no file {path}. Put {CONVOLUTIONS} (of torchvision) "
            f"and {CHANNELS} (of LPIPS) into one folder, or set model.perceptual=random."
        )
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path} has more than {_MAX_BYTES >> 20} MiB: it is another file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is no weights: it is refused below
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} holds no weights ({reason}). Get it again.") from None
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise DataError(f"{path} holds no weights, but something else. Get it again.")
    return found
