import colorsys
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ganvas.data.augment import Ada
from ganvas.data.augment.chance import Dice
from ganvas.data.augment.colour import colour, recolour, rotate_about_luma
from ganvas.data.augment.matrices import changes
from tests.data.augment.drawing import Given, Seeded, pictures

V = np.full(3, 1 / math.sqrt(3))


def turned(pixel: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Rodrigues' formula for a pixel turned around the luma axis."""
    along = V * (pixel @ V) * (1 - math.cos(angle))
    across: NDArray[np.float64] = np.cross(V, pixel) * math.sin(angle)
    result: NDArray[np.float64] = pixel * math.cos(angle) + across + along
    return result


def test_all_colours_by_hand() -> None:
    """Numbers are drawn as value then chance; 0 is always less than p."""
    brightness, contrast, angle, saturation = 0.5, -1.0, 0.8, 1.5
    given = Given(
        brightness, 0.0, contrast, 0.0, 0.7, 0.0, angle / (2 * math.pi) + 0.5, 0.0, saturation, 0.0
    )
    images = pictures(1, 3, 16, 16)
    result = Ada((3, 16, 16), ("colour",), strength=0.5)(images, given)
    assert not given.values
    for y, x in ((0, 0), (3, 7), (15, 15)):
        pixel = images[0, :, y, x].double().numpy()
        pixel = (pixel + 0.2 * brightness) * 2 ** (0.5 * contrast)
        pixel = pixel - 2 * V * (V @ pixel)
        pixel = turned(pixel, angle)
        grey = V * (V @ pixel)
        pixel = grey + (pixel - grey) * 2**saturation
        assert result[0, :, y, x].tolist() == pytest.approx(pixel.tolist(), abs=1e-5)


def test_hue_of_known_colours() -> None:
    red, grey = torch.tensor([1.0, 0, 0]), torch.tensor([0.3, 0.3, 0.3])
    third, half = rotate_about_luma(torch.tensor([2 * math.pi / 3, math.pi]))
    torch.testing.assert_close(third @ red, torch.tensor([0.0, 1, 0]))  # green
    torch.testing.assert_close(half @ red, torch.tensor([-1 / 3, 2 / 3, 2 / 3]))  # towards cyan
    torch.testing.assert_close(half @ grey, grey)
    hue = colorsys.rgb_to_hsv(*((half @ red) / 2 + 0.5).tolist())[0]
    assert hue == pytest.approx(0.5)


def test_grey_pictures_are_coloured_as_grey_pixels_of_colour_pictures() -> None:
    grey = pictures(50, 1, 16, 16)
    C = colour(Dice(Seeded(50), torch.tensor(0.7)))
    in_colour = recolour(grey.expand(-1, 3, -1, -1), C)
    torch.testing.assert_close(recolour(grey, C), in_colour.mean(1, keepdim=True))
    torch.testing.assert_close(in_colour[:, 0], in_colour[:, 1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_how_often_colours_change(p: float) -> None:
    C = colour(Dice(Seeded(20_000), torch.tensor(p)))
    share = changes(C).float().mean().item()
    assert share == pytest.approx(1 - (1 - p) ** 4 * (1 - p / 2), abs=0.01)


def test_the_distribution_of_colours() -> None:
    """What white and a pure colour become tells the parts of the matrix from each other."""
    C = colour(Dice(Seeded(20_000), torch.tensor(1.0))).double()
    luma = C[:, :, :3].sum((1, 2)) / 3  # of white: contrast, negative after a luma flip
    assert (luma < 0).double().mean().item() == pytest.approx(0.5, abs=0.02)
    assert luma.abs().log2().std().item() == pytest.approx(0.5, rel=0.05)
    brightness = C[:, :, 3].mean(1) / luma
    assert brightness.std().item() == pytest.approx(0.2, rel=0.05)
    chroma = torch.linalg.det(C[:, :, :3]) / luma  # contrast and saturation, both squared
    octaves = chroma.abs().log2() / 2 - luma.abs().log2()
    assert octaves.std().item() == pytest.approx(1, rel=0.05)
