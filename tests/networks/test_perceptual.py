import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganvas.errors import ConfigError, DataError
from ganvas.losses.perceptual import perceptual_distance
from ganvas.models.eyes import CHANNELS, CONVOLUTIONS, open_lpips
from ganvas.networks.classifier import Classifier
from ganvas.networks.perceptual import ClassifierEyes, Eyes, RandomEyes, VggEyes


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(4, 5), (32, 24)])
def test_random_eyes_are_always_the_same(channels: int, size: tuple[int, int]) -> None:
    images = torch.rand(2, channels, *size) * 2 - 1
    torch.manual_seed(1)
    first = RandomEyes(channels)
    torch.manual_seed(2)
    maps, others = first(images), RandomEyes(channels)(images)
    assert [m.shape[1] for m in maps] == [32, 64, 128]
    assert all(torch.equal(a, b) for a, b in zip(maps, others, strict=True))
    assert not list(first.parameters())


def test_random_eyes_see_edges_apart_from_colour() -> None:
    maps = RandomEyes(3)(torch.ones(1, 3, 16, 16))
    inside = maps[0][0, :, 4:-4, 4:-4]
    assert inside[16:].abs().max() < 1e-5
    assert inside[:16].max() > 0.1


def test_all_eyes_notice_blur_and_noise() -> None:
    torch.manual_seed(0)
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    blurred = torch.nn.functional.avg_pool2d(images, 3, 1, 1)
    for eyes in (RandomEyes(3), ClassifierEyes(Classifier((3, 32, 32), 10)).eval(), vgg()):
        found = [distance(eyes, images, images + d * (blurred - images)) for d in (0.0, 0.3, 1.0)]
        assert found[0] == 0
        assert 0 < found[1] < found[2]


def distance(eyes: Eyes, a: Tensor, b: Tensor) -> float:
    with torch.no_grad():
        return float(perceptual_distance(eyes(a), eyes(b), eyes.weights).mean())


def weights() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """As the published files have them, of random numbers."""
    generator, convolutions, inputs = torch.Generator().manual_seed(0), {}, 3
    for stage, width in zip(VggEyes.STAGES, VggEyes.WIDTHS, strict=True):
        for index in stage:
            drawn = torch.randn(width, inputs, 3, 3, generator=generator)
            convolutions[f"features.{index}.weight"] = drawn * (2 / (9 * inputs)) ** 0.5
            convolutions[f"features.{index}.bias"] = torch.zeros(width)
            inputs = width
    channels = {f"lin{i}.model.1.weight": torch.rand(1, w, 1, 1, generator=generator)
                for i, w in enumerate(VggEyes.WIDTHS)}  # fmt: skip
    return convolutions, channels


def vgg() -> VggEyes:
    return VggEyes(*weights())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_vgg_gives_five_maps_of_pictures_of_any_channels(channels: int) -> None:
    maps = vgg()(torch.rand(1, channels, 32, 48))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (64, 32, 48), (128, 16, 24), (256, 8, 12), (512, 4, 6), (512, 2, 3),
    ]  # fmt: skip


def test_lpips_is_read_from_two_files(tmp_path: Path) -> None:
    convolutions, channels = weights()
    torch.save(convolutions, tmp_path / CONVOLUTIONS)
    torch.save(channels, tmp_path / CHANNELS)
    images = torch.rand(1, 3, 16, 16)
    read = open_lpips(tmp_path, (3, 16, 16))
    assert all(torch.equal(a, b) for a, b in zip(read(images), vgg()(images), strict=True))
    assert torch.equal(read.weights[2], channels["lin2.model.1.weight"].flatten())
    with pytest.raises(ConfigError, match="16 pixels or more"):
        open_lpips(tmp_path, (3, 12, 16))
    torch.save({**channels, "lin3.model.1.weight": torch.rand(1, 8, 1, 1)}, tmp_path / CHANNELS)
    with pytest.raises(DataError, match="lin3"):
        open_lpips(tmp_path, (3, 16, 16))
    (tmp_path / CHANNELS).unlink()
    with pytest.raises(ConfigError, match="there is no file"):
        open_lpips(tmp_path, (3, 16, 16))


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps([1]), pickle.dumps(_Evil())])
def test_other_files_are_refused_and_never_executed(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / CONVOLUTIONS).write_bytes(content)
    with pytest.raises(DataError, match="holds no weights"):
        open_lpips(tmp_path, (3, 16, 16))
    assert not Path("executed").exists()
