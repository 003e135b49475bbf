"""Batches from a pack: a pure function of the seed and of how many images were shown before."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ganvas.errors import ConfigError

from .pack import Pack

_MIRROR, _TOP, _LEFT, _STREAMS = 0, 1, 2, 3
"""What random numbers are drawn for; the second domain's own ones follow after `_STREAMS`."""


class Loader:
    """Gives every rank its share of every batch; it has no state that would need saving.

    Each epoch is a permutation of the rows that depends on (seed, epoch) alone; a batch may
    straddle two epochs. Whether a picture is mirrored, and which window of it is shown, depends on
    (seed, position) alone. So a run resumes at any image, and the shares of all ranks, one after
    the other, are the batch that a single process gets.

    Args:
        pack: The pictures, with those of a second domain where there is one.
        batch: Images per step over all ranks.
        seed: Of the order, the mirroring and the windows.
        rank: This process, from 0.
        world: Number of processes.
        flip: Mirror left to right half of the time (pictures only).
        rows: The rows of the pack to show, int64; all by default.
        target_rows: The same of `pack.target`, where they are not shown as pairs.
        paired: Show of the second domain what belongs to the images: the same rows, mirrored and
            cut alike. Else it has an order of its own.
        jitter: Show windows of 1 / (1 + jitter) of the sides, enlarged (pictures only).
        tokens: The caption of each row of the pack as the numbers of its words, (len(pack), L).

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
        target_rows: NDArray[np.int64] | None = None,
        paired: bool = False,
        jitter: float = 0.0,
        tokens: NDArray[np.int64] | None = None,
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
        self._jitter = jitter if pack.images.ndim == 4 else 0.0
        self._paired = paired
        self._tokens = tokens
        self._order = _Order((), np.arange(len(pack)) if rows is None else rows, seed)
        self._target_order = self._order
        if pack.target is not None and not paired:
            chosen = np.arange(len(pack.target)) if target_rows is None else target_rows
            self._target_order = _Order((1,), chosen, seed)

    def fetch(self, position: int) -> tuple[Tensor, Tensor | None]:
        """The part of this rank of the batch that follows after `position` images.

        Args:
            position: How many images were shown so far, over all ranks.

        Returns:
            Images, uint8 or uint16 (B, C, H, W) in channels_last memory, or points, float32 (B, 2);
            and their labels, int64 (B,), or None. B is batch / world.
        """
        positions = self._positions(position)
        rows = self._order.rows(positions)
        labels = self._pack.labels
        images = self._shown(self._pack.images[rows], positions, stream=0)
        return images, None if labels is None else torch.from_numpy(labels[rows])

    def fetch_target(self, position: int) -> Tensor | None:
        """What `fetch` gives of the second domain, (B, C', H', W'); None where there is none."""
        if self._pack.target is None:
            return None
        positions = self._positions(position)
        images = self._pack.target.images[self._target_order.rows(positions)]
        return self._shown(images, positions, stream=0 if self._paired else _STREAMS)

    def fetch_captions(self, position: int) -> Tensor | None:
        """The captions of what `fetch` gives, int64 (B, L); None where there are none."""
        if self._tokens is None:
            return None
        return torch.from_numpy(self._tokens[self._order.rows(self._positions(position))])

    def _positions(self, position: int) -> NDArray[np.int64]:
        return np.arange(self._share) + (position + self._offset)

    def _shown(self, images: NDArray[Any], positions: NDArray[np.int64], stream: int) -> Tensor:
        """Pictures of a pack (B, H, W, C), mirrored and cut as their positions have it."""
        if self._flip:
            mirrored = uniform(self._seed, positions, stream + _MIRROR) >= 0.5
            images[mirrored] = images[mirrored, :, ::-1]
        if self._jitter:
            top = uniform(self._seed, positions, stream + _TOP)
            left = uniform(self._seed, positions, stream + _LEFT)
            return enlarged_windows(images, self._jitter, top, left)
        batch = torch.from_numpy(images)
        return batch.permute(0, 3, 1, 2) if images.ndim == 4 else batch


class _Order:
    """Rows in an order of their own in every epoch, which depends on (seed, epoch, key) alone."""

    def __init__(self, key: tuple[int, ...], chosen: NDArray[np.int64], seed: int):
        self._key = key
        self._chosen = chosen
        self._seed = seed
        self._permutation = lru_cache(maxsize=2)(self._permute)

    def rows(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows at these places of the endless row of epochs."""
        epochs, within = np.divmod(positions, len(self._chosen))
        rows = np.empty_like(positions)
        for epoch in np.unique(epochs).tolist():
            mine = epochs == epoch
            rows[mine] = self._permutation(epoch)[within[mine]]
        return rows

    def _permute(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, epoch, *self._key]).permutation(self._chosen)


def enlarged_windows(
    images: NDArray[Any], jitter: float, top: NDArray[np.float64], left: NDArray[np.float64]
) -> Tensor:
    """Cut a window out of each picture and enlarge it, by bicubic interpolation, to full size.

    "Random jitter" of Isola et al. 2017 (appendix 6.2): they resize 256 x 256 pixels to 286 x 286
    and cut 256 x 256 out of those, which is to enlarge a window of 1 / 1.117 of the sides.

    Args:
        images: (N, H, W, C).
        jitter: The window has 1 / (1 + jitter) of both sides, in whole pixels.
        top: (N,) in [0, 1): where each window lies, from the uppermost place to the lowest.
        left: The same from left to right.

    Returns:
        (N, C, H, W) in channels_last memory, of the same type.
    """
    _, height, width, _ = images.shape
    size = (round(height / (1 + jitter)), round(width / (1 + jitter)))
    places = np.lib.stride_tricks.sliding_window_view(images, size, axis=(1, 2))
    rows = (top * places.shape[1]).astype(np.int64)
    columns = (left * places.shape[2]).astype(np.int64)
    windows = torch.from_numpy(places[np.arange(len(images)), rows, columns])  # (N, C, h, w)
    wide = windows.dtype == torch.uint16  # which torch cannot interpolate
    full = functional.interpolate(
        windows.float() if wide else windows, (height, width), mode="bicubic"
    )
    if wide:
        full = full.round_().clamp_(0, 65535).to(torch.uint16)
    return full.contiguous(memory_format=torch.channels_last)


def uniform(seed: int, positions: NDArray[np.int64], stream: int) -> NDArray[np.float64]:
    """A number in [0, 1) for every position that depends on (seed, position, stream) alone.

    The upper 53 bits of the SplitMix64 mix (Steele, Lea, Flood 2014) of them.
    """
    golden = np.uint64(0x9E3779B97F4A7C15)
    start = np.uint64(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0])
    z = start + (positions.astype(np.uint64) + np.uint64(1)) * golden
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def to_model_range(images: Tensor) -> Tensor:
    """uint8 or uint16 images as float32 in [-1, 1], on their device; floats unchanged."""
    if images.is_floating_point():
        return images
    half = 32767.5 if images.dtype == torch.uint16 else 127.5
    return images.to(torch.float32).div_(half).sub_(1.0)
