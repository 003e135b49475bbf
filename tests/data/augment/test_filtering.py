import itertools
import math

import numpy as np
import pytest
import torch

from ganvas.data.augment.chance import Dice
from ganvas.data.augment.filtering import POWER, SYM2, Bands, band_filters
from tests.data.augment.drawing import Given, Seeded, pictures


def response(band: torch.Tensor, frequency: float) -> float:
    places = torch.arange(len(band)) - len(band) // 2
    return (band * torch.cos(frequency * places)).sum().item()


def test_the_wavelet_is_orthogonal_with_two_vanishing_moments() -> None:
    h, k = np.array(SYM2), np.arange(4)
    assert [h @ h, h[2:] @ h[:2]] == pytest.approx([1, 0])
    assert [((-1) ** k * h).sum(), ((-1) ** k * k * h).sum()] == pytest.approx([0, 0])


def test_each_band_lets_through_its_own_frequencies_and_together_they_are_everything() -> None:
    bands = band_filters()
    edges = [0, 1 / 8, 1 / 4, 1 / 2, 1]
    for low, high in itertools.pairwise(edges):
        responses = [response(band, math.pi * (0.4 * low + 0.6 * high)) for band in bands]
        assert np.argmax(responses) == edges.index(low)
        assert min(responses) > -1e-12
    total = torch.stack(bands).sum(0)
    centre = torch.zeros(43, dtype=torch.float64)
    centre[21] = 1
    torch.testing.assert_close(total, centre)


@pytest.mark.parametrize("size", [(16, 16), (20, 32)])
def test_a_picture_filtered_by_hand(size: tuple[int, int]) -> None:
    images, gains = pictures(2, 3, *size), torch.tensor([[1.0, 1, 1, 1], [0.5, 2.0, 1.2, 3.0]])
    result = Bands(*size)(images, gains)
    torch.testing.assert_close(result[0], images[0], atol=1e-6, rtol=0)
    taps = (gains[1, :, None].double() * torch.stack(band_filters())).sum(0).numpy()
    picture = np.pad(images[1, 2].double().numpy(), 21, mode="reflect")
    picture = np.apply_along_axis(np.convolve, 0, picture, taps, "valid")
    picture = np.apply_along_axis(np.convolve, 1, picture, taps, "valid")
    assert result[1, 2].numpy() == pytest.approx(picture, abs=1e-5)


def test_one_amplified_band_keeps_the_expected_power() -> None:
    others = (0.0, 0.9)
    for band in range(4):
        numbers = [*others] * band + [1.0, 0.0] + [*others] * (3 - band)
        g = Bands(16, 16).gains(Dice(Given(*numbers), torch.tensor(0.5)))[0]
        assert (torch.tensor(POWER) * g.square()).sum().item() == pytest.approx(1)
        assert (g[band] / g[(band + 1) % 4]).item() == pytest.approx(2)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_how_often_bands_change(p: float) -> None:
    g = Bands(16, 16).gains(Dice(Seeded(20_000), torch.tensor(p)))
    share = (g != 1).any(1).float().mean().item()
    assert share == pytest.approx(1 - (1 - p) ** 4, abs=0.01)
