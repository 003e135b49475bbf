"""Features of a small network that was trained to tell what is known about the data's pictures.

They need labels, or the attributes of `avatars`, but no download, and they know the data at hand:
whether a face smiles, which a network of photographs need not. Pictures are described by what the
network sees at every scale: the averages of the maps of its stages, where texture and sharpness
show, and its last hidden layer, where the labels do. The hidden layer alone is blind to quality:
pictures that it cannot make out end up between all others, so that blurred, noisy or blended ones
pass for real (of faces of a weak DCGAN 99% did).

A fixed linear map, fitted to training pictures, makes distances even: every scale gets the same
share of the variance, the `SIZE` directions that vary most are kept, and each is brought half way
to unit variance (divided by the fourth root of its variance). All the way would blow up what hardly
varies: of other real pictures only 88% would then lie within the neighbourhoods (k = 5) of real
ones; without, the largest differences hide the rest.

Trained features say how a picture looks to a classifier of this data set, so scores by them compare
models of the same data only: the protocol names their hash.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ganvas.data.config import DataConfig
from ganvas.data.held_out import training_rows
from ganvas.data.pack import Pack, cache_folder
from ganvas.errors import DataError, RunError
from ganvas.evaluation.features.base import Features, digest
from ganvas.evaluation.features.classifier_training import DESIGN, SIZE, Trained, train_classifier
from ganvas.evaluation.features.known import Task, find_task, form, told
from ganvas.files import atomic_write
from ganvas.models.classifier import Head, split_heads
from ganvas.networks.classifier import Classifier


class ClassifierFeatures(Features):
    """Features (N, 128) of a trained classifier, and the logits of the data's classes."""

    name = "classifier"
    size = SIZE

    def __init__(self, task: Task, trained: Trained, device: torch.device) -> None:
        self.device = device
        self.accuracy = trained.accuracy
        """By what there is to tell, on held-out pictures: the share told rightly, R^2 of a number.
        Empty where no picture was held out."""
        self._task = task
        tensors = {**trained.tensors}
        self._centre = tensors.pop("centre").to(device)
        self._matrix = tensors.pop("matrix").to(device)
        with torch.device("meta"):  # no random weights that would be replaced at once
            self._network = Classifier(task.shape, sum(head.outputs for head in task.heads))
        self._network.load_state_dict(tensors, assign=True)
        self._network.to(device).requires_grad_(False).eval()
        self.preparation = _preparation(task.shape, self._network.pool)
        self.identity = digest(trained.tensors, self.name, self.preparation)

    @property
    def network(self) -> Classifier:
        """The network, in evaluation mode."""
        return self._network

    @property
    def knows_attributes(self) -> bool:
        """Whether the pictures are avatars, so that `attributes` can read theirs off."""
        return self._task.is_avatars

    def compute(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features (B, 128) and logits (B, classes) of float32 images in [0, 255].

        Raises:
            DataError: The pictures are not of the size that the classifier was trained on.
        """
        vectors, outputs = self._look(images)
        logits = split_heads(outputs, self._task.heads)[self._task.classes]
        return (vectors - self._centre) @ self._matrix, logits

    @torch.no_grad()
    def attributes(self, images: Tensor) -> dict[str, Tensor]:
        """What the classifier takes for the attributes of avatars.

        Args:
            images: (N, C, H, W) in [0, 255], uint8 or float32.

        Returns:
            By the names of `ATTRIBUTES`, int64 codes (N,) of discrete ones and float32 values (N,)
            of continuous ones, on the CPU. Of what is hidden, such as the colour of a hat on those
            who wear none, the code is a guess.

        Raises:
            DataError: The data are not avatars, or the pictures are of another size.
        """
        if not self.knows_attributes:
            raise DataError("Only of avatars are attributes known: this data set has classes.")
        outputs = [self._look(part.to(self.device).float())[1] for part in images.split(64)]
        by_head = split_heads(torch.cat(outputs).cpu(), self._task.heads)
        return {head.name: told(head, by_head[head.name]) for head in self._task.heads}

    @property
    def heads(self) -> tuple[Head, ...]:
        """What there is to tell."""
        return self._task.heads

    def outputs(self, images: Tensor) -> dict[str, Tensor]:
        """What every head says of float32 images in [0, 255], by its name, differentiable.

        Returns:
            Logits (B, values), or numbers (B, 1) of mean 0 and variance 1.
        """
        return split_heads(self._look(images)[1], self._task.heads)

    def _look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found, wanted = tuple(images.shape[1:]), self._task.shape
        if found != wanted:
            raise DataError(
                f"These features were trained on {form(wanted)}, but were given {form(found)}: "
                "give pictures of that size, or use --features random."
            )
        description, outputs = self._network.describe(images / 127.5 - 1)
        return description, outputs


def train_or_load_classifier(
    pack: Pack,
    config: DataConfig,
    device: torch.device,
    *,
    progress: bool = True,
    say: Callable[[str], None] | None = None,
) -> ClassifierFeatures:
    """The classifier of a data set: from the cache, or trained now on its training rows.

    Training is deterministic: the same data give the same weights on the same machine. It takes
    under a minute for 20,000 pictures of 64 x 64 on two CPU cores.

    Args:
        pack: Pictures with labels, or avatars.
        config: What they were packed with.
        device: Where to train and compute.
        progress: Whether to show a bar while training.
        say: Told that a classifier has to be trained, or cannot be kept.

    Raises:
        DataError: The data have no labels, or are no pictures of at least 8 x 8 pixels.
    """
    task = find_task(pack, config)
    rows = training_rows(pack, config)
    path = cache_folder() / "classifiers" / f"{_key(pack, task, rows)}.safetensors"
    trained = _read(path, task)
    if trained is None:
        if say is not None:
            say(f"Training a small classifier of {config.source}, once, to make features of.")
        trained = train_classifier(pack, config, task, rows, device, progress)
        if not _write(trained, path) and say is not None:
            say(
                f"It cannot be kept in {path.parent} and will be trained anew next time: make room "
                "there, or choose another folder with the environment variable GANVAS_CACHE."
            )
    return ClassifierFeatures(task, trained, device)


def _key(pack: Pack, task: Task, rows: NDArray[np.int64] | None) -> str:
    """What the trained classifier depends on, hashed."""
    heads = [(head.name, head.values) for head in task.heads]
    chosen = None if rows is None else hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()
    facts = json.dumps([DESIGN, pack.fingerprint, heads, chosen])
    return hashlib.sha256(facts.encode()).hexdigest()[:32]


def _read(path: Path, task: Task) -> Trained | None:
    """What was kept, None if nothing was or it is damaged."""
    try:
        tensors = load(path.read_bytes())  # mapped into memory, a file cut short would kill us
        if not torch.equal(tensors.pop("sha256"), _checksum(tensors)):
            return None
        accuracies = tensors.pop("accuracy").tolist()
    except (OSError, SafetensorError, LookupError):
        return None
    names = [head.name for head in task.heads]
    return Trained(tensors, dict(zip(names, accuracies, strict=True)) if accuracies else {})


def _write(trained: Trained, path: Path) -> bool:
    """Keep it; False where that cannot be done."""
    accuracies = torch.tensor(list(trained.accuracy.values()), dtype=torch.float64)
    tensors = {**trained.tensors, "accuracy": accuracies}
    try:
        with atomic_write(path) as stream:
            stream.write(save({**tensors, "sha256": _checksum(tensors)}))
    except (OSError, RunError):
        return False
    return True


def _checksum(tensors: Mapping[str, Tensor]) -> Tensor:
    return torch.tensor(list(bytes.fromhex(digest(tensors))), dtype=torch.uint8)


def _preparation(shape: tuple[int, int, int], pool: int) -> str:
    averaged = f", averaged over {pool}x{pool} pixels" if pool > 1 else ""
    return f"none: {form(shape)} as packed{averaged}"
