"""A discriminator's whole step with a gradient penalty: ganvas's way against the usual one.

The step: real images and fakes through the discriminator, the objective, the penalty, backward,
Adam. The usual way is that of tutorials and papers' code: eager float32 in the default memory
format, `autograd.grad(create_graph=True)`, Adam as it comes. ganvas's way takes the penalty of
`ganvas.losses.penalties`, channels last and the fused Adam of the loop; then with bfloat16
operands, the loop's choice where the hardware has it; then with `network.compile()`.
All ways take the same data and start at the same weights, in one process and in turn. The usual way
is measured before, too, with the C library's own memory management, which the loop changes.

`python -m benchmarks.penalties` takes the cases of `CASES`; arguments choose among their names.
"""

import copy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.table import alternate, print_table
from ganvas.losses.adversarial import Objective, discriminator_losses
from ganvas.losses.penalties import gradient_penalty, interpolate, r1
from ganvas.networks import Kind, build_discriminator
from ganvas.training.memory import keep_freed_memory
from ganvas.training.precision import autocast, resolve_device

BATCH, STEPS, ROUNDS = 64, 2, 7
GAMMA, LAMBDA = 1.0, 10.0
ADAM = {"lr": 2e-4, "betas": (0.0, 0.9)}


@dataclass(frozen=True)
class Case:
    """A network and a game to play with it."""

    objective: Objective
    kind: Kind
    pixels: int
    width: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        penalty = "WGAN-GP" if self.objective == "wasserstein" else "R1"
        return f"{penalty}, {self.kind} {self.width}, {self.pixels} px"


_KINDS: tuple[Kind, ...] = ("dcgan", "resnet")
_OBJECTIVES: tuple[Objective, ...] = ("non-saturating", "wasserstein")
CASES = tuple(
    Case(objective, kind, pixels, 32)
    for kind in _KINDS
    for pixels in (32, 64)
    for objective in _OBJECTIVES
)


@dataclass(frozen=True)
class Ways:
    """How a step is calculated."""

    ours: bool
    precision: str = "float32"
    compiles: bool = False


WAYS = {
    "usual": Ways(ours=False),
    "ganvas, float32": Ways(ours=True),
    "ganvas": Ways(ours=True, precision="bfloat16"),
    "ganvas, compiled": Ways(ours=True, precision="bfloat16", compiles=True),
}


def main(asked: list[str] | None = None) -> None:
    device = resolve_device("auto")
    cases = [case for case in CASES if not asked or any(word in case.name for word in asked)]
    plain = {case: alternate({"": _measures(case, device)["usual"]}, ROUNDS)[""] for case in cases}
    if device.type == "cpu":
        keep_freed_memory()  # of use to every way
    rows = []
    for case in cases:
        times = {"usual": plain[case]}
        for name, seconds in alternate(_measures(case, device), ROUNDS).items():
            times["usual, memory kept" if name == "usual" else name] = seconds
        base = plain[case][0]
        rows += [
            [case.name, name, f"{mid * 1e3:,.0f}", f"{low * 1e3:,.0f}", f"{high * 1e3:,.0f}",
             f"{base / mid:.2f}"]
            for name, (mid, low, high) in times.items()
        ]  # fmt: skip
    print_table(["case", "way", "ms a step (median)", "lowest", "highest", "speed"], rows)


def _measures(case: Case, device: torch.device) -> dict[str, Callable[[], float]]:
    """All ways, from the same weights."""
    torch.manual_seed(0)
    shape = (3, case.pixels, case.pixels)
    network = build_discriminator(case.kind, shape, case.width, norm="none").to(device)
    return {name: _timer(network, case, way, shape) for name, way in WAYS.items()}


def _timer(
    network: nn.Module, case: Case, way: Ways, shape: tuple[int, ...]
) -> Callable[[], float]:
    """Seconds a step of a copy of the network, after steps that are not counted."""
    D = copy.deepcopy(network)
    device = next(D.parameters()).device
    generator = torch.Generator(device).manual_seed(0)
    draw = partial(torch.rand, BATCH, generator=generator, device=device)
    real, fake, share = draw(*shape) * 2 - 1, draw(*shape) * 2 - 1, draw()
    optimizer = torch.optim.Adam(D.parameters(), **ADAM, fused=True if way.ours else None)  # type: ignore[arg-type]
    if way.ours:
        D.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        real, fake = (x.contiguous(memory_format=torch.channels_last) for x in (real, fake))
    if way.compiles:
        D.compile()
    loss = _our_loss if way.ours else _usual_loss

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, way.precision):
            total = loss(D, case.objective, real, fake, share)
        total.backward()
        optimizer.step()

    def timed() -> float:
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        _wait(device)
        return (time.perf_counter() - start) / STEPS

    for _ in range(2):
        step()
    _wait(device)
    return timed


def _our_loss(
    D: nn.Module, objective: Objective, real: Tensor, fake: Tensor, share: Tensor
) -> Tensor:
    losses = discriminator_losses(objective, D(real).float(), D(fake).float())
    game = torch.stack([loss.mean() for loss in losses.values()]).sum()
    if objective == "wasserstein":
        return game + LAMBDA * gradient_penalty(D, interpolate(real, fake, share)).mean()
    return game + 0.5 * GAMMA * r1(D, real).mean()


def _usual_loss(
    D: nn.Module, objective: Objective, real: Tensor, fake: Tensor, share: Tensor
) -> Tensor:
    losses = discriminator_losses(objective, D(real), D(fake))
    game = torch.stack([loss.mean() for loss in losses.values()]).sum()
    wasserstein = objective == "wasserstein"
    points = interpolate(real, fake, share) if wasserstein else real
    points = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(D(points).sum(), points, create_graph=True)
    squared = gradient.square().flatten(1).sum(1)
    if wasserstein:
        return game + LAMBDA * (squared.sqrt() - 1).square().mean()
    return game + 0.5 * GAMMA * squared.mean()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(sys.argv[1:])
