import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.latent.points import Points
from ganvas.latent.space import SpaceName, open_space
from ganvas.latent.sweep import sweep
from ganvas.latent.walk import Mode, Walk, along, evenly, in_rows, interpolate, lerp, slerp
from ganvas.models.autoencoder import Autoencoder, AutoencoderConfig
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from ganvas.models.vae import Vae
from ganvas.models.vae_config import VaeConfig
from ganvas.pictures import to_uint8
from tests.latent.painter import Painter, tiny_stylegan

SPACES: tuple[SpaceName, ...] = ("z", "w", "w+")


def small_gan() -> Gan:
    return Gan(GanConfig(width=4, latent_size=8), (3, 16, 16)).eval()


def between(way: Callable[..., Tensor], a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return way(a.expand(len(t), -1), b.expand(len(t), -1), t)


def test_lerp_and_slerp_begin_and_end_at_their_ends() -> None:
    a, b = torch.randn(2, 16)
    for way in (lerp, slerp):
        path = between(way, a, b, torch.tensor([0.0, 1.0]))
        torch.testing.assert_close(path, torch.stack([a, b]))


def test_slerp_keeps_the_radius_and_the_angular_speed() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    path = between(slerp, a, b, torch.linspace(0, 1, 5))
    torch.testing.assert_close(path.norm(dim=1), torch.full((5,), 2.0))
    angles = torch.atan2(path[:, 1], path[:, 0])
    torch.testing.assert_close(angles, torch.linspace(0, math.pi / 2, 5))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_slerp_between_parallel_latents_is_finite(sign: float) -> None:
    a = torch.randn(8)
    assert torch.isfinite(between(slerp, a, sign * a, torch.linspace(0, 1, 7))).all()


@pytest.mark.parametrize("mode", ["lerp", "slerp"])
@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_rows_pass_every_point(mode: Mode, shape: tuple[int, ...]) -> None:
    if mode == "slerp" and len(shape) > 1:
        return
    points = torch.randn(3, *shape)
    path = along(points, in_rows(2, 5), mode)
    torch.testing.assert_close(path[[0, 4, 5, 9]], points[[0, 1, 1, 2]])
    if mode == "lerp":
        torch.testing.assert_close(path[7], (points[1] + points[2]) / 2)


def test_frames_are_evenly_spaced() -> None:
    assert evenly(2, 5, loop=False).tolist() == [0, 0.5, 1, 1.5, 2]
    assert evenly(3, 6, loop=True).tolist() == [0, 0.5, 1, 1.5, 2, 2.5]


def test_a_walk_between_seeds_shows_the_samples_of_those_seeds() -> None:
    gan = small_gan()
    walk = interpolate(gan, [3, 9, 4], steps=4)
    assert len(walk) == 8
    expected = torch.cat([gan.sample(1, seed) for seed in (3, 9, 9, 4)])
    torch.testing.assert_close(walk.pictures[[0, 3, 4, 7]], expected, atol=1e-5, rtol=0)


def test_a_loop_comes_back_and_does_not_stand_still() -> None:
    rows = interpolate(Painter(), [3, 9, 4], steps=4, loop=True)
    assert len(rows) == 12
    torch.testing.assert_close(rows.points[0], rows.points[-1])
    film = interpolate(Painter(), [3, 9, 4], frames=9, loop=True)
    assert len(film) == 9
    torch.testing.assert_close(film.points[[0, 3, 6]], rows.points[[0, 4, 8]])
    steps = film.points.roll(-1, 0) - film.points
    assert (steps.norm(dim=1) > 1e-3).all()


@pytest.mark.parametrize("loop", [False, True])
def test_a_film_of_steps_passes_each_keyframe_once(loop: bool, tmp_path: Path) -> None:
    walk = interpolate(Painter(), [3, 9, 4], steps=4, loop=loop)
    even = interpolate(Painter(), [3, 9, 4], frames=9 if loop else 7, loop=loop)
    said = walk.save(tmp_path / "frames")
    assert said == f"{len(even)} frames in {tmp_path / 'frames'}/"
    for path, picture in zip(
        sorted((tmp_path / "frames").iterdir()), to_uint8(even.pictures), strict=True
    ):
        with Image.open(path) as frame:
            assert np.abs(np.asarray(frame).astype(int) - picture).max() <= 1


def test_a_sheet_has_a_row_for_each_part(tmp_path: Path) -> None:
    def ratio(walk: Walk) -> float:
        sheet = walk.sheet()
        return sheet.width / sheet.height

    assert ratio(interpolate(Painter(), [3, 9, 4], steps=6)) == pytest.approx(3, rel=0.05)
    assert ratio(interpolate(Painter(), [3, 9, 4], frames=9)) == pytest.approx(1)
    points = interpolate(Gan(GanConfig(networks="mlp", width=4, latent_size=8), (2,)), [1, 2])
    assert points.sheet().size == (800, 800)
    with pytest.raises(ConfigError, match="points in a plane"):
        points.save(tmp_path / "a.gif")


def test_a_walk_between_images() -> None:
    vae = Vae(VaeConfig(width=4, latent_size=8), (3, 16, 16)).eval()
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    frames = interpolate(vae, images=images, steps=3).pictures
    torch.testing.assert_close(frames[0], vae.decode(vae.encode(images))[0], atol=1e-5, rtol=0)


def test_a_walk_says_what_a_model_cannot_do() -> None:
    ae = Autoencoder(AutoencoderConfig(width=4, latent_size=8), (3, 16, 16)).eval()
    gan = small_gan()
    with pytest.raises(ConfigError, match="--images"):
        interpolate(ae, [1, 2])
    with pytest.raises(ConfigError, match=r"no encoder.*ganvas invert"):
        interpolate(gan, images=torch.zeros(2, 3, 16, 16))
    for few in ([1], []):
        with pytest.raises(ConfigError, match="at least two"):
            interpolate(gan, few)
    for settings in ({"steps": 1}, {"frames": 1}):
        with pytest.raises(ConfigError, match="at least two"):
            interpolate(gan, [1, 2], **settings)  # type: ignore[arg-type]
    for space in SPACES:
        vae = Vae(VaeConfig(width=4, latent_size=8), (3, 16, 16)).eval()
        with pytest.raises(ConfigError, match=r"truncat|between seeds"):
            interpolate(vae, images=torch.zeros(2, 3, 16, 16), truncation=0.5, space=space)


def test_a_walk_in_w_is_straight_there() -> None:
    painter = Painter(classes=("cat", "dog"))
    frames = interpolate(painter, [3, 9], steps=5, label="dog").pictures
    ends = painter.sample_latents(1, 3)[0, 0] + 1, painter.sample_latents(1, 9)[0, 0] + 1
    w = torch.lerp(*ends, torch.linspace(0, 1, 5))
    torch.testing.assert_close(frames[:, 0, 0, 0], w.tanh())
    arc = interpolate(painter, [3, 9], steps=5, label="dog", space="z").pictures
    torch.testing.assert_close(frames[[0, -1]], arc[[0, -1]], atol=1e-5, rtol=0)
    assert (frames[2] - arc[2]).abs().max() > 1e-3


def test_seeds_in_w_may_be_truncated() -> None:
    painter = Painter()
    walk = interpolate(painter, [3, 9], steps=3, truncation=0.5)
    torch.testing.assert_close(walk.pictures[0], painter.sample(1, 3, truncation=0.5)[0])
    assert painter.psi == 1
    with pytest.raises(ConfigError, match="truncated in w"):
        interpolate(painter, [3, 9], space="z", truncation=0.5)


def test_a_walk_passes_seeds_and_points_that_were_found() -> None:
    painter = Painter(classes=("cat", "dog"))
    found = Points("w+", torch.randn(2, *open_space(painter, "w+").shape), ("a", "b"), (1, 1))
    walk = interpolate(painter, [3, found, 9], steps=2)
    assert walk.space.name == "w+"
    pictures = walk.pictures
    assert len(pictures) == 6
    as_dog = painter.sample(1, 3, labels=["dog"])[0]  # the class of the points
    torch.testing.assert_close(pictures[0], as_dog)
    torch.testing.assert_close(pictures[1:5:2], painter.synthesise(found.values))
    with pytest.raises(ConfigError, match=r"no counterpart in w: .*--space w\+"):
        interpolate(painter, [3, found], space="w")


def test_points_of_z_are_walked_through_in_z_or_w() -> None:
    painter = Painter()
    found = Points("z", torch.randn(2, 4), ("a", "b"))
    for space in SPACES:
        ends = interpolate(painter, [found], steps=2, space=space).pictures
        torch.testing.assert_close(ends, painter.decode(found.values))


def test_a_walk_in_w_says_what_it_cannot_do() -> None:
    with pytest.raises(ConfigError, match="no styles"):
        interpolate(small_gan(), [1, 2], space="w")
    with pytest.raises(ConfigError, match="--mode slerp"):
        interpolate(Painter(), [1, 2], space="w", mode="slerp")
    with pytest.raises(ConfigError, match="between seeds"):
        interpolate(Painter(), images=torch.zeros(2, 3, 16, 16), space="w")
    with pytest.raises(ConfigError, match="two ends"):
        interpolate(Painter(), [1], space="w")


def test_long_films_are_drawn_in_batches(tmp_path: Path) -> None:
    painter = Painter()
    interpolate(painter, [1, 2], frames=100).save(tmp_path / "frames")
    assert max(painter.batches) <= 16
    assert len(list((tmp_path / "frames").iterdir())) == 100


def test_the_same_seeds_under_truncations() -> None:
    painter = Painter(classes=("cat", "dog"))
    found = sweep(painter, [0, 0.5, 1], 3, seed=4, labels=["dog"])
    assert found.pictures.shape == (3, 3, 3, 16, 16)
    for row, psi in zip(found.pictures, found.truncations, strict=True):
        torch.testing.assert_close(row, painter.sample(3, 4, ["dog"], psi))
    assert found.caption == "rows: truncation 0, 0.5, 1; columns: seeds from 4 on"
    assert found.sheet().width > 200
    with pytest.raises(ConfigError, match="name some"):
        sweep(painter, [])
    with pytest.raises(ConfigError, match="from -2 to 2"):
        sweep(tiny_stylegan("stylegan2"), [0.5, 3])
    with pytest.raises(ConfigError, match="draws points"):
        sweep(Gan(GanConfig(networks="mlp", width=4, latent_size=8), (2,)), [0.5])
