"""Several processes under `torchrun`: who am I, and the sum over all."""

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from ganvas.errors import ConfigError

_GROUPS = itertools.count()
_PATIENCE = timedelta(hours=2)
"""How long processes wait for each other: the first one may have a large data set to pack."""


@dataclass(frozen=True)
class Processes:
    """This process's number among all of them."""

    rank: int = 0
    world: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0


@contextlib.contextmanager
def process_group(device_name: str) -> Iterator[Processes]:
    """Join the processes that torchrun started (none without it), and leave at the end."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes()
        return
    use_cuda = device_name in ("auto", "cuda") and torch.cuda.is_available()
    if use_cuda:
        local, devices = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= devices:
            raise ConfigError(
                f"torchrun started process {local + 1} on this machine, which has {devices} GPUs: "
                f"use --nproc-per-node {devices}, or --set training.device=cpu."
            )
        torch.cuda.set_device(local)
    store, rank, world = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
    # A group finds the addresses of an earlier one of this process in the store, and fails: so each
    # gets names of its own, for a script that trains twice.
    store = dist.PrefixStore(f"ganvas-{next(_GROUPS)}", store)  # type: ignore[attr-defined]
    backend = "nccl" if use_cuda else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=_PATIENCE)
    try:
        yield Processes(rank, world)
    finally:
        dist.destroy_process_group()


def wait_for_main(processes: Processes) -> None:
    """Return when every process has come here."""
    if processes.world > 1:
        dist.barrier()


@torch.no_grad()
def average_gradients(parameters: Sequence[Tensor], world: int) -> None:
    """Replace every gradient by its mean over the processes, in one all-reduce."""
    if world == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:  # no path to it in this update: others may have one
            parameter.grad = torch.zeros_like(parameter)
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def average_numbers(values: Mapping[str, Tensor], world: int) -> dict[str, Tensor]:
    """Each of these scalars as its mean over the processes, which all hold the same names."""
    if world == 1 or not values:
        return dict(values)
    together = torch.stack([value.float() for value in values.values()])
    dist.all_reduce(together)
    return dict(zip(values, (together / world).unbind(), strict=True))


def any_process(flag: bool, processes: Processes, device: torch.device) -> bool:
    """Whether the flag is set in any process: all of them must decide alike."""
    if processes.world == 1:
        return flag
    value = torch.tensor(float(flag), device=device)
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return bool(value)
