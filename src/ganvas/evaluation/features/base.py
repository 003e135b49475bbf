"""Features: pictures in, vectors out, with an identity that a protocol can name."""

import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.errors import DataError


@dataclass(frozen=True)
class Extracted:
    """What features say about N pictures."""

    features: Tensor
    """(N, size) float32 on the CPU."""
    logits: Tensor | None
    """(N, classes) float32 on the CPU, of features that come from a classifier; else None."""


class Features(ABC):
    """A fixed map from pictures to vectors.

    Attributes:
        name: As in a protocol: "random", "inception", ...
        identity: SHA-256 over everything that the result depends on.
        preparation: How a picture is brought to the network's size, in words.
        size: Length of a vector.
        device: Where it is computed.
    """

    name: str
    identity: str
    preparation: str
    size: int
    device: torch.device

    @abstractmethod
    def compute(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features (B, size), and logits (B, classes) or None, of one batch.

        Takes float32 images (B, C, H, W) in [0, 255], or points (B, 2), on the device;
        differentiable where the network is.
        """

    @torch.no_grad()
    def extract(
        self, images: Tensor, *, batch: int = 64, advance: Callable[[int], None] | None = None
    ) -> Extracted:
        """The features of any number of pictures, in batches; the result does not depend on them.

        Args:
            images: (N, C, H, W) uint8 or float32 in [0, 255], or points (N, 2) float32.
            batch: Pictures at once.
            advance: Called with the number of pictures just done.

        Raises:
            DataError: There is no picture, or one has values that are not finite.
        """
        if len(images) == 0:
            raise DataError("There are no pictures to compute features of: give at least two.")
        features, logits = [], []
        for part in images.split(batch):
            values = part.to(self.device).float()
            if not bool(torch.isfinite(values).all()):
                raise DataError(
                    "A picture holds values that are not finite numbers (NaN), so it has no "
                    "features: its weights have diverged, or the file is damaged."
                )
            with exactly(self.device):
                vectors, scores = self.compute(values)
            features.append(vectors.float().cpu())
            if scores is not None:
                logits.append(scores.float().cpu())
            if advance is not None:
                advance(len(part))
        return Extracted(torch.cat(features), torch.cat(logits) if logits else None)


@contextlib.contextmanager
def exactly(device: torch.device) -> Iterator[None]:
    """Compute in float32 to the last digit, whatever precision the caller trains in."""
    was = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = was


def to_rgb(images: Tensor) -> Tensor:
    """Grey (N, 1, H, W) repeated, RGBA (N, 4, H, W) composited on white; float32 in [0, 255]."""
    channels = images.shape[1]
    if channels == 1:
        return images.expand(-1, 3, -1, -1)
    if channels == 4:
        alpha = images[:, 3:] / 255
        return images[:, :3] * alpha + 255 * (1 - alpha)
    return images


def digest(tensors: Mapping[str, Tensor], *facts: str) -> str:
    """SHA-256 over named tensors (by name, shape, type and bytes) and further facts."""
    total = hashlib.sha256("\n".join(facts).encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        total.update(value.view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
