"""Batches from a pack: a pure function of the seed and of how many images were shown before."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas.errors import ConfigError

from .pack import Pack


class Loader:
    """Gives every rank its share of every batch; it has no state that would need saving.

    Each epoch is a permutation of the rows that depends on (seed, epoch) alone; a batch may
    straddle two epochs. Whether a picture is mirrored depends on (seed, position) alone. So a run
    resumes at any image, and the shares of all ranks, one after the other, are the batch that a
    single process gets.

    Args:
        pack: The pictures.
        batch: Images per step over all ranks.
        seed: Of the order and the mirroring.
        rank: This process, from 0.
        world: Number of processes.
        flip: Mirror left to right half of the time (pictures only).
        rows: The rows of the pack to show, int64; all by default.

    Raises:
        ConfigError: `batch` is not a multiple of `world`.
    """

    def __init__(
        self,
        pack: Pack,
        *,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        flip: bool = False,
        rows: NDArray[np.int64] | None = None,
    ):
        if batch < 1 or batch % world:
            raise ConfigError(
                f"The batch of {batch} cannot be shared by {world} processes equally: choose a "
                f"multiple of {world}, such as {max(1, round(batch / world)) * world}."
            )
        self._pack = pack
        self._seed = seed
        self._share = batch // world
        self._offset = rank * self._share
        self._flip = flip and pack.images.ndim == 4
        self._chosen = np.arange(len(pack)) if rows is None else rows
        self._order = lru_cache(maxsize=2)(self._permutation)

    def fetch(self, position: int) -> tuple[Tensor, Tensor | None]:
        """The part of this rank of the batch that follows after `position` images.

        Args:
            position: How many images were shown so far, over all ranks.

        Returns:
            Images, uint8 (B, C, H, W) in channels_last memory, or points, float32 (B, 2); and their
            labels, int64 (B,), or None. B is batch / world.
        """
        positions = np.arange(self._share) + (position + self._offset)
        rows = self._rows(positions)
        images = self._pack.images[rows]
        if self._flip:
            mirrored = coin(self._seed, positions)
            images[mirrored] = images[mirrored, :, ::-1]
        batch = torch.from_numpy(images)
        if images.ndim == 4:
            batch = batch.permute(0, 3, 1, 2)
        labels = self._pack.labels
        return batch, None if labels is None else torch.from_numpy(labels[rows])

    def _rows(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        epochs, within = np.divmod(positions, len(self._chosen))
        rows = np.empty_like(positions)
        for epoch in np.unique(epochs).tolist():
            mine = epochs == epoch
            rows[mine] = self._order(epoch)[within[mine]]
        return rows

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, epoch]).permutation(self._chosen)


def coin(seed: int, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """A fair coin for every position that depends on (seed, position) alone.

    The top bit of the SplitMix64 mix (Steele, Lea, Flood 2014) of both.
    """
    golden = np.uint64(0x9E3779B97F4A7C15)
    start = np.uint64(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
    z = start + (positions.astype(np.uint64) + np.uint64(1)) * golden
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z >> np.uint64(63)).astype(bool)


def to_model_range(images: Tensor) -> Tensor:
    """uint8 images as float32 in [-1, 1] (x / 127.5 - 1) on their device; floats unchanged."""
    if images.is_floating_point():
        return images
    return images.to(torch.float32).div_(127.5).sub_(1.0)
