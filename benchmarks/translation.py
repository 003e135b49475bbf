"""pix2pix and CycleGAN: a training step of ganvas against a plain float32 PyTorch loop.

Both train networks of the papers' widths with the same numbers of weights: pix2pix one pair of 256
px at a time, CycleGAN one picture of 128 px of each domain, with six blocks. The plain loop is made
of `torch.nn` alone, as the reference implementations are: float32, default memory format, batch
norm (pix2pix) or instance norm (CycleGAN), six passes through CycleGAN's generators, no pool of
past fakes; its data already are float tensors. ganvas reads uint8 from its packs, keeps a moving
average of the generators and checks every gradient. Every measurement is a process of its own, in
turn.
"""

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.table import alternate, print_table
from ganvas import api
from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack, open_pack
from ganvas.training.distributed import Processes
from ganvas.training.prepare import complete, own_randomness, parameter_counts, prepare
from ganvas.training.run_folder import RunFolder
from ganvas.training.step import train_step

MODELS = ("pix2pix", "cyclegan")
LOOPS = ("plain float32", "ganvas float32", "ganvas bfloat16")
STEPS, ROUNDS, PICTURES = 6, 3, 32
SIDE = {"pix2pix": 256, "cyclegan": 128}
BLOCKS = 6


def main() -> None:
    rows: list[list[str]] = []
    for model in MODELS:
        measures: dict[str, Callable[[], float]] = {
            loop: partial(_in_a_process, model, loop) for loop in LOOPS
        }
        times = alternate(measures, ROUNDS)
        base = times[LOOPS[0]][0]
        rows += [
            [f"{model}, {SIDE[model]} px", loop, *(f"{1000 * t:,.0f}" for t in spread),
             f"{base / spread[0]:,.2f}"]
            for loop, spread in times.items()
        ]  # fmt: skip
    print_table(["step", "loop", "ms (median)", "lowest", "highest", "ratio"], rows)


def _in_a_process(model: str, loop: str) -> float:
    command = [sys.executable, "-m", "benchmarks.translation", model, loop]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(model: str, loop: str) -> float:
    """Seconds of one step."""
    side = SIDE[model]
    settings = [f"data.images={PICTURES}", "data.jitter=0", "training.batch=1"]
    if model == "cyclegan":
        settings.append(f"model.blocks={BLOCKS}")
    config = api.configure(model, resolution=side, settings=settings)
    pack = open_pack(config.data, progress=False, needs_pairs=config.model.needs_pairs)
    kind, precision = loop.split()
    if kind == "plain":
        return _timed((_plain_pix2pix if model == "pix2pix" else _plain_cyclegan)(pack))
    config = complete(
        api.configure(
            model, resolution=side, settings=[*settings, f"training.precision={precision}"]
        ),
        pack,
    )
    with TemporaryDirectory() as empty, own_randomness():
        state, plan = prepare(config, pack, RunFolder(Path(empty)), Processes())
        _check_weights(model, list(parameter_counts(state.model).values()))
        return _timed(lambda: train_step(state, plan))


def _check_weights(model: str, found: Sequence[int]) -> None:
    """Both loops train the same numbers of weights."""
    with torch.device("meta"):
        networks = (
            [_unet(), _patchgan(6, nn.BatchNorm2d)]
            if model == "pix2pix"
            else [_residual(), _residual(), *(_patchgan(3, nn.InstanceNorm2d) for _ in range(2))]
        )
    expected = [sum(p.numel() for p in network.parameters()) for network in networks]
    if sorted(found) != sorted(expected):
        raise SystemExit(f"{model}: {found} weights here, {expected} in the plain loop")


def _timed(step: Callable[[], object]) -> float:
    """Seconds of a step, after two that are not counted."""
    for _ in range(2):
        step()
    _wait()
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    _wait()
    return (time.perf_counter() - start) / STEPS


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class _Level(nn.Module):
    """A level of the U-Net around the one inside it."""

    def __init__(self, inputs: int, inner: int, inside: nn.Module | None, noisy: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.LeakyReLU(0.2), nn.Conv2d(inputs, inner, 4, 2, 1, bias=False),
        ]  # fmt: skip
        if inside is not None:
            layers += [nn.BatchNorm2d(inner), inside]
        both = 2 * inner if inside is not None else inner
        layers += [
            nn.ReLU(), nn.ConvTranspose2d(both, inputs, 4, 2, 1, bias=False),
            nn.BatchNorm2d(inputs), *([nn.Dropout(0.5)] if noisy else []),
        ]  # fmt: skip
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Around, and through."""
        return torch.cat([x, self.layers(x)], 1)


def _unet() -> nn.Module:
    widths = [64, 128, 256, 512, 512, 512, 512, 512]
    inside: nn.Module | None = None
    for i, (outer, inner) in reversed(list(enumerate(itertools.pairwise(widths)))):
        inside = _Level(outer, inner, inside, noisy=i >= 4)
    assert inside is not None
    return nn.Sequential(
        nn.Conv2d(3, 64, 4, 2, 1, bias=False), inside, nn.ReLU(),
        nn.ConvTranspose2d(128, 3, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip


def _patchgan(inputs: int, norm: type[nn.BatchNorm2d] | type[nn.InstanceNorm2d]) -> nn.Module:
    biases = norm is nn.InstanceNorm2d
    layers: list[nn.Module] = [nn.Conv2d(inputs, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
    for a, b, stride in ((64, 128, 2), (128, 256, 2), (256, 512, 1)):
        layers += [nn.Conv2d(a, b, 4, stride, 1, bias=biases), norm(b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 4, 1, 1))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Add the change."""
        change: Tensor = self.layers(x)
        return x + change


def _residual() -> nn.Module:
    def block(layer: nn.Module, channels: int) -> list[nn.Module]:
        return [layer, nn.InstanceNorm2d(channels), nn.ReLU()]

    return nn.Sequential(
        nn.ReflectionPad2d(3), *block(nn.Conv2d(3, 64, 7), 64),
        *block(nn.Conv2d(64, 128, 3, 2, 1), 128), *block(nn.Conv2d(128, 256, 3, 2, 1), 256),
        *(_Residual(256) for _ in range(BLOCKS)),
        *block(nn.ConvTranspose2d(256, 128, 3, 2, 1, 1), 128),
        *block(nn.ConvTranspose2d(128, 64, 3, 2, 1, 1), 64),
        nn.ReflectionPad2d(3), nn.Conv2d(64, 3, 7), nn.Tanh(),
    )  # fmt: skip


def _domains(pack: Pack, device: torch.device) -> tuple[Tensor, Tensor]:
    assert pack.target is not None
    both = (torch.from_numpy(side.images[:PICTURES].copy()) for side in (pack, pack.target))
    a, b = (to_model_range(x.permute(0, 3, 1, 2)).contiguous().to(device) for x in both)
    return a, b


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _adam(*networks: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam([p for n in networks for p in n.parameters()], 2e-4, (0.5, 0.999))


def _plain_pix2pix(pack: Pack) -> Callable[[], None]:
    device = _device()
    G, D = _unet().to(device), _patchgan(6, nn.BatchNorm2d).to(device)
    inputs, targets = _domains(pack, device)
    of_g, of_d = _adam(G), _adam(D)

    def bce(logits: Tensor, real: bool) -> Tensor:
        wanted = torch.full_like(logits, float(real))
        return F.binary_cross_entropy_with_logits(logits, wanted)

    def step() -> None:
        i = torch.randint(len(inputs), (1,))
        x, y = inputs[i], targets[i]
        fake = G(x)
        of_d.zero_grad()
        judged = bce(D(torch.cat([x, y], 1)), True)
        ((judged + bce(D(torch.cat([x, fake.detach()], 1)), False)) / 2).backward()
        of_d.step()
        of_g.zero_grad()
        (bce(D(torch.cat([x, fake], 1)), True) + 100 * F.l1_loss(fake, y)).backward()
        of_g.step()

    return step


def _plain_cyclegan(pack: Pack) -> Callable[[], None]:
    device = _device()
    G, back = _residual().to(device), _residual().to(device)
    critics = [_patchgan(3, nn.InstanceNorm2d).to(device) for _ in range(2)]
    all_a, all_b = _domains(pack, device)
    of_g, of_d = _adam(G, back), _adam(*critics)

    def square(answers: Tensor, wanted: float) -> Tensor:
        return (answers - wanted).square().mean()

    def step() -> None:
        a = all_a[torch.randint(len(all_a), (1,))]
        b = all_b[torch.randint(len(all_b), (1,))]
        fake_b, fake_a = G(a), back(b)
        of_g.zero_grad()
        game = square(critics[0](fake_a), 1) + square(critics[1](fake_b), 1)
        cycle = F.l1_loss(back(fake_b), a) + F.l1_loss(G(fake_a), b)
        same = F.l1_loss(back(a), a) + F.l1_loss(G(b), b)
        (game + 10 * cycle + 5 * same).backward()
        of_g.step()
        of_d.zero_grad()
        for critic, real, fake in zip(critics, (a, b), (fake_a, fake_b), strict=True):
            ((square(critic(real), 1) + square(critic(fake.detach()), 0)) / 2).backward()
        of_d.step()

    return step


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(*sys.argv[1:]))
    else:
        main()
