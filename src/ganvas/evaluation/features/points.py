"""Points of the plane are their own features."""

import torch
from torch import Tensor

from ganvas.evaluation.features.base import Features, digest


class PointFeatures(Features):
    """The coordinates themselves, for 2-D toys."""

    name = "points"
    preparation = "none"
    size = 2

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.identity = digest({}, "points")

    def compute(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The points."""
        return images, None
