"""The Inception score, for features that come with a classifier's logits."""

import torch
from torch import Tensor

from ganvas.errors import DataError


def inception_score(logits: Tensor, splits: int = 10) -> tuple[float, float]:
    """exp(E[KL(p(y|x) ‖ p(y))]): sure about every picture, and of all classes overall.

    Salimans et al. 2016, section 4. The pictures are split in order into equal parts; each is
    scored by itself.

    Args:
        logits: (N, classes), N >= `splits`.
        splits: Number of parts.

    Returns:
        The mean over the parts, between 1 and the number of classes, and their standard deviation
        (that of the parts themselves, as reported in the literature; not of the mean).

    Raises:
        DataError: There are fewer pictures than parts, or values that are not finite.
    """
    count = len(logits)
    if logits.ndim != 2 or count < splits:
        raise DataError(
            f"The Inception score over {splits} parts needs logits of at least {splits} pictures, "
            f"one row each, but their shape is {tuple(logits.shape)}: draw more pictures."
        )
    if not bool(logits.isfinite().all()):
        raise DataError(
            "The logits hold values that are not finite numbers (NaN or infinity), so there is no "
            "Inception score: the classifier's weights, or the pictures, are damaged."
        )
    log_p = logits.double().log_softmax(1)
    p = log_p.exp()
    scores = []
    for part in range(splits):
        rows = slice(part * count // splits, (part + 1) * count // splits)
        marginal = p[rows].mean(0)
        sureness = torch.dot(p[rows].flatten(), log_p[rows].flatten()) / len(p[rows])
        scores.append((sureness - torch.xlogy(marginal, marginal).sum()).exp())
    values = torch.stack(scores)
    return values.mean().item(), values.std(correction=0).item()
