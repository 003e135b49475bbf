"""A codebook that learns as moving averages (van den Oord et al. 2017, appendix A.1)."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

_AT_ONCE = 2**14
"""Vectors compared with all codes at a time: the distances must fit into memory."""


class Codebook(nn.Module):
    """Replaces vectors by the nearest of K codes; each code becomes the mean of its vectors.

    With n_i the vectors of an update that fell to code i, and g the decay (eq. 6 to 8):

        N_i <- g N_i + (1 - g) n_i,   m_i <- g m_i + (1 - g) (their sum),   e_i = m_i / N_i

    A code of which N_i falls below a share of an even use is dead: it takes the place of a vector
    of the update, drawn at random, as if evenly used so far (Dhariwal et al. 2020, section 3.1).
    At first nothing has been used, so that the first update puts the codes among the vectors.

    No gradient reaches the codes. Every part of a batch is to be observed once, whatever number of
    processes and micro-batches shares it, and `learn` to be called behind: only sums count.

    Args:
        codes: How many, K.
        size: Numbers in each.
        decay: g.
        revive_below: The share of an even use, more than 0, below which it is dead.
    """

    codes: Tensor
    uses: Tensor
    sums: Tensor
    lately: Tensor
    _found: Tensor
    _found_sums: Tensor
    _candidates: Tensor

    def __init__(self, codes: int, size: int, decay: float, revive_below: float) -> None:
        super().__init__()
        self.decay, self.revive_below = decay, revive_below
        self.register_buffer("codes", torch.randn(codes, size) / codes)
        self.register_buffer("uses", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, size))
        self.register_buffer("lately", torch.zeros(codes))  # as `uses`, but the dead count as such
        # Of the parts of the update under way; checkpoints are written between updates.
        self.register_buffer("_found", torch.zeros(codes), persistent=False)
        self.register_buffer("_found_sums", torch.zeros(codes, size), persistent=False)
        self.register_buffer("_candidates", torch.zeros(codes, size), persistent=False)

    @torch.no_grad()
    def nearest(self, vectors: Tensor) -> Tensor:
        """The number of the code nearest to each vector (M, size): (M,) int64, in float32."""
        with torch.autocast(vectors.device.type, enabled=False):
            squares = self.codes.square().sum(1)
            parts = [
                torch.addmm(squares, part, self.codes.T, alpha=-2).argmin(1)
                for part in vectors.float().split(_AT_ONCE)
            ]
        return torch.cat(parts)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (N, size, h, w) -> the codes in their places, float32, and their numbers (N, h, w).

        No gradient passes.
        """
        places = maps.detach().permute(0, 2, 3, 1)
        indices = self.nearest(places.flatten(0, 2)).view(places.shape[:3])
        return self.look_up(indices), indices

    def look_up(self, indices: Tensor) -> Tensor:
        """Numbers of codes (N, h, w) -> maps of the codes (N, size, h, w)."""
        return self.codes[indices].permute(0, 3, 1, 2)

    @torch.no_grad()
    def observe(
        self, maps: Tensor, indices: Tensor, rows: slice, total: int, generator: torch.Generator
    ) -> None:
        """Count a part of the batch, for `learn`.

        Args:
            maps: The part's, (N, size, h, w).
            indices: What `forward` made of them, (N, h, w).
            rows: Which rows of the whole batch these are.
            total: Rows of the whole batch.
            generator: Draws the places that the dead are to take, the same for every part.
        """
        vectors = maps.float().permute(0, 2, 3, 1).flatten(0, 2)
        with torch.autocast(vectors.device.type, enabled=False):
            for chosen, part in zip(
                indices.flatten().split(_AT_ONCE), vectors.split(_AT_ONCE), strict=True
            ):
                # A product, since CUDA adds up scattered numbers in an order that changes.
                belongs = (
                    chosen[None] == torch.arange(len(self.codes), device=chosen.device)[:, None]
                )
                self._found += belongs.sum(1)
                self._found_sums += belongs.to(part) @ part
        places = indices[0].numel()
        drawn = torch.randint(
            total * places, (len(self.codes),), generator=generator, device=vectors.device
        )
        own = drawn - rows.start * places
        is_here = (own >= 0) & (own < len(vectors))
        self._candidates += vectors[own.clamp(0, len(vectors) - 1)] * is_here[:, None]

    @torch.no_grad()
    def learn(self) -> None:
        """Move the codes by what was observed since the last time, in all processes."""
        seen = (self._found, self._found_sums, self._candidates)
        if dist.is_available() and dist.is_initialized():
            for total in seen:
                dist.all_reduce(total)
        self.lately.lerp_(self._found, 1 - self.decay)
        self.uses.lerp_(self._found, 1 - self.decay)
        self.sums.lerp_(self._found_sums, 1 - self.decay)
        even = self._found.sum() / len(self.codes)
        is_dead = self.uses < self.revive_below * even
        self.uses.copy_(torch.where(is_dead, even, self.uses))
        self.sums.copy_(torch.where(is_dead[:, None], even * self._candidates, self.sums))
        self.codes.copy_(self.sums / self.uses[:, None])
        for total in seen:
            total.zero_()

    def perplexity(self) -> Tensor:
        """How many codes, evenly used, would be as hard to guess as those used lately: 1 to K.

        exp of the entropy of their shares.
        """
        share = self.lately / self.lately.sum().clamp(min=torch.finfo(torch.float32).tiny)
        entropy: Tensor = -torch.special.xlogy(share, share).sum()
        return entropy.exp()

    def used(self) -> Tensor:
        """The share of the codes that lately were in use enough not to be dead."""
        return (self.lately > self.revive_below * self.lately.mean()).float().mean()
