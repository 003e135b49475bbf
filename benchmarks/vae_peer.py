"""The peer's side of `benchmarks.vae`: pythae's own trainer on the same networks.

It runs in an environment in which pythae is installed and ganvas need not be: the networks have the
same layers and parameters, written with PyTorch's own modules, as pythae's users write theirs.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Task:
    """What is trained."""

    networks: Literal["mlp", "dcgan"]
    likelihood: Literal["bernoulli", "gaussian"]
    shape: tuple[int, int, int]
    latents: int
    batch: int
    samples: int
    """Of z for each picture; more than one is the importance-weighted autoencoder."""
    steps: int

    def build(self) -> tuple[nn.Module, nn.Module]:
        """Encoder and decoder from PyTorch's own layers."""
        if self.networks == "mlp":
            return _mlp(self)
        return _dcgan(self)


def _mlp(task: Task) -> tuple[nn.Module, nn.Module]:
    values = prod(task.shape)
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(values, HIDDEN), nn.LeakyReLU(0.2),
        nn.Linear(HIDDEN, 2 * task.latents),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(task.latents, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, values),
        nn.Unflatten(1, task.shape),
    )  # fmt: skip
    return encoder, decoder


def _dcgan(task: Task) -> tuple[nn.Module, nn.Module]:
    """For 32 pixels: three halvings to a grid of 4, and back."""
    channels = task.shape[0]
    widths = [WIDTH, 2 * WIDTH, 4 * WIDTH]
    down: list[nn.Module] = [
        nn.Conv2d(channels, WIDTH, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, True),
    ]
    up: list[nn.Module] = [
        nn.Unflatten(1, (task.latents, 1, 1)),
        nn.ConvTranspose2d(task.latents, widths[-1], 4, bias=False),
        nn.BatchNorm2d(widths[-1]), nn.ReLU(True),
    ]  # fmt: skip
    for narrow, wide in pairwise(widths):
        down += [
            nn.Conv2d(narrow, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide),
            nn.LeakyReLU(0.2, True),
        ]  # fmt: skip
    for wide, narrow in pairwise(widths[::-1]):
        up += [
            nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False), nn.BatchNorm2d(narrow),
            nn.ReLU(True),
        ]  # fmt: skip
    down += [nn.Conv2d(widths[-1], 2 * task.latents, 4, bias=False), nn.Flatten()]
    up += [nn.ConvTranspose2d(WIDTH, channels, 4, 2, 1, bias=False), nn.Tanh()]
    return nn.Sequential(*down), nn.Sequential(*up)


HIDDEN, WIDTH = 400, 32

TASKS = {
    "VAE, mlp, 1x28x28, batch 100": Task("mlp", "bernoulli", (1, 28, 28), 40, 100, 1, 100),
    "IWAE of 50, mlp, 1x28x28, batch 20": Task("mlp", "bernoulli", (1, 28, 28), 40, 20, 50, 40),
    "VAE, dcgan, 3x32x32, batch 64": Task("dcgan", "gaussian", (3, 32, 32), 64, 64, 1, 25),
}


def pictures(task: Task, path: str) -> Tensor:
    """Of a pack, uint8 (N, H, W, C), as floats: [0, 1] for Bernoulli, else [-1, 1]."""
    levels = torch.from_numpy(np.load(path)[: task.steps * task.batch]).permute(0, 3, 1, 2)
    unit = levels.float() / 255
    return unit.contiguous() if task.likelihood == "bernoulli" else (2 * unit - 1).contiguous()


def measure(task: Task, path: str) -> float:
    """Images per second of pythae's trainer, in its second epoch."""
    from pythae.data.datasets import BaseDataset  # type: ignore[import-not-found]
    from pythae.trainers import BaseTrainer, BaseTrainerConfig  # type: ignore[import-not-found]

    data = pictures(task, path)
    with tempfile.TemporaryDirectory() as folder:
        trainer = BaseTrainer(
            model=_model(task),
            train_dataset=BaseDataset(data, torch.zeros(len(data))),
            training_config=BaseTrainerConfig(
                output_dir=folder, num_epochs=2, learning_rate=1e-3,
                per_device_train_batch_size=task.batch,
            ),
        )  # fmt: skip
        trainer.prepare_training()
        trainer.train_step(1)
        start = time.perf_counter()
        trainer.train_step(2)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return len(data) / (time.perf_counter() - start)


def _model(task: Task) -> Any:
    from pythae.models import IWAE, VAE, IWAEConfig, VAEConfig  # type: ignore[import-not-found]
    from pythae.models.base.base_utils import ModelOutput  # type: ignore[import-not-found]
    from pythae.models.nn import BaseDecoder, BaseEncoder  # type: ignore[import-not-found]

    encoder, decoder = task.build()

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = encoder

        def forward(self, x: Tensor) -> Any:
            mean, log_variance = (0.1 * self.network(x)).chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = decoder

        def forward(self, z: Tensor) -> Any:
            output = self.network(z)
            is_binary = task.likelihood == "bernoulli"
            return ModelOutput(reconstruction=output.sigmoid() if is_binary else output)

    loss = "bce" if task.likelihood == "bernoulli" else "mse"
    sizes = {"input_dim": task.shape, "latent_dim": task.latents, "reconstruction_loss": loss}
    if task.samples > 1:
        return IWAE(IWAEConfig(**sizes, number_samples=task.samples), Encoder(), Decoder())
    return VAE(VAEConfig(**sizes), Encoder(), Decoder())


if __name__ == "__main__":
    print(measure(TASKS[sys.argv[1]], sys.argv[2]))
