"""Perceptual path length: how evenly a latent space is laid out (Karras et al. 2019, section 4.1).

    l_Z = E[ d(G(slerp(z1, z2; t)), G(slerp(z1, z2; t + eps))) / eps^2 ],  t ~ U(0, 1)   (eq. 2)

The paper measures d with VGG16 features fitted to human judgement. Here d is the squared distance
in the features of the evaluation, so that nothing has to be downloaded: compare path lengths only
under one protocol. As in the authors' code, the largest and smallest 1% are left out.
"""

import torch
from torch import Tensor

from ganvas.evaluation.estimate import Estimate, mean
from ganvas.evaluation.features.base import Features
from ganvas.models.base import LatentModel, Samples, class_labels

EPSILON = 1e-4
_BATCH = 64
_TRIMMED = 0.01


@torch.no_grad()
def path_length(model: LatentModel, features: Features, n: int, seed: int) -> Estimate:
    """The mean over n short steps, from latents of the seeds seed, seed + 1, ..., seed + 2n - 1.

    `model` must be one that samples (`Samples`) pictures; its classes are used in turn.
    """
    assert isinstance(model, Samples)
    t = torch.rand(n, generator=torch.Generator().manual_seed(seed)).to(model.device)
    ends = model.sample_latents(2 * n, seed)
    labels = class_labels(model, None, n)
    lengths = []
    for part in torch.arange(n).split(_BATCH):
        first, second = ends[part], ends[n + part]
        chosen = None if labels is None else labels[part]
        steps = [
            features.compute(_pixels(model.decode(_slerp(first, second, t[part] + e), chosen)))[0]
            for e in (0.0, EPSILON)
        ]
        lengths.append((steps[0] - steps[1]).square().sum(1) / EPSILON**2)
    values = torch.cat(lengths).double().cpu().sort().values
    trimmed = int(_TRIMMED * n)
    return mean(values[trimmed : n - trimmed])


def _slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Points (N, D) on the great arcs from a to b (N, D) at t (N,), with the lengths of normal z.

    The paper's generator normalises z, so its arcs lie on the unit sphere; others take z as it is.
    """
    cosine = torch.nn.functional.cosine_similarity(a, b).clamp(-1 + 1e-6, 1 - 1e-6)
    angle, t = cosine.acos()[:, None], t[:, None]
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


def _pixels(images: Tensor) -> Tensor:
    """[-1, 1] to [0, 255], without rounding: the steps are far below one grey level."""
    return (images.float() + 1) * 127.5
