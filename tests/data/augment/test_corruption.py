import pytest
import torch

from ganvas.data.augment.chance import Dice
from ganvas.data.augment.corruption import add_noise, cut_out
from tests.data.augment.drawing import Given, Seeded, pictures


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_noise(p: float) -> None:
    images = pictures(4000, 3, 16, 16)
    noise = add_noise(images, Dice(Seeded(4000), torch.tensor(p))) - images
    deviation = noise.flatten(1).std(1)
    noisy = deviation > 0
    assert noisy.float().mean().item() == pytest.approx(p, abs=0.03)
    if p:
        assert deviation[noisy].square().mean().sqrt().item() == pytest.approx(0.1, rel=0.05)
        assert noise[noisy].mean().item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_how_often_and_how_much_is_cut_out(p: float) -> None:
    images = torch.ones(4000, 1, 16, 24)
    cut = cut_out(images, Dice(Seeded(4000), torch.tensor(p))) == 0
    assert cut.any((1, 2, 3)).float().mean().item() == pytest.approx(p, abs=0.03)
    if p:  # of each side, half on average, less what lies outside: 1/2 - 2 * (1/4)^2 / 2
        share = cut.float().mean((1, 2, 3)).mean().item()
        assert share == pytest.approx(p * (7 / 16) ** 2, rel=0.04)


def test_the_rectangle_by_hand() -> None:
    images = pictures(1, 3, 16, 24)
    result = cut_out(images, Dice(Given((0.5, 0.125), 0.0), torch.tensor(0.5)))
    expected = images.clone()
    expected[:, :, :6, 6:18] = 0  # x: 12 ± 6, y: 2 ± 4
    assert torch.equal(result, expected)
