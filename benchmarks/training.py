"""DCGAN at 64 px, width 64: ganvas's loop against a plain float32 PyTorch loop.

Both train the same networks on the same batches of 64. The plain loop is the one of tutorials:
float32, default memory format, two optimisers, fakes reused for the generator; its data already are
float tensors in memory, while ganvas reads uint8 from its pack, keeps a moving average of the
generator and checks every gradient. Every measurement is a process of its own, the loops in turn.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.table import alternate, print_table
from ganvas import api
from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack, open_pack
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from ganvas.training.distributed import Processes
from ganvas.training.prepare import complete, own_randomness, prepare
from ganvas.training.run_folder import RunFolder
from ganvas.training.step import train_step

BATCH, STEPS, ROUNDS = 64, 12, 5
GFLOP_AN_IMAGE = 11 * 2 * 0.104
"""Eleven passes of 104 M multiply-adds: G forward, backward 2; D on reals and fakes forward 2,
backward 4; D for G forward 1, backward to its input 1."""


LOOPS = ("plain float32", "ganvas float32", "ganvas bfloat16")


def main() -> None:
    measures: dict[str, Callable[[], float]] = {
        name: partial(_in_a_process, name) for name in LOOPS
    }
    speeds = alternate(measures, ROUNDS)
    base = speeds[LOOPS[0]][0]
    rows = [
        [name, f"{mid:,.0f}", f"{low:,.0f}", f"{high:,.0f}", f"{mid / base:,.2f}",
         f"{mid * GFLOP_AN_IMAGE / 1000:,.2f}"]
        for name, (mid, low, high) in speeds.items()
    ]  # fmt: skip
    print_table(["loop", "images/s (median)", "lowest", "highest", "ratio", "TFLOP/s"], rows)


def _in_a_process(name: str) -> float:
    command = [sys.executable, "-m", "benchmarks.training", name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(name: str) -> float:
    """Images per second of one loop."""
    config = api.configure("dcgan", resolution=64, settings=["data.images=2000"])
    pack = open_pack(config.data, progress=False)
    loop, precision = name.split()
    return _plain(pack) if loop == "plain" else _ganvas(pack, precision)


def _ganvas(pack: Pack, precision: str) -> float:
    settings = [f"training.precision={precision}", f"training.batch={BATCH}", "model.width=64"]
    config = complete(api.configure("dcgan", resolution=64, settings=settings), pack)
    with TemporaryDirectory() as empty, own_randomness():
        state, plan = prepare(config, pack, RunFolder(Path(empty)), Processes())
        return _timed(lambda: train_step(state, plan), plan.device)


def _plain(pack: Pack) -> float:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Gan(GanConfig(), pack.shape).to(device)
    G, D = model.generator, model.discriminator
    images = to_model_range(torch.from_numpy(pack.images[:2000].copy()).permute(0, 3, 1, 2))
    images = images.contiguous().to(device)
    optimizers = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (G, D)]
    bce = F.binary_cross_entropy_with_logits

    def step() -> None:
        real: Tensor = images[torch.randint(len(images), (BATCH,))]
        ones, zeros = torch.ones(BATCH, 1, device=device), torch.zeros(BATCH, 1, device=device)
        fake = G(torch.randn(BATCH, 100, device=device))
        optimizers[1].zero_grad()
        bce(D(real), ones).backward()
        bce(D(fake.detach()), zeros).backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        bce(D(fake), ones).backward()
        optimizers[0].step()

    return _timed(step, device)


def _timed(step: Callable[[], object], device: torch.device) -> float:
    """Images per second over some steps, after a few that are not counted."""
    for _ in range(3):
        step()
    _wait(device)
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    _wait(device)
    return BATCH * STEPS / (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(sys.argv[1]))
    else:
        main()
