from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from ganvas.data.config import DataConfig
from ganvas.errors import ConfigError, DataError
from ganvas.latent import inversion
from ganvas.latent.inversion import Inverter, invert
from ganvas.latent.photos import read_photos
from ganvas.latent.space import SpaceName, open_space
from ganvas.latent.verdict import (
    Yardstick,
    known_yardstick,
    own_pictures,
    save_yardstick,
    self_check,
    verdicts,
)
from ganvas.models.autoencoder import Autoencoder, AutoencoderConfig
from ganvas.models.base import LatentModel, Noise
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from ganvas.models.vae import Vae
from ganvas.models.vae_config import VaeConfig
from tests.latent.painter import Painter, tiny_stylegan


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inversion, "_LOOK_ALIKES", 32)


def inverter(model: LatentModel, space: SpaceName = "z", steps: int = 60) -> Inverter:
    return Inverter(open_space(model, space), steps)


def noise(n: int, *shape: int) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("space", ["z", "w", "w+"])
def test_own_pictures_are_found(space: SpaceName) -> None:
    painter = Painter()
    images = painter.sample(5, seed=100)
    found = invert(painter, images, space, steps=60)
    assert found.psnr.min() > 35
    assert found.distance.max() < 0.01
    assert found.points.shape == (5, *open_space(painter, space).shape)
    torch.testing.assert_close(open_space(painter, space).draw(found.points), found.results)


def test_own_pictures_of_networks_are_found() -> None:
    model = tiny_stylegan("stylegan2")
    found = invert(model, model.sample(3, seed=100), "w", steps=60)
    before = model.decode(inverter(model).look_alikes(found.originals)[0])
    worse = (before - found.originals).square().mean((1, 2, 3))
    after = (found.results - found.originals).square().mean((1, 2, 3))
    assert (after < 0.2 * worse).all()


def test_more_can_be_found_in_w_plus() -> None:
    painter = Painter()
    images = painter.synthesise(torch.randn(4, painter.layers, painter.latent_size))
    nearness = {s: invert(painter, images, s, steps=60).psnr.mean() for s in ("z", "w", "w+")}
    assert nearness["w+"] > nearness["w"] + 10
    assert invert(painter, images, steps=1).space == "w+"


def test_the_search_begins_at_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inversion, "_RATE", 0.0)
    vae = Vae(VaeConfig(width=4, latent_size=4), (3, 16, 16)).eval()
    images = noise(2, 3, 16, 16)
    torch.testing.assert_close(invert(vae, images, steps=3).points, vae.encode(images))


def test_without_an_encoder_it_begins_at_a_look_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inversion, "_RATE", 0.0)
    painter = Painter()
    search = inverter(painter)
    points = search._candidates[0]
    found = search.invert(painter.decode(points[[7, 3]]))
    torch.testing.assert_close(found.points, points[[7, 3]])


def test_the_prior_keeps_z_where_latents_are() -> None:
    """What the picture says nothing of goes to where the prior is highest."""
    painter = Painter()
    start = inverter(painter).look_alikes(painter.sample(4, seed=100))[0]
    points = invert(painter, painter.sample(4, seed=100), "z", steps=60).points
    assert points[:, 1:].square().sum() < start[:, 1:].square().sum()


def test_results_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = tiny_stylegan("stylegan2")
    images = gan.sample(5, seed=100)
    done: list[float] = []
    together = inverter(gan, steps=10).invert(images, advance=done.append)
    assert sum(done) == pytest.approx(5)
    monkeypatch.setattr(inversion, "_BATCH", 2)
    apart = inverter(gan, steps=10).invert(images)
    torch.testing.assert_close(apart.points, together.points, atol=1e-4, rtol=1e-4)


def test_classes_are_kept_or_found() -> None:
    painter = Painter(classes=("cat", "dog"))
    labels = torch.tensor([1, 0, 1])
    found = invert(painter, painter.sample(3, 100, labels), "z", labels=labels, steps=60)
    assert found.labels is not None
    assert found.labels.tolist() == [1, 0, 1]
    assert found.psnr.min() > 35
    guessed = invert(painter, painter.sample(3, 100, labels), "z", steps=60)
    assert guessed.labels is not None
    assert guessed.psnr.min() > 35


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sheet(channels: int) -> None:
    found = invert(Painter(channels=channels), noise(2, channels, 16, 16), steps=1)
    assert len(found) == 2
    assert found.sheet().mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]


def test_what_cannot_be_inverted() -> None:
    class Numb(Painter):
        def synthesise(self, styles: Tensor, noise: Noise = "constant", seed: int = 0) -> Tensor:
            return super().synthesise(styles.detach(), noise, seed)

    with pytest.raises(ConfigError, match="plane"):
        inverter(Gan(GanConfig(networks="mlp", latent_size=2), (2,)).eval())
    with pytest.raises(ConfigError, match="reconstruct"):
        inverter(Autoencoder(AutoencoderConfig(width=4, latent_size=4), (3, 16, 16)).eval())
    with pytest.raises(ConfigError, match="no gradients"):
        inverter(Numb().requires_grad_(False))
    with pytest.raises(ConfigError, match="--steps 0"):
        inverter(Painter(), steps=0)
    with pytest.raises(ConfigError, match="no styles"):
        invert(Gan(GanConfig(width=4, latent_size=4), (3, 16, 16)), noise(1, 3, 16, 16), "w+")


def test_verdicts() -> None:
    painter = Painter()
    search = inverter(painter, "w+")
    yardstick = self_check(search, 8)
    own = search.invert(painter.sample(3, seed=100))
    assert verdicts(own, yardstick).count("outside") == 0
    assert "within" in verdicts(own, yardstick)
    faint = 0.05 * noise(2, *painter.shape)  # near an even grey: its pixels alone would pass
    strange = search.invert(torch.cat([noise(2, *painter.shape), faint]))
    assert verdicts(strange, yardstick) == ["outside"] * 4


def test_a_yardstick_has_three_parts() -> None:
    eleven = tuple(float(30 + i) for i in range(11))
    yardstick = Yardstick(
        key="",
        psnr=eleven,
        distance=(0.01,) * 11,
        alike_psnr=(15.0,) * 11,
        alike_distance=(0.1,) * 11,
    )
    assert yardstick.found == pytest.approx((31, 0.01))
    assert yardstick.verdict(31.5, 0.01) == "within"
    assert yardstick.verdict(31.5, 0.05) == "at the edge of"
    assert yardstick.verdict(20, 0.01) == "at the edge of"
    assert yardstick.verdict(14, 0.01) == yardstick.verdict(40, 0.2) == "outside"
    assert "unsure" not in yardstick.text()
    missed = yardstick.model_copy(update={"psnr": (14.0,) * 11})
    assert "more --steps" in missed.text()
    assert missed.alike[0] == 14
    perfect = yardstick.model_copy(update={"psnr": (90.0,) * 11, "distance": (0.0,) * 11})
    assert perfect.verdict(41, 0.001) == "within"


def test_a_yardstick_is_known_for_what_it_was_made_with(tmp_path: Path) -> None:
    painter = Painter()
    search, path = inverter(painter, steps=2), tmp_path / "check.json"
    assert known_yardstick(path, search) is None
    made = self_check(search, 2)
    save_yardstick(path, made)
    assert known_yardstick(path, search) == made
    assert known_yardstick(path, inverter(painter, steps=3)) is None
    assert known_yardstick(path, inverter(painter, "w", steps=2)) is None
    with torch.no_grad():
        painter.mean.add_(1)
    assert known_yardstick(path, search) is None
    path.write_text("{}")
    assert known_yardstick(path, search) is None


def test_own_pictures_are_of_all_classes() -> None:
    images, labels = own_pictures(inverter(Painter(classes=("cat", "dog"))), 3)
    assert len(images) == 3
    assert labels is not None
    assert labels.tolist() == [0, 1, 0]


def test_photos_say_how_they_were_fitted(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), "red").save(tmp_path / "a.png")
    Image.new("L", (40, 20), 255).save(tmp_path / "b.png")
    Image.new("RGBA", (32, 32), (0, 0, 0, 0)).save(tmp_path / "c.png")
    (tmp_path / "d.png").write_bytes(b"no picture")
    photos = read_photos(str(tmp_path), 9, (3, 16, 16), DataConfig())
    assert photos.names == ("a.png", "b.png", "c.png")
    assert photos.fitted == (
        "",
        "cropped and resized from 40x20 to 16x16, grey, as colour",
        "resized from 32x32 to 16x16, laid on white",
    )
    assert [problem.name for problem in photos.problems] == ["d.png"]
    assert photos.images.shape == (3, 3, 16, 16)
    torch.testing.assert_close(photos.images[0, :, 0, 0], torch.tensor([1.0, -1.0, -1.0]))
    assert photos.images[1:].min() == 1
    one = read_photos(str(tmp_path / "a.png"), 9, (1, 16, 16), DataConfig())
    assert one.fitted == ("made grey",)
    assert read_photos(str(tmp_path), 1, (3, 16, 16), DataConfig()).left == 3
    assert read_photos("avatars", 2, (3, 16, 16), DataConfig()).images.shape == (2, 3, 16, 16)


@pytest.mark.parametrize("name", ["absent", "d.png", "ring", "~nobody/x", "a\0b"])
def test_what_is_no_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"\."):
        read_photos(name, 9, (3, 16, 16), DataConfig())
