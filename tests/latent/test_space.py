from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.latent.space import SpaceName, default_space, open_space
from ganvas.models.autoencoder import Autoencoder, AutoencoderConfig
from ganvas.models.base import LatentModel
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from ganvas.models.vae import Vae
from ganvas.models.vae_config import VaeConfig
from ganvas.models.vqvae import VqVae, VqVaeConfig
from ganvas.networks import StyleKind
from tests.latent.painter import Etcher, Painter, tiny_stylegan

SPACES: tuple[SpaceName, ...] = ("z", "w", "w+")


def small_gan(shape: tuple[int, ...] = (3, 16, 16)) -> Gan:
    networks = "mlp" if len(shape) == 1 else "dcgan"
    return Gan(GanConfig(networks=networks, width=4, latent_size=8), shape).eval()


def small_vae() -> Vae:
    return Vae(VaeConfig(width=4, latent_size=8), (3, 16, 16)).eval()


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("networks", ["stylegan", "stylegan2", "stylegan3-t"])
def test_seeds_are_the_same_pictures_in_every_space(networks: StyleKind, name: SpaceName) -> None:
    model = tiny_stylegan(networks)
    space = open_space(model, name)
    points = space.points([3, 9, 3])
    assert points.shape == (3, *space.shape)
    pictures = space.draw(points)
    torch.testing.assert_close(pictures[0], pictures[2])
    torch.testing.assert_close(pictures[1], model.sample(1, 9)[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(3, 16, 16), (2,)])
def test_models_without_styles_have_z(shape: tuple[int, ...]) -> None:
    model = small_gan(shape)
    space = open_space(model, default_space(model))
    assert space.name == "z"
    torch.testing.assert_close(space.draw(space.points([1, 2])), model.sample(2, 1))
    for name in ("w", "w+"):
        with pytest.raises(ConfigError, match=r"no styles.*stylegan2"):
            open_space(model, name)


def test_a_stylegan_is_best_explored_in_w() -> None:
    assert default_space(Painter()) == "w"


@pytest.mark.parametrize("name", SPACES)
def test_labels_reach_the_pictures(name: SpaceName) -> None:
    painter = Painter(classes=("cat", "dog"))
    space = open_space(painter, name)
    labels = torch.tensor([1, 0])
    pictures = space.draw(space.points([3, 3], labels), labels)
    first = painter.sample_latents(1, 3)[0, 0]
    torch.testing.assert_close(pictures[:, 0, 0, 0], torch.stack([first + 1, first]).tanh())


@pytest.mark.parametrize("name", SPACES)
def test_many_pictures_are_drawn_in_batches(name: SpaceName) -> None:
    painter = Painter()
    space = open_space(painter, name)
    points = space.points(range(35))
    pictures = space.draw(points, noise="random")
    assert painter.batches == [16, 16, 3]
    torch.testing.assert_close(pictures, painter.sample(35, 0, noise="random"))
    other = space.draw(points, noise="none")
    assert not torch.equal(other, space.draw(points, noise="random"))


def test_noise_needs_a_model_with_noise() -> None:
    for model in (Etcher(), small_gan()):
        space = open_space(model, "z")
        assert space.draw(space.points([1])).shape[0] == 1
        with pytest.raises(ConfigError, match="noise random"):
            space.draw(space.points([1]), noise="random")


@pytest.mark.parametrize("model", [Painter(), small_gan(), small_vae()])
def test_gradients_by_the_points_and_pictures_as_drawn(model: LatentModel) -> None:
    for name in SPACES if isinstance(model, Painter) else SPACES[:1]:
        space = open_space(model, name)
        points = space.points([1, 2]).requires_grad_()
        pictures = space.differentiable(points)
        torch.testing.assert_close(pictures, space.draw(points), atol=1e-5, rtol=1e-5)
        pictures.square().sum().backward()
        assert points.grad is not None
        assert (points.grad.flatten(1).abs().sum(1) > 0).all()


def test_what_has_no_gradients() -> None:
    model = (
        VqVae(VqVaeConfig(codes=8, code_size=4, width=4), (3, 16, 16)).eval().requires_grad_(False)
    )
    space = open_space(model, "z")
    codes = space.encode(torch.rand(1, 3, 16, 16) * 2 - 1)
    assert codes is not None
    with pytest.raises(ConfigError, match="VqVae, have no gradients"):
        space.differentiable(codes.requires_grad_())


def test_encoding() -> None:
    vae, images = small_vae(), torch.rand(2, 3, 16, 16) * 2 - 1
    found = open_space(vae, "z").encode(images)
    torch.testing.assert_close(found, vae.encode(images))
    assert open_space(small_gan(), "z").encode(images) is None
    assert open_space(Painter(), "w").encode(images) is None


@pytest.mark.parametrize("name", SPACES)
def test_mean_and_spread(name: SpaceName) -> None:
    space = open_space(Painter(), name)
    assert space.mean().shape == space.spread().shape == space.shape
    centre = 0.0 if name == "z" else 0.25  # the painter's own centre
    torch.testing.assert_close(space.mean(), torch.full(space.shape, centre), atol=0.05, rtol=0)
    torch.testing.assert_close(space.spread(), torch.ones(space.shape), atol=0.05, rtol=0)
    assert space.many is space.many  # drawn once


def test_an_autoencoder_has_no_seeds() -> None:
    model = Autoencoder(AutoencoderConfig(width=4, latent_size=8), (3, 16, 16)).eval()
    space = open_space(model, "z")
    asks: list[Callable[[], Tensor]] = [lambda: space.points([1]), space.mean, space.spread]
    for ask in asks:
        with pytest.raises(ConfigError, match=r"no distribution.*--images"):
            ask()
    with pytest.raises(ConfigError, match="no seeds"):
        open_space(small_gan(), "z").points([])


def test_points_are_lifted_to_later_spaces_only() -> None:
    painter = Painter(classes=("cat", "dog"))
    dog = torch.tensor([1])
    z = open_space(painter, "z").points([3])
    w = open_space(painter, "w").points([3], dog)
    known: list[tuple[SpaceName, Tensor]] = [("z", z), ("w", w)]
    for of, points in known:
        for to in SPACES[1:]:
            space = open_space(painter, to)
            torch.testing.assert_close(space.lift(points, of, dog), space.points([3], dog))
    with pytest.raises(ConfigError, match=r"points of w\+ have no counterpart in w"):
        open_space(painter, "w").lift(open_space(painter, "w+").points([3]), "w+")
