"""StyleGAN2 at 256 x 256 on a CPU beside the official PyTorch networks, in one run and in turn.

`python -m benchmarks.stylegan FOLDER` takes the folder that holds the official repository, that is
its packages `training`, `torch_utils` and `dnnlib` (their compiled operations fall back to plain
PyTorch on a CPU). Without a folder ours alone is measured. Further arguments choose among `TASKS`.

All ways begin at the same weights and take the same numbers, each in a process of its own. The
official networks run as they come: contiguous float32, weights for each sample when drawing,
`autograd.grad(create_graph=True)` for R1, the C library's own memory management. Ours run in the
loop's way: channels last, freed memory kept, fused Adam, and float32 or bfloat16. The floor is the
operations of matrix products and convolutions that nobody can save (`WORK`), over the rate that a
convolution alone reaches in the same run.
"""

import contextlib
import importlib
import multiprocessing
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.table import alternate, print_table
from ganvas.interop import stylegan2_names
from ganvas.losses.penalties import zero_centred
from ganvas.networks import stylegan2
from ganvas.training.memory import keep_freed_memory
from ganvas.training.precision import autocast

PIXELS, WIDTH, MAX_WIDTH, LATENT, MAPPING = 256, 64, 512, 512, 2
BATCH, ROUNDS = 4, 3
CPU = torch.device("cpu")

Precision = Literal["float32", "bfloat16"]


class Way:
    """A generator and a discriminator, and how they are run."""

    def __init__(self, G: nn.Module, D: nn.Module, precision: Precision, fused: bool) -> None:
        self.G, self.D, self.precision = G, D, precision
        self._optimizers = [
            torch.optim.Adam(network.parameters(), lr=2e-3, betas=(0.0, 0.99), fused=fused)
            for network in (G, D)
        ]

    def draw(self, z: Tensor) -> Tensor:
        """Images, without gradients."""
        self.G.eval()
        with torch.no_grad(), autocast(CPU, self.precision):
            return self._images(z)

    def step(self, z: Tensor, real: Tensor) -> None:
        """Both updates of the non-saturating game, without regularisers."""
        self.G.train()
        for own, other, optimizer, loss in (
            (self.D, self.G, self._optimizers[1], self._loss_of_discriminator),
            (self.G, self.D, self._optimizers[0], self._loss_of_generator),
        ):
            other.requires_grad_(False)
            optimizer.zero_grad(set_to_none=True)
            with autocast(CPU, self.precision):
                total = loss(z, real)
            total.backward()
            optimizer.step()
            own.zero_grad(set_to_none=True)
            other.requires_grad_(True)

    def penalty(self, real: Tensor) -> list[Tensor]:
        """The gradient of the mean R1 by each weight of D."""
        with autocast(CPU, self.precision):
            total = self._r1(real).mean()
        return list(
            torch.autograd.grad(
                total, list(self.D.parameters()), allow_unused=True, materialize_grads=True
            )
        )

    def _loss_of_discriminator(self, z: Tensor, real: Tensor) -> Tensor:
        with torch.no_grad():
            fake = self._images(z)
        return (F.softplus(self._logits(fake)) + F.softplus(-self._logits(real))).mean()

    def _loss_of_generator(self, z: Tensor, _: Tensor) -> Tensor:
        return F.softplus(-self._logits(self._images(z))).mean()

    def _images(self, z: Tensor) -> Tensor:
        images: Tensor = self.G(z)
        return images

    def _logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.D(images)
        return logits

    def _r1(self, real: Tensor) -> Tensor:
        return zero_centred(self.D, real)


class OfficialWay(Way):
    """The official networks, which take one-hot labels (of no classes here)."""

    def _images(self, z: Tensor) -> Tensor:
        images: Tensor = self.G(z, z[:, :0], noise_mode="const")
        return images

    def _logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.D(images, images[:, 0, 0, :0])
        return logits

    def _r1(self, real: Tensor) -> Tensor:
        real = real.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self._logits(real).sum(), real, create_graph=True)
        return gradient.square().sum((1, 2, 3))


Task = Callable[[Way, Tensor, Tensor], object]

TASKS: dict[str, Task] = {
    "1 image": lambda way, z, real: way.draw(z[:1]),
    "8 images": lambda way, z, real: way.draw(z),
    f"step of G and D, {BATCH} images": lambda way, z, real: way.step(z[:BATCH], real),
    f"R1, {BATCH} images": lambda way, z, real: way.penalty(real),
}

WORK = dict(zip(TASKS, [(1, 0), (8, 0), (4 * BATCH, 8 * BATCH), (0, 6 * BATCH)], strict=True))
"""Each task's operations, in passes of one image through the generator and the discriminator.

Forward is one pass, the derivative by the maps another and that by the weights a third. The step: D
learns from a fake (drawn: 1 of G) and a real image (3 + 3), G through D (3, and 2 of D). R1:
forward, back to the image, and both kinds of derivatives of each of the two (the standard deviation
across the batch makes the second derivative reach the forward pass).
"""


class Worker:
    """A way in a process of its own."""

    def __init__(self, name: str, folder: str | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, name, folder), daemon=True)
        self._process.start()

    def ask(self, question: str, *details: str) -> Any:
        """What `_Answers` has to say."""
        self._pipe.send((question, details))
        return self._pipe.recv()


def main(arguments: list[str]) -> None:
    folder, asked = (arguments[0], arguments[1:]) if arguments else (None, [])
    names = ["ours, float32", "ours, bfloat16"]
    if folder is not None:
        names.insert(0, "official, float32")
    workers = {name: Worker(name, folder) for name in names}
    _print_differences(workers)
    rates = {name: worker.ask("rate") for name, worker in workers.items()}
    passes = workers["ours, float32"].ask("passes")
    rows = []
    for task in TASKS:
        if asked and not any(word in task for word in asked):
            continue
        measures: dict[str, Callable[[], float]] = {
            name: partial(worker.ask, "seconds", task) for name, worker in workers.items()
        }
        for measure in measures.values():
            measure()
        times = alternate(measures, ROUNDS)
        base = times[names[0]][0]
        operations = sum(n * work for n, work in zip(WORK[task], passes, strict=True))
        for name, (middle, low, high) in times.items():
            rows.append(
                [task, name, *(f"{1e3 * s:,.0f}" for s in (middle, low, high)),
                 f"{base / middle:.2f}", f"{1e3 * operations / rates[name]:,.0f}"]
            )  # fmt: skip
    print_table(["task", "way", "ms (median)", "lowest", "highest", "speed", "floor"], rows)


def _serve(pipe: Connection, name: str, folder: str | None) -> None:
    """Answer one question after the other."""
    if name.startswith("ours"):
        keep_freed_memory()
    answers = _Answers(_way(name, folder))
    with contextlib.suppress(EOFError):  # nobody asks any more
        while True:
            question, details = pipe.recv()
            pipe.send(getattr(answers, question)(*details))


class _Answers:
    def __init__(self, way: Way) -> None:
        generator = torch.Generator().manual_seed(0)
        self._way = way
        self._z = torch.randn(8, LATENT, generator=generator)
        self._real, self._others = _pictures(generator), _pictures(generator)

    def images(self) -> Any:
        return self._way.draw(self._z[:BATCH]).numpy()

    def gradient(self, batch: str) -> Any:
        """Of R1, in the official networks' order."""
        real = self._real if batch == "real" else self._others
        named = self._way.D.named_parameters()
        found = self._way.penalty(real)
        by_name = {name: tensor for (name, _), tensor in zip(named, found, strict=True)}
        if isinstance(self._way, OfficialWay):
            by_name = stylegan2_names.discriminator_from_official(by_name)
        return torch.cat([by_name[name].flatten() for name in sorted(by_name)]).numpy()

    def seconds(self, task: str) -> float:
        start = time.perf_counter()
        TASKS[task](self._way, self._z, self._real)
        return time.perf_counter() - start

    def passes(self) -> list[int]:
        """Operations of one image's way through the generator and through the discriminator."""
        counts = []
        for network, x in ((self._way.G, self._z[:1]), (self._way.D, self._real[:1])):
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                network(x)
            counts.append(int(counter.get_total_flops()))
        return counts

    def rate(self) -> float:
        """Operations a second of a 3 x 3 convolution of 256 channels, the best of some."""
        dtype = torch.bfloat16 if self._way.precision == "bfloat16" else torch.float32
        x, weight = (
            torch.randn(shape).to(dtype, memory_format=torch.channels_last)
            for shape in ((BATCH, 256, 64, 64), (256, 256, 3, 3))
        )
        seconds = []
        for _ in range(10):
            start = time.perf_counter()
            F.conv2d(x, weight, padding=1)
            seconds.append(time.perf_counter() - start)
        return float(2 * x.numel() * 256 * 9 / min(seconds))


def _print_differences(workers: dict[str, Worker]) -> None:
    """How far the ways' images and gradients are from the first way's."""
    first = next(iter(workers.values()))
    images, gradient = first.ask("images"), first.ask("gradient", "real")
    rows = [
        [name, f"{_distance(worker.ask('images'), images):.1e}",
         f"{_distance(worker.ask('gradient', 'real'), gradient):.1e}"]
        for name, worker in workers.items()
    ]  # fmt: skip
    rows.append(
        ["another batch", "", f"{_distance(first.ask('gradient', 'others'), gradient):.1e}"]
    )
    print_table(["way", "images differ by", "R1's gradient differs by"], rows)
    print()


def _distance(a: Any, b: Any) -> float:
    """Between two arrays, relative, in the Euclidean norm."""
    return float(((a - b) ** 2).sum() ** 0.5 / (b**2).sum() ** 0.5)


def _way(name: str, folder: str | None) -> Way:
    torch.manual_seed(0)
    shape = (3, PIXELS, PIXELS)
    G: nn.Module = stylegan2.generator(LATENT, shape, WIDTH, MAX_WIDTH, MAPPING)
    D: nn.Module = stylegan2.discriminator(shape, WIDTH, MAX_WIDTH)
    if folder is None:
        G.load_state_dict(_strengthened(G.state_dict()))
    else:
        torch.manual_seed(0)
        official_G, official_D = _official(folder)
        if name.startswith("official"):
            return OfficialWay(official_G, official_D, "float32", fused=False)
        G.load_state_dict(stylegan2_names.generator_from_official(official_G.state_dict()))
        D.load_state_dict(stylegan2_names.discriminator_from_official(official_D.state_dict()))
    for network in (G, D):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Way(G, D, "bfloat16" if name.endswith("bfloat16") else "float32", fused=True)


def _official(folder: str) -> tuple[nn.Module, nn.Module]:
    sys.path.insert(0, folder)
    networks: Any = importlib.import_module("training.networks")
    size = {"channel_base": WIDTH * PIXELS, "channel_max": MAX_WIDTH}
    G: nn.Module = networks.Generator(
        LATENT, 0, LATENT, PIXELS, 3, mapping_kwargs={"num_layers": MAPPING}, synthesis_kwargs=size
    )
    D: nn.Module = networks.Discriminator(0, PIXELS, 3, **size)
    G.load_state_dict(_strengthened(G.state_dict()))
    return G, D


def _strengthened(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """With noise that is seen: its strength is 0 at first."""
    return {
        name: tensor.fill_(0.1) if name.endswith("noise_strength") else tensor
        for name, tensor in state.items()
    }


def _pictures(generator: torch.Generator) -> Tensor:
    """Random but smooth."""
    coarse = torch.rand(BATCH, 3, 16, 16, generator=generator) * 2 - 1
    pictures = F.interpolate(coarse, (PIXELS, PIXELS), mode="bilinear")
    return pictures.contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    main(sys.argv[1:])
