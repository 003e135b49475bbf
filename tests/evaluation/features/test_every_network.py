"""What holds for the features of every network: any picture in, the same vectors whatever else."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.evaluation.features.base import Features
from ganvas.evaluation.features.dinov2 import Dinov2Features
from ganvas.evaluation.features.inception import InceptionFeatures
from ganvas.evaluation.features.random import RandomFeatures

CPU = torch.device("cpu")


def random(_: pytest.FixtureRequest) -> Features:
    return RandomFeatures(CPU)


def inception(request: pytest.FixtureRequest) -> Features:
    path: Path = request.getfixturevalue("inception_file")
    return InceptionFeatures(CPU, path)


def dinov2(request: pytest.FixtureRequest) -> Features:
    folder: Path = request.getfixturevalue("dinov2_folder")
    return Dinov2Features(CPU, str(folder))


MAKERS = [random, inception, dinov2]


@pytest.fixture(scope="module", params=MAKERS, ids=lambda maker: maker.__name__)
def features(request: pytest.FixtureRequest) -> Features:
    make: Callable[[pytest.FixtureRequest], Features] = request.param
    return make(request)


def pictures(n: int, *shape: int) -> Tensor:
    draws = torch.Generator().manual_seed(n + sum(shape))
    return torch.randint(0, 256, (n, *shape), generator=draws, dtype=torch.uint8)


def close(a: Tensor, b: Tensor, relative: float = 1e-5) -> bool:
    return bool((a - b).norm() <= relative * b.norm())


def test_the_batch_does_not_matter(features: Features) -> None:
    images = pictures(9, 3, 20, 24)
    results = [features.extract(images, batch=batch) for batch in (1, 7, 500)]
    for result in results:
        assert result.features.shape == (9, features.size)
        assert result.features.dtype == torch.float32
        assert close(result.features, results[0].features)
        if results[0].logits is not None:
            assert result.logits is not None
            assert close(result.logits, results[0].logits)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 300, 180), (4, 17, 40), (3, 299, 299)])
def test_any_picture(features: Features, shape: tuple[int, ...]) -> None:
    vectors = features.extract(pictures(2, *shape)).features
    assert vectors.shape == (2, features.size)
    assert torch.isfinite(vectors).all()
    assert not close(vectors[0], vectors[1], 1e-3)  # two pictures are told apart


def test_grey_is_rgb_and_opaque_is_rgb(features: Features) -> None:
    grey, rgb = pictures(2, 1, 16, 16), pictures(2, 3, 16, 16)
    opaque = torch.cat([rgb, torch.full_like(grey, 255)], dim=1)
    sets = [grey, grey.expand(-1, 3, -1, -1), rgb, opaque]
    vectors = [features.extract(images).features for images in sets]
    assert close(vectors[1], vectors[0])
    assert close(vectors[3], vectors[2])


def test_bytes_and_floats_are_the_same(features: Features) -> None:
    images = pictures(2, 3, 32, 32)
    floats = features.extract(images.float()).features
    assert torch.equal(features.extract(images).features, floats)


def test_constant_pictures_have_features(features: Features) -> None:
    same = features.extract(torch.full((2, 3, 16, 16), 255, dtype=torch.uint8)).features
    assert torch.isfinite(same).all()
    assert close(same[0], same[1])


def test_no_picture(features: Features) -> None:
    with pytest.raises(DataError, match="no pictures"):
        features.extract(torch.empty(0, 3, 16, 16))


def test_not_a_number(features: Features) -> None:
    images = pictures(2, 3, 16, 16).float()
    images[1, 0, 3, 3] = float("nan")
    with pytest.raises(DataError, match="NaN"):
        features.extract(images)


def test_nothing_random_is_drawn(request: pytest.FixtureRequest, features: Features) -> None:
    """Evaluating amid a training leaves its random numbers alone, and gives the same again."""
    make = next(maker for maker in MAKERS if maker.__name__ == features.name)
    images = pictures(2, 3, 16, 16)
    before = torch.get_rng_state()
    again = make(request)
    assert torch.equal(again.extract(images).features, features.extract(images).features)
    assert again.identity == features.identity
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_reach_the_picture(features: Features) -> None:
    images = pictures(1, 3, 16, 16).float().requires_grad_()
    features.compute(images)[0].square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
