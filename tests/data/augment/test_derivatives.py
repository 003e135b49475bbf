"""A penalty on D's gradient at augmented images is right: first and second derivatives."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.data.augment.drawing import Seeded, everything, pictures

NAMES = tuple(everything())
SHAPE = (3, 16, 16)


def discriminator(weights: Tensor, images: Tensor) -> Tensor:
    """A small D (N,) with curvature everywhere; weights (4 * 3 * 3 * 3 + 4,)."""
    kernel, last = weights[:108].view(4, 3, 3, 3), weights[108:]
    return F.softplus(4 * F.conv2d(images, kernel, stride=2)).mean((2, 3)) @ last


def r1(weights: Tensor, images: Tensor, name: str) -> Tensor:
    """mean |grad_x D(augment(x))|^2."""
    augment = everything(SHAPE)[name]

    def total(x: Tensor) -> Tensor:
        return discriminator(weights, augment(x, Seeded(len(x), seed=3))).sum()

    gradient: Tensor = torch.func.grad(total)(images)
    return gradient.square().flatten(1).sum(1).mean()


@pytest.mark.parametrize("name", NAMES)
def test_r1_by_the_weights_is_its_finite_difference(name: str) -> None:
    images = pictures(6, *SHAPE, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(112, generator=generator, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(r1(weights, images, name), weights)
    for _ in range(3):
        way = torch.randn(112, generator=generator, dtype=torch.float64)
        step = 1e-5 * way
        ahead, behind = (r1(weights.detach() + s, images, name) for s in (step, -step))
        difference = (ahead - behind) / 2e-5
        torch.testing.assert_close(gradient @ way, difference, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_by_the_images_are_their_finite_differences(name: str) -> None:
    """Both derivatives, by autograd's own checks against differences."""
    augment = everything(SHAPE)[name]
    images = pictures(2, *SHAPE, dtype=torch.float64).requires_grad_()

    def bent(x: Tensor) -> Tensor:
        return augment(x, Seeded(2, seed=4)).square()

    assert torch.autograd.gradcheck(bent, images, fast_mode=True)
    assert torch.autograd.gradgradcheck(bent, images, fast_mode=True)
