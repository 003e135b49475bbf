import numpy as np
import pytest
import torch

from ganvas.errors import ConfigError
from ganvas.latent.variation import Variation, vary
from ganvas.models.base import normal_latents
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from ganvas.networks import StyleKind
from tests.latent.painter import SIZE, Etcher, Painter, tiny_stylegan


def test_one_w_under_many_noises() -> None:
    painter = Painter()
    found = vary(painter, 5, 4, over=10)
    assert found.pictures.shape == (4, 3, SIZE, SIZE)
    assert found.over == 10
    top = found.pictures[:, :, : SIZE // 2]
    torch.testing.assert_close(top, painter.sample(1, 5)[:, :, : SIZE // 2].expand_as(top))
    torch.testing.assert_close(found.pictures[0], painter.sample(1, 5, noise="random")[0])
    assert not torch.equal(found.pictures[0], found.pictures[1])
    assert torch.equal(found.plain, painter.sample(1, 5, noise="none")[0])


@pytest.mark.parametrize("over", [2, 16, 40])
def test_the_deviation_is_that_of_each_pixel(over: int) -> None:
    found = vary(Painter(), 5, 1, over=over)
    noises = 0.1 * normal_latents(over, SIZE * SIZE // 2, 5, torch.device("cpu"))
    expected = noises.std(0).view(SIZE // 2, SIZE)
    torch.testing.assert_close(found.deviation[SIZE // 2 :], expected, atol=1e-6, rtol=1e-5)
    assert not found.deviation[: SIZE // 2].any()
    assert found.levels == pytest.approx(float(expected.max()) * 127.5)


def test_channels_are_averaged_as_variances() -> None:
    class Red(Painter):
        def synthesise(self, *arguments: object, **settings: object) -> torch.Tensor:
            images = super().synthesise(*arguments, **settings)  # type: ignore[arg-type]
            images[:, 1:] = 0
            return images

    red, grey = vary(Red(), 1, over=20).deviation, vary(Painter(), 1, over=20).deviation
    torch.testing.assert_close(red, grey / 3**0.5)


def test_at_least_the_pictures_shown_are_measured_in_small_batches() -> None:
    painter = Painter()
    found = vary(painter, 0, 37, over=3)
    assert len(found.pictures) == found.over == 37
    assert max(painter.batches) <= 16
    assert torch.equal(vary(painter, 0, 20, over=37).pictures, found.pictures[:20])


def test_class_and_truncation_reach_the_picture() -> None:
    painter = Painter(classes=("cat", "dog"))
    first = painter.sample_latents(1, 3)[0, 0]
    assert vary(painter, 3).plain[0, 0, 0] == first.tanh()
    assert vary(painter, 3, label="dog").plain[0, 0, 0] == (first + 1).tanh()
    assert vary(painter, 3, truncation=0.0).plain[0, 0, 0] == torch.tensor(0.25).tanh()


def test_what_does_not_vary() -> None:
    gan = Gan(GanConfig(width=4, latent_size=8), (3, 16, 16)).eval()
    with pytest.raises(ConfigError, match=r"no styles.*stylegan, stylegan2"):
        vary(gan, 1)
    with pytest.raises(ConfigError, match=r"no noise.*stylegan, stylegan2"):
        vary(Etcher(), 1)
    for n, over in ((0, 10), (1, 1)):
        with pytest.raises(ConfigError, match="at least two noises"):
            vary(Painter(), 1, n, over=over)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("n", [1, 2, 5, 8, 20])
def test_the_map_is_white_where_the_deviation_is_largest(channels: int, n: int) -> None:
    shape = (channels, SIZE, SIZE)
    deviation = torch.zeros(SIZE, SIZE)
    deviation[: SIZE // 2] = 0.02
    deviation[0] = 0.04
    found = Variation(torch.zeros(n, *shape), torch.full(shape, -0.5), deviation, 100)
    assert "over 100 noises: white = 5.1 of 255 levels" in found.caption
    pixels = np.asarray(found.sheet()).astype(int).reshape(*found.sheet().size[::-1], -1)
    columns = -(-n // max(2, int(n**0.5)))
    scale = (found.sheet().width - 2 * (columns + 2)) // ((1 + columns) * SIZE + SIZE / 8)
    side, left = int(scale) * SIZE, 2
    top = 2 + side + 2
    assert (pixels[2 : 2 + side, left : left + side, :3] == 64).all()  # without noise
    shown = pixels[top : top + side, left : left + side]
    assert (shown[0, :, :3] == 255).all()
    assert (shown[side // 2 - 1, :, :3] == 128).all()
    assert (shown[-1, :, :3] == 0).all()
    if channels == 4:
        assert (shown[..., 3] == 255).all()


def test_noise_that_changes_nothing_has_a_black_map() -> None:
    shape = (3, SIZE, SIZE)
    found = Variation(torch.ones(2, *shape), torch.ones(shape), torch.zeros(SIZE, SIZE), 10)
    assert found.levels == 0
    assert np.asarray(found.sheet()).min() == 0


@pytest.mark.parametrize("networks", ["stylegan", "stylegan2"])
def test_a_stylegan(networks: StyleKind) -> None:
    model = tiny_stylegan(networks)
    assert vary(model, 3, 2, over=2).levels == 0  # noise begins with the strength 0
    for name, weight in model.generator.named_parameters():
        if "noise" in name:
            weight.fill_(0.5)
    found = vary(model, 3, 2, over=20, truncation=0.7)
    torch.testing.assert_close(found.plain, model.sample(1, 3, None, 0.7, "none")[0])
    torch.testing.assert_close(found.pictures[0], model.sample(1, 3, None, 0.7, "random")[0])
    assert found.deviation.min() > 0
