"""Distances in random features mean something: they grow with what is wrong with the pictures."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.data.builtin.avatars import draw_attributes, generate, render
from ganvas.evaluation.features.random import SEED, RandomFeatures, draw_kernels
from ganvas.evaluation.frechet import frechet_distance
from ganvas.evaluation.kernel import kernel_distance
from ganvas.evaluation.manifold import manifold_scores

N = 500
CPU = torch.device("cpu")


def as_tensor(pictures: Any) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def features() -> RandomFeatures:
    return RandomFeatures(CPU)


@pytest.fixture(scope="module", params=[16, 64], ids=lambda side: f"{side}px")
def side(request: pytest.FixtureRequest) -> int:
    value: int = request.param
    return value


@pytest.fixture(scope="module")
def faces(side: int) -> Tensor:
    """The first half is the reference, the second what is spoilt."""
    return as_tensor(generate(range(2 * N), (side, side)))


def blurred(images: Tensor, sigma: float) -> Tensor:
    if sigma == 0:
        return images
    reach = torch.arange(-8, 9.0)
    kernel = torch.exp(-((reach / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    rows = F.conv2d(F.pad(images, (8, 8, 0, 0), "replicate"), kernel, groups=3)
    return F.conv2d(F.pad(rows, (0, 0, 8, 8), "replicate"), kernel.mT, groups=3)


def noisy(images: Tensor, sigma: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + sigma * noise).clamp(0, 255)


def tinted(images: Tensor, amount: float) -> Tensor:
    return (images + amount * torch.tensor([1.0, 0.0, -1.0]).view(3, 1, 1)).clamp(0, 255)


@pytest.mark.parametrize(
    ("spoil", "amounts"),
    [(blurred, (0, 1 / 64, 1 / 32, 1 / 16)), (noisy, (0, 25, 60)), (tinted, (0, 5, 15, 40))],
    ids=["blur", "noise", "colour"],
)
def test_worse_is_farther(
    features: RandomFeatures, faces: Tensor, side: int, spoil: Any, amounts: tuple[float, ...]
) -> None:
    """Blur is in parts of the picture's side."""
    unit = side if spoil is blurred else 1
    real = features.extract(faces[:N]).features
    spoilt = [features.extract(spoil(faces[N:].float(), a * unit)).features for a in amounts]
    frechet = [frechet_distance(real, fake) for fake in spoilt]
    kernel = [kernel_distance(real, fake) for fake in spoilt]
    assert frechet == sorted(frechet)
    assert [distance.value for distance in kernel] == sorted(distance.value for distance in kernel)
    assert frechet[-1] > 3 * frechet[0]
    floor, worst = kernel[0].interval, kernel[-1].interval
    assert floor is not None
    assert worst is not None
    assert worst[0] > 3 * floor[1]  # beyond doubt


def test_missing_modes_are_seen(features: RandomFeatures, side: int, faces: Tensor) -> None:
    """All hair styles, half of them, one: the distances grow, the coverage falls."""
    attributes = draw_attributes(range(2 * N, 12 * N))
    real = features.extract(faces[:N]).features
    frechet, kernel, coverage = [], [], []
    for styles in (6, 3, 1):
        chosen = (attributes["hair_style"] < styles).nonzero()[0][:N]
        some = {name: values[chosen] for name, values in attributes.items()}
        fake = features.extract(as_tensor(render(some, (side, side)))).features
        frechet.append(frechet_distance(real, fake))
        kernel.append(kernel_distance(real, fake).value)
        coverage.append(manifold_scores(real, fake)[5].coverage.value)
    assert frechet == sorted(frechet)
    assert kernel == sorted(kernel)
    assert frechet[-1] > 3 * frechet[0]
    assert coverage == sorted(coverage, reverse=True)
    assert coverage[0] > 0.9
    assert coverage[-1] < 0.8


def test_a_collapsed_set_covers_nothing(features: RandomFeatures, faces: Tensor) -> None:
    """Ten faces over and over, each with a little noise."""
    real = features.extract(faces[:N]).features
    few = noisy(faces[N : N + 10].repeat(N // 10, 1, 1, 1).float(), 1)
    scores = manifold_scores(real, features.extract(few).features)[5]
    assert scores.coverage.value < 0.15
    assert scores.precision.value > 0.9  # each of them is a good face


def test_same_weights_everywhere(features: RandomFeatures) -> None:
    """Scores of other machines and versions stay comparable: a change here breaks them all."""
    assert features.size == 384
    assert features.identity == ("7081523e7b33353581e0ffd87caa852a7d2157cdf0ca3743c96170883209c3f5")


def test_identity_is_of_the_weights(
    features: RandomFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganvas.evaluation.features.random.SEED", SEED + 1)
    assert RandomFeatures(CPU).identity != features.identity


def test_the_weights_keep_the_scale() -> None:
    """He et al. 2015: variance 2 / fan-in; edge filters answer nothing to an even area."""
    kernels = draw_kernels(SEED)
    for kernel in kernels[1:]:
        assert kernel.var() * kernel[0].numel() == pytest.approx(2, rel=0.1)
    assert kernels[0][8:].mean(dim=(1, 2, 3)).abs().max() < 1e-7
    assert kernels[0][:8].mean(dim=(1, 2, 3)).abs().min() > 1e-4
