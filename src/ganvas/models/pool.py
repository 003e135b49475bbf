"""A pool of past fakes (Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4).

A discriminator that sees the newest fakes only forgets those before, and the generator can come
back to them. So half of what it sees are fakes of the past: CycleGAN keeps the last 50.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ganvas.models.phase import Draws


class ImagePool(nn.Module):
    """Past fakes, from which a batch of new ones takes some, leaving as many of its own.

    Until the pool is full, new fakes are stored and come back as they are. Then each, with
    probability 1/2, is stored in place of an old one, which comes back instead. The old ones of one
    batch are drawn without replacement (with one picture in a batch, as in the paper, there is no
    difference), so that rows do not depend on each other: processes and micro-batches exchange
    their own, and all hold the same pool.

    Args:
        size: Fakes to keep.
        shape: Of one, (C, H, W).
    """

    images: Tensor
    seen: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, fakes: Tensor, draws: Draws) -> Tensor:
        """What a discriminator shall see instead of new fakes (N, C, H, W).

        Args:
            fakes: Those of the rows at hand.
            draws: Of the whole batch, which gives every row a place in the pool and a coin.
        """
        count = min(draws.total, self.size)  # rows beyond have no place
        rows = torch.arange(count, device=fakes.device)
        coins = Draws(draws.generator, slice(count), draws.total).uniform() < 0.5
        order = torch.rand(self.size, generator=draws.generator, device=fakes.device).argsort()
        full = self.seen >= self.size
        places = torch.where(full, order[:count], (self.seen + rows) % self.size)
        stores = torch.where(full, coins, self.seen + rows < self.size)
        shown = fakes
        for start, part, mine in _of_all_processes(fakes, draws):
            placed = part[: max(0, count - start)]
            row = slice(start, start + len(placed))
            old, stored = self.images[places[row]], stores[row, None, None, None]
            self.images[places[row]] = torch.where(stored, placed, old)
            if mine:
                swapped = torch.where(stored & full, old, placed)
                shown = torch.cat([swapped, part[len(placed) :]])
        return shown

    def advance(self, fakes: int) -> None:
        """Note that a batch of so many, over all processes, has been exchanged."""
        self.seen += fakes


def _of_all_processes(fakes: Tensor, draws: Draws) -> list[tuple[int, Tensor, bool]]:
    """The fakes that each process exchanges right now, with their first row in the whole batch.

    The last entry says whether they are this process's own.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return [(draws.rows.start, fakes, True)]
    rank, world = dist.get_rank(), dist.get_world_size()
    mine = fakes.contiguous()
    parts = [torch.empty_like(mine) for _ in range(world)]
    dist.all_gather(parts, mine)
    share = draws.total // world
    first = draws.rows.start - rank * share
    return [(first + i * share, part, i == rank) for i, part in enumerate(parts)]
