"""Judges for tests: cheap, and a function of the weights alone."""

import hashlib
from collections.abc import Callable, Sequence

import torch

from ganvas.models.base import Model


def fingerprint(model: Model) -> bytes:
    """A hash of all weights."""
    total = hashlib.sha256()
    for tensor in model.state_dict().values():
        total.update(tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return total.digest()


class HashJudge:
    """A number in [0, 1) that looks random, so that the best comes anywhere."""

    name = "hash of the weights"

    def __call__(self, model: Model) -> float:
        return int.from_bytes(fingerprint(model)[:6]) / 2**48


class ScriptedJudge:
    """Gives weights that it sees for the first time the next score of a list, then the same.

    A score may also be what is called to give it, such as to raise an error.
    """

    name = "scripted"

    def __init__(self, scores: Sequence[float | Callable[[], float]]) -> None:
        self._scores = list(scores)
        self._given: dict[bytes, float | Callable[[], float]] = {}
        self.seen: list[bytes] = []
        """The weights that were judged, in order."""

    def __call__(self, model: Model) -> float:
        key = fingerprint(model)
        self.seen.append(key)
        if key not in self._given:
            self._given[key] = self._scores[len(self._given)]
        score = self._given[key]
        return score() if callable(score) else score
