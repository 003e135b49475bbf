"""The game of discriminators of patches, in closed form."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganvas.losses.adversarial import Objective
from ganvas.losses.patches import discriminator_game, generator_game, slope
from ganvas.losses.reconstruction import absolute_error


def maps(value: float) -> Tensor:
    return torch.full((2, 1, 3, 4), value)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("objective", "judge", "maker"),
    [
        # Isola et al. 2017, eq. 1, D's half of it; G maximises log D.
        ("non-saturating", 0.5 * (softplus(-0.3) + softplus(0.8)), softplus(-0.8)),
        # Zhu et al. 2017, section 4: 1/2 E(D(y) - 1)^2 + 1/2 E D(G(x))^2 and E(D(G(x)) - 1)^2.
        ("least-squares", 0.5 * (0.7**2 + 0.8**2), 0.2**2),
        ("hinge", 0.5 * (0.7 + 1.8), -0.8),
        ("relativistic", 0.5 * softplus(0.8 - 0.3), softplus(0.3 - 0.8)),
    ],
)
def test_both_sides(objective: Objective, judge: float, maker: float) -> None:
    real, fake = maps(0.3), maps(0.8)
    total, parts = discriminator_game(objective, real, fake)
    assert float(total) == pytest.approx(judge)
    assert float(torch.stack(list(parts.values())).sum() / 2) == pytest.approx(judge)
    assert float(generator_game(objective, fake, real)) == pytest.approx(maker)


def test_patches_count_alike() -> None:
    """The mean over all patches of all pictures."""
    fake = torch.tensor([[[[0.0, 1.0]]], [[[1.0, 3.0]]]])
    assert float(generator_game("least-squares", fake)) == pytest.approx((1 + 0 + 0 + 4) / 4)


@pytest.mark.parametrize("side", [4, 8])
def test_slope_of_the_mean_answer(side: int) -> None:
    """D of one pixel, w x: the mean of P answers has the gradient w / P at each of P pixels."""
    network = Judge(nn.Conv2d(2, 1, 1))
    weight = network.layer.weight
    images = torch.randn(3, 2, side, side)
    squared = slope(network, images, side**2)
    expected = float(weight.detach().square().sum()) / side**2
    assert float(squared.detach()) == pytest.approx(expected, rel=1e-5)
    (gradient,) = torch.autograd.grad(squared, weight)
    torch.testing.assert_close(gradient, 2 * weight.detach() / side**2)


def test_slope_is_by_the_images_before_they_are_transformed() -> None:
    network = Judge(nn.Conv2d(3, 1, 1))
    images, inputs = torch.randn(2, 2, 4, 4), torch.randn(2, 1, 4, 4)
    squared = slope(network, images, 16, lambda x: torch.cat([inputs, 5 * x], 1))
    seen = network.layer.weight[0, 1:].detach()
    assert float(squared.detach()) == pytest.approx(25 * float(seen.square().sum()) / 16, rel=1e-5)


def test_absolute_error() -> None:
    target, output = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)
    output[1] *= -3
    assert absolute_error(target, output).tolist() == [1, 3]


class Judge(nn.Module):
    """A discriminator of one layer."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: Tensor, labels: None = None) -> Tensor:
        logits: Tensor = self.layer(images)
        return logits
