"""Training a VAE: ganvas's loop against pythae's trainer, with the same networks and pictures.

`python -m benchmarks.vae PYTHON` takes the interpreter of an environment with torch and pythae
(`python3 -m venv peer && peer/bin/pip install torch pythae`). Without one, a plain float32 loop
stands in for it: one tensor of floats, autograd, Adam. Further arguments choose among the tasks by
a part of their names. Every measurement is a process of its own, the loops in turn.

pythae trains in float32 and reads pictures one by one from a float tensor in memory. ganvas reads
uint8 from its pack, keeps a moving average of the weights and checks every gradient.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.table import alternate, print_table
from benchmarks.vae_peer import HIDDEN, TASKS, WIDTH, Task, pictures
from ganvas import api
from ganvas.data.pack import Pack, open_pack
from ganvas.training.config import RunConfig
from ganvas.training.distributed import Processes
from ganvas.training.prepare import complete, own_randomness, prepare
from ganvas.training.run_folder import RunFolder
from ganvas.training.step import train_step

ROUNDS = 5
ROOT = Path(__file__).parents[1]
OURS = ("ganvas float32", "ganvas bfloat16")


def main(arguments: list[str]) -> None:
    peer, asked = (arguments[0], arguments[1:]) if arguments else (None, [])
    base = "plain float32" if peer is None else "pythae"
    rows = []
    for task in TASKS:
        if asked and not any(word in task for word in asked):
            continue
        measures: dict[str, Callable[[], float]] = {
            name: partial(_in_a_process, name, task, peer) for name in (base, *OURS)
        }
        speeds = alternate(measures, ROUNDS)
        for name, (middle, low, high) in speeds.items():
            ratio = middle / speeds[base][0]
            rows.append(
                [task, name, f"{middle:,.0f}", f"{low:,.0f}", f"{high:,.0f}", f"{ratio:.2f}"]
            )
    print_table(["task", "loop", "images/s (median)", "lowest", "highest", "ratio"], rows)


def _in_a_process(name: str, task: str, peer: str | None) -> float:
    pack = open_pack(_config(TASKS[task], "float32").data, progress=False)
    path = str(pack.folder / "images.npy")
    command = [sys.executable, "-m", "benchmarks.vae", "--measure", name, task, path]
    if name == "pythae":
        command = [str(peer), "-m", "benchmarks.vae_peer", task, path]
    quiet = subprocess.DEVNULL if name == "pythae" else None  # its progress bars
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=quiet, text=True, cwd=ROOT
    )
    return float(done.stdout.split()[-1])


def _measure(name: str, task: Task, path: str) -> float:
    """Images per second of one loop."""
    if name == "plain float32":
        return _plain(task, path)
    config = _config(task, name.split()[1])
    return _ganvas(config, task, open_pack(config.data, progress=False))


def _config(task: Task, precision: str) -> RunConfig:
    """The task for ganvas: faces, which are black and white where the likelihood is Bernoulli."""
    channels, height, _ = task.shape
    is_binary = task.likelihood == "bernoulli"
    hidden = [f"model.hidden=[{HIDDEN}]"] if task.networks == "mlp" else []
    variance = [] if is_binary else ["model.decoder_variance=1"]
    settings = [
        f"data.images={task.steps * task.batch}",
        f"data.channels={channels}",
        f"data.binarise={str(is_binary).lower()}",
        f"model.networks={task.networks}",
        f"model.likelihood={task.likelihood}",
        f"model.latent_size={task.latents}",
        f"model.importance_samples={task.samples}",
        f"model.width={WIDTH}",
        f"training.batch={task.batch}",
        f"training.precision={precision}",
        *hidden,
        *variance,
    ]
    return api.configure("vae", resolution=height, settings=settings)


def _ganvas(config: RunConfig, task: Task, pack: Pack) -> float:
    with TemporaryDirectory() as empty, own_randomness():
        state, plan = prepare(complete(config, pack), pack, RunFolder(Path(empty)), Processes())
        return _timed(lambda: train_step(state, plan), task)


def _plain(task: Task, path: str) -> float:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = pictures(task, path).to(device)
    encoder, decoder = (network.to(device) for network in task.build())
    weights = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(weights, 1e-3)

    def step() -> None:
        x = images[torch.randint(len(images), (task.batch,))]
        mean, log_variance = (0.1 * encoder(x)).chunk(2, 1)
        noise = torch.randn(task.batch, task.samples, task.latents, device=device)
        z = mean[:, None] + (0.5 * log_variance[:, None]).exp() * noise
        nll = _nll(task, x.repeat_interleave(task.samples, 0), decoder(z.flatten(0, 1)))
        weights = -0.5 * (z.square() - noise.square() - log_variance[:, None]).sum(2)
        optimizer.zero_grad()
        (-(weights - nll.view(task.batch, -1)).logsumexp(1).mean()).backward()
        optimizer.step()

    return _timed(step, task)


def _nll(task: Task, x: Tensor, output: Tensor) -> Tensor:
    if task.likelihood == "bernoulli":
        each = F.binary_cross_entropy_with_logits(output, x, reduction="none")
    else:
        each = 0.5 * F.mse_loss(output, x, reduction="none")
    return each.flatten(1).sum(1)


def _timed(step: Callable[[], object], task: Task) -> float:
    """Images per second over the task's steps, after as many that are not counted."""
    for _ in range(task.steps):
        step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(task.steps):
        step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return task.batch * task.steps / (time.perf_counter() - start)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(_measure(sys.argv[2], TASKS[sys.argv[3]], sys.argv[4]))
    else:
        main(sys.argv[1:])
