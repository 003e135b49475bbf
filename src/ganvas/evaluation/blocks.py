"""Two sets of feature vectors, checked, and compared block by block in bounded memory."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.errors import DataError

BLOCK = 2048
"""Samples on one side of a block: it holds 16 MB of distances, however many samples there are."""


def check(**sets: Tensor) -> None:
    """See that sets of feature vectors can be compared.

    Args:
        sets: (N, F) each, under the names that a message shall call them by.

    Raises:
        DataError: One has fewer than two samples or values that are not finite, or their features
            differ in number.
    """
    for name, values in sets.items():
        if values.ndim != 2 or values.shape[1] == 0:
            raise DataError(
                f"The {name} features have the shape {tuple(values.shape)}, but one row for each "
                "sample and one column for each feature are needed: flatten them to (N, F)."
            )
        if len(values) < 2:
            raise DataError(
                f"The {name} set has {len(values)} sample{'s' * (len(values) != 1)}, which is too "
                "few to compare distributions: give at least 2, and thousands for stable scores."
            )
        if not all(bool(part.isfinite().all()) for part in values.split(BLOCK)):
            raise DataError(
                f"The {name} features hold values that are not finite numbers (NaN or infinity), "
                "so no score can be computed: the weights of the model that drew the pictures, "
                "or those of the network behind the features, are damaged."
            )
    widths = {name: values.shape[1] for name, values in sets.items()}
    if len(set(widths.values())) > 1:
        seen = " and ".join(f"{width} ({name})" for name, width in widths.items())
        raise DataError(
            f"The sets have different numbers of features, {seen}, so they cannot be compared: "
            "extract all of them with the same network."
        )


def spans(count: int) -> list[slice]:
    """The rows of each block of `count` samples, in as few and as equal blocks as can be."""
    parts = -(-count // BLOCK)
    return [slice(i * count // parts, (i + 1) * count // parts) for i in range(parts)]


def average(values: Tensor) -> Tensor:
    """The mean (F,) float64 of samples (N, F), without a float64 copy of all of them."""
    total = torch.zeros(values.shape[1], dtype=torch.float64)
    for part in values.split(BLOCK):
        total += part.double().sum(0)
    return total / len(values)


def pack(block: Tensor) -> Tensor:
    """Prepare a block (B, F) of float32 for `products`, once for the many times it is used.

    torch multiplies dense float32 matrices with MKL. oneDNN, which it has too but keeps for tensors
    of its own kind, does 230 Gflop/s on one core of an AMD EPYC where MKL does 100.
    """
    usable = block.device.type == "cpu" and torch.backends.mkldnn.is_available()
    return block.to_mkldnn() if usable else block


def products(first: Tensor, second: Tensor) -> Tensor:
    """The inner products (A, B) float32 of the samples of two packed blocks."""
    result = F.linear(first, second)
    return result.to_dense() if result.is_mkldnn else result
