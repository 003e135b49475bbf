import math

import pytest
import torch

from ganvas.errors import ConfigError
from ganvas.latent.walk import interpolate, lerp, slerp, walk
from ganvas.models.autoencoder import Autoencoder, AutoencoderConfig
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from ganvas.models.vae import Vae
from ganvas.models.vae_config import VaeConfig
from tests.latent.painter import Painter


def test_lerp_and_slerp_begin_and_end_at_their_ends() -> None:
    a, b = torch.randn(2, 16)
    for way in (lerp, slerp):
        path = way(a, b, torch.tensor([0.0, 1.0]))
        torch.testing.assert_close(path, torch.stack([a, b]))


def test_slerp_keeps_the_radius_and_the_angular_speed() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    path = slerp(a, b, torch.linspace(0, 1, 5))
    torch.testing.assert_close(path.norm(dim=1), torch.full((5,), 2.0))
    angles = torch.atan2(path[:, 1], path[:, 0])
    torch.testing.assert_close(angles, torch.linspace(0, math.pi / 2, 5))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_slerp_between_parallel_latents_is_finite(sign: float) -> None:
    a = torch.randn(8)
    assert torch.isfinite(slerp(a, sign * a, torch.linspace(0, 1, 7))).all()


def test_walk_passes_every_point() -> None:
    points = torch.randn(3, 4)
    path = walk(points, 5, "lerp")
    assert path.shape == (10, 4)
    torch.testing.assert_close(path[[0, 4, 9]], points)
    torch.testing.assert_close(path[5], points[1])


def test_interpolation_between_seeds_shows_the_samples_of_those_seeds() -> None:
    gan = Gan(GanConfig(width=4, latent_size=8), (3, 16, 16)).eval()
    frames = interpolate(gan, [3, 9], steps=4)
    assert frames.shape == (4, 3, 16, 16)
    torch.testing.assert_close(frames[0], gan.sample(1, seed=3)[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(frames[-1], gan.sample(1, seed=9)[0], atol=1e-5, rtol=0)


def test_interpolation_between_images() -> None:
    vae = Vae(VaeConfig(width=4, latent_size=8), (3, 16, 16)).eval()
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    frames = interpolate(vae, images=images, steps=3)
    torch.testing.assert_close(frames[0], vae.decode(vae.encode(images))[0], atol=1e-5, rtol=0)


def test_interpolation_says_what_a_model_cannot_do() -> None:
    ae = Autoencoder(AutoencoderConfig(width=4, latent_size=8), (3, 16, 16)).eval()
    gan = Gan(GanConfig(width=4, latent_size=8), (3, 16, 16)).eval()
    with pytest.raises(ConfigError, match="--images"):
        interpolate(ae, [1, 2])
    with pytest.raises(ConfigError, match="no encoder"):
        interpolate(gan, images=torch.zeros(2, 3, 16, 16))
    with pytest.raises(ConfigError, match="at least two"):
        interpolate(gan, [1])


def test_a_walk_in_w_is_straight_there() -> None:
    painter = Painter(classes=("cat", "dog"))
    frames = interpolate(painter, [3, 9], steps=5, space="w", label="dog")
    ends = painter.sample_latents(1, 3)[0, 0] + 1, painter.sample_latents(1, 9)[0, 0] + 1
    w = torch.lerp(*ends, torch.linspace(0, 1, 5))
    torch.testing.assert_close(frames[:, 0, 0, 0], w.tanh())
    arc = interpolate(painter, [3, 9], steps=5, label="dog")
    torch.testing.assert_close(frames[[0, -1]], arc[[0, -1]], atol=1e-5, rtol=0)
    assert (frames[2] - arc[2]).abs().max() > 1e-3


def test_a_walk_in_w_says_what_it_cannot_do() -> None:
    gan = Gan(GanConfig(width=4, latent_size=8), (3, 16, 16)).eval()
    with pytest.raises(ConfigError, match="no styles"):
        interpolate(gan, [1, 2], space="w")
    with pytest.raises(ConfigError, match="--mode slerp"):
        interpolate(Painter(), [1, 2], space="w", mode="slerp")
    with pytest.raises(ConfigError, match="between seeds"):
        interpolate(Painter(), images=torch.zeros(2, 3, 16, 16), space="w")
    with pytest.raises(ConfigError, match="two ends"):
        interpolate(Painter(), [1], space="w")
