"""Random numbers for tests: seeded, recorded or given."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from ganvas.data.augment import BGC, POLICY, Ada, Group, Random, diffaugment

GROUPS: tuple[Group, ...] = ("blit", "geometry", "colour", "filter", "noise", "cutout")


class Seeded:
    """The same numbers for the same seed, of which `calls` remembers what was asked for."""

    def __init__(self, n: int, seed: int = 0) -> None:
        self.n = n
        self.generator = torch.Generator().manual_seed(seed)
        self.calls: list[tuple[str, tuple[int, ...]]] = []

    def normal(self, *shape: int) -> Tensor:
        self.calls.append(("normal", shape))
        return torch.randn(self.n, *shape, generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        self.calls.append(("uniform", shape))
        return torch.rand(self.n, *shape, generator=self.generator)


class Given:
    """One sample's numbers, in the order in which they are asked for."""

    def __init__(self, *values: float | Sequence[float]) -> None:
        self.values = list(values)

    def normal(self, *shape: int) -> Tensor:
        return torch.tensor(self.values.pop(0)).reshape(1, *shape)

    uniform = normal


def ada(groups: tuple[Group, ...], shape: tuple[int, ...] = (3, 16, 16)) -> Ada:
    return Ada(shape, groups, strength=0.8)


def everything(
    shape: tuple[int, ...] = (3, 16, 16),
) -> dict[str, Callable[[Tensor, Random], Tensor]]:
    """Every augmentation, by name, with a strength of 0.8 where it has one."""
    return {
        **{group: ada((group,), shape) for group in GROUPS},
        "bgc": ada(BGC, shape),
        "all": ada(GROUPS, shape),
        **{f"diff-{one}": partial(diffaugment, policy=(one,)) for one in POLICY},
        "diffaugment": diffaugment,
    }


def pictures(n: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Noise in [-1, 1], (n, *shape)."""
    numbers = torch.rand(n, *shape, generator=torch.Generator().manual_seed(99))
    return (2 * numbers - 1).to(dtype)
