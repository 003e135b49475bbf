"""How class labels enter a network."""

import torch.nn.functional as F
from torch import Tensor


def check_labels(labels: Tensor | None) -> Tensor:
    """The labels, or a ValueError where a conditional network got none."""
    if labels is None:
        raise ValueError("this network is class-conditional: it needs labels")
    return labels


def one_hot(labels: Tensor | None, classes: int) -> Tensor:
    """Labels (N,) -> float (N, classes) with a one in the label's column."""
    return F.one_hot(check_labels(labels), classes).float()
