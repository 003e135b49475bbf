"""The pictures that go with an evaluation."""

import torch
from PIL import Image
from torch import Tensor

from ganvas.data.loader import to_model_range
from ganvas.evaluation.drawing import latents_of
from ganvas.evaluation.evaluate import Reference, as_tensor
from ganvas.evaluation.memorisation import Memorisation
from ganvas.models.base import Encodes, LatentModel, alternate, class_labels
from ganvas.models.reading import reads_captions
from ganvas.pictures import grid, scatter, to_uint8

_SHEET = 36
_RECONSTRUCTIONS = 18
_PAIRS = 18


def samples_sheet(model: LatentModel, reference: Reference, seed: int) -> Image.Image:
    """The same seeds for every model, all classes in turn, or captions of the real pictures."""
    count = _SHEET if len(model.shape) == 3 else 2_000
    reads = reads_captions(model)
    asked = reference.labels_for(model, count) if reads else class_labels(model, None, count)
    images = model.decode_all(latents_of(model, count, seed), asked)
    return grid(to_uint8(images)) if images.ndim == 4 else scatter(images)


def reconstructions_sheet(model: LatentModel, reference: Reference) -> Image.Image | None:
    """Unseen pictures, each beside its reconstruction."""
    if not isinstance(model, Encodes) or len(model.shape) == 1:
        return None
    with torch.no_grad():
        images = to_model_range(next(reference.pictures.batches()))[:_RECONSTRUCTIONS]
        images = images.to(model.device)
        labels = reference.labels_for(model, len(images))
        decoded = model.decode_all(model.encode(images, labels).float(), labels)
    return grid(to_uint8(alternate(images, decoded)), together=2)


def pairs_sheet(
    model: LatentModel, reference: Reference, memory: Memorisation, seed: int
) -> Image.Image | None:
    """The pictures drawn that lie nearest to a training picture, each beside it."""
    if len(model.shape) == 1:
        return None
    labels = reference.labels_for(model, len(reference.pictures))
    pairs: list[Tensor] = []
    for fake, real, _ in memory.pairs[:_PAIRS]:
        chosen = None if labels is None else labels[fake : fake + 1]
        drawn = model.decode_all(latents_of(model, 1, seed + fake), chosen).cpu()
        row = reference.training_pictures.rows[real]
        training = to_model_range(as_tensor(reference.training_pictures.images[row][None]))
        pairs.append(torch.cat([drawn, training]))
    return grid(to_uint8(torch.cat(pairs)), together=2)
