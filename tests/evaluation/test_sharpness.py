import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.errors import DataError
from ganvas.evaluation import sharpness as module
from ganvas.evaluation.sharpness import high_frequency_energy, sharpness


def pictures(
    count: int, seed: int = 0, channels: int = 3, side: tuple[int, int] = (32, 24)
) -> Tensor:
    """Filled shapes with edges, such as drawings have, over a soft background; uint8."""
    generator = torch.Generator().manual_seed(seed)
    height, width = side
    y = torch.arange(height)[:, None] / height
    x = torch.arange(width) / width
    centres = torch.rand(count, 2, 1, 1, generator=generator)
    radii = 0.1 + 0.3 * torch.rand(count, 1, 1, generator=generator)
    inside = (y - centres[:, 0]).square() + (x - centres[:, 1]).square() < radii.square()
    values = torch.where(inside, 200.0, 60 + 40 * y.expand(height, width))
    return values[:, None].repeat(1, channels, 1, 1).to(torch.uint8)


def blurred(images: Tensor) -> Tensor:
    return F.avg_pool2d(images.float(), 3, stride=1, padding=1, count_include_pad=False).byte()


def noisy(images: Tensor, strength: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(5))
    return (images + strength * noise).round().clamp(0, 255).byte()


def test_real_against_real_is_one() -> None:
    estimate = sharpness(pictures(400), pictures(300, seed=1))
    assert estimate.value == pytest.approx(1, abs=0.15)
    assert estimate.interval is not None
    assert estimate.interval[0] < 1 < estimate.interval[1]


@pytest.mark.parametrize("side", [(8, 8), (8, 40), (33, 64)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_blur_lowers_it_and_noise_raises_it(side: tuple[int, int], channels: int) -> None:
    real, fake = (pictures(100, seed, channels, side) for seed in (0, 1))
    if channels == 4:
        real[:, 3], fake[:, 3] = 255, 255
    assert sharpness(real, blurred(fake)).value < 0.5
    assert sharpness(real, noisy(fake, 20)).value > 1.2


def test_the_energy_is_the_mean_squared_laplacian() -> None:
    spot = torch.zeros(1, 1, 10, 9)
    spot[0, 0, 4, 4] = 100  # the kernel itself, times 100, among 8 x 7 places
    assert high_frequency_energy(spot).tolist() == pytest.approx([100**2 * 20 / 56])
    ramp = torch.arange(12.0).expand(1, 3, 12, 12)
    assert high_frequency_energy(ramp).tolist() == pytest.approx([0], abs=1e-6)


def test_channels_count_by_luminance_and_clear_pixels_are_white() -> None:
    grey = pictures(5, channels=1)
    rgb = grey.expand(-1, 3, -1, -1)
    torch.testing.assert_close(high_frequency_energy(grey), high_frequency_energy(rgb))
    clear = torch.cat([rgb, torch.zeros_like(grey)], 1)
    assert high_frequency_energy(clear).max() < 1e-6


def test_the_interval_covers_the_ratio() -> None:
    hits = 0
    for i in range(200):
        interval = sharpness(pictures(60, 2 * i), pictures(40, 2 * i + 1)).interval
        assert interval is not None
        hits += interval[0] <= 1 <= interval[1]
    assert hits >= 180


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    images, results = pictures(20), []
    for size in (1, 7, 500):
        monkeypatch.setattr(module, "_BATCH", size)
        results.append(high_frequency_energy(images))
    torch.testing.assert_close(results[0], results[2], rtol=1e-5, atol=0)
    torch.testing.assert_close(results[1], results[2], rtol=1e-5, atol=0)


def test_constant_pictures() -> None:
    constant = torch.full((5, 3, 16, 16), 77, dtype=torch.uint8)
    with pytest.raises(DataError, match="single colour"):
        sharpness(constant, pictures(5, side=(16, 16)))
    assert sharpness(pictures(5, side=(16, 16)), constant).value == 0


def test_bad_pictures() -> None:
    images = pictures(5)
    with pytest.raises(DataError, match="5 real and 1 fake"):
        sharpness(images, images[:1])
    with pytest.raises(DataError, match="at one size"):
        sharpness(images, images[:, :, 1:])
    with pytest.raises(DataError, match="at least 8 x 8"):
        high_frequency_energy(images[:, :, :7])
    with pytest.raises(DataError, match="grey, RGB or RGBA"):
        high_frequency_energy(images[:, :2])
    with pytest.raises(DataError, match="not finite"):
        high_frequency_energy(images / torch.zeros(1))
