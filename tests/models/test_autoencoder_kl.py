import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from ganvas import api
from ganvas.errors import ConfigError
from ganvas.losses.perceptual import perceptual_distance
from ganvas.losses.variational import gaussian_kl
from ganvas.models.autoencoder_kl import AutoencoderKl, AutoencoderKlConfig
from ganvas.models.phase import Batch, Draws
from ganvas.networks.classifier import Classifier
from ganvas.networks.perceptual import RandomEyes
from tests.models.test_every_model import stop_after
from tests.tiny import assert_same_bits, final_state, tiny, train_quietly

SMALL = AutoencoderKlConfig(
    width=8, blocks=1, downsampling=4, discriminator_width=4, discriminator_layers=1
)


def small(**changes: object) -> AutoencoderKlConfig:
    return AutoencoderKlConfig.parse({**SMALL.model_dump(), **changes})


def batch(progress: float, rows: int = 3, size: tuple[int, int] = (16, 16)) -> Batch:
    images = torch.rand(rows, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    draws = Draws(torch.Generator().manual_seed(1), slice(0, rows), rows)
    return Batch(images, None, draws, progress=progress)


@pytest.mark.parametrize("progress", [0.2, 0.7])
@pytest.mark.parametrize("size", [(16, 16), (13, 18)])
def test_gradient_is_that_of_the_sum_of_all_terms(progress: float, size: tuple[int, int]) -> None:
    """Written down once more in the plain way, all in one graph."""
    model = AutoencoderKl(small(kl_weight=0.3), (3, *size))
    given = batch(progress, size=size)
    mean, log_variance = model.posterior(given.images)
    noise = batch(progress).draws.normal(*model.latent_shape)
    output = model.pictures_of(mean + (log_variance / 2).exp() * noise)
    eyes = RandomEyes(3)
    reconstruction = (output - given.images).abs().mean() + perceptual_distance(
        eyes(output), eyes(given.images)
    ).mean()
    expected = reconstruction + 0.3 * gaussian_kl(mean, log_variance).sum() / given.images.numel()
    if progress > 0.5:
        adversarial = -model.discriminator(output).mean()
        last = model.decoder.conv_out.weight
        lengths = [torch.autograd.grad(loss, last, retain_graph=True)[0].norm()
                   for loss in (reconstruction, adversarial)]  # fmt: skip
        weight = 0.5 * lengths[0] / (lengths[1] + 1e-4)
        expected = expected + weight.detach() * adversarial
    losses = model.autoencoder_loss(batch(progress, size=size))
    torch.testing.assert_close(losses.total, expected)
    weights = [p for name in model.networks for p in model.get_submodule(name).parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(losses.total, weights), torch.autograd.grad(expected, weights),
        rtol=1e-3, atol=1e-5,
    )  # fmt: skip


def test_the_game_starts_late(tmp_path: Path) -> None:
    settings = ("training.images=64", "model.adversarial_from=0.5", "training.checkpoint_every=8")
    run = train_quietly(tiny("autoencoder-kl", *settings, "training.keep_checkpoints=9"),
                        tmp_path / "run")  # fmt: skip

    def discriminator(images: int) -> dict[str, torch.Tensor]:
        saved = torch.load(run / f"checkpoints/{images:09d}/state.pt", weights_only=True)
        return {k: v for k, v in saved["model"].items() if k.startswith("discriminator")}

    assert_same_bits(discriminator(8), discriminator(32))
    assert not torch.equal(*(discriminator(n)["discriminator.head.weight"] for n in (32, 40)))
    for line in (line for line in read_lines(run) if line["event"] == "progress"):
        began = line["images"] > 32
        assert ("discriminator/total" in line["losses"]) == began
        assert (line["losses"]["autoencoder/adversarial_weight"] > 0) == began


def read_lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_both_phases_of_a_step_share_one_reconstruction() -> None:
    model, given = AutoencoderKl(SMALL, (3, 16, 16)), batch(0.9)
    discriminator, autoencoder = model.phases()
    discriminator.loss(given)
    output = given.shared["output"]
    autoencoder.loss(given)
    assert given.shared["output"] is output
    apart = [phase.loss(batch(0.9)).total for phase in (discriminator, autoencoder)]
    together = batch(0.9)
    for phase, alone in zip((discriminator, autoencoder), apart, strict=True):
        torch.testing.assert_close(phase.loss(together).total, alone)


def test_eyes_are_neither_saved_nor_trained() -> None:
    model = AutoencoderKl(small(perceptual="classifier", adversarial_weight=0), (3, 16, 16))
    names = set(model.state_dict())
    with pytest.raises(ConfigError, match="look_through"):
        model.autoencoder_loss(batch(0.0))
    model.look_through(Classifier((3, 16, 16), 4))
    losses = model.autoencoder_loss(batch(0.0))
    assert losses.parts["perceptual"] > 0
    assert set(model.state_dict()) == names
    assert {name.split(".")[0] for name in names} == set(model.networks)
    assert len(model.phases()) == 1


@pytest.mark.slow
def test_training_in_the_eyes_of_a_classifier_resumes_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    config = tiny("autoencoder-kl", "model.perceptual=classifier")
    whole = final_state(train_quietly(config, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        stop_after(5, patch)
        run = train_quietly(config, tmp_path / "parts")
    api.resume(run, say=lambda line: None)
    assert_same_bits(whole, final_state(run))
    random = final_state(train_quietly(tiny("autoencoder-kl"), tmp_path / "random"))
    assert random.keys() == whole.keys()
    key = "weights/decoder.conv_out.weight"
    assert not torch.equal(random[key], whole[key])


def test_eyes_that_cannot_be_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for settings, message in (
        (["perceptual=lpips", f"lpips_weights={tmp_path / 'absent'}"], "there is no file"),
        (["perceptual=classifier"], "perceptual=classifier cannot be"),
    ):
        pictures = tmp_path / "pictures"
        pictures.mkdir(exist_ok=True)
        for i in range(8):
            Image.new("RGB", (16, 16), (20 * i, 0, 0)).save(pictures / f"{i}.png")
        config = tiny("autoencoder-kl", *(f"model.{s}" for s in settings),
                      f"data.source={pictures}", "data.images=null")  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            train_quietly(config, tmp_path / "run")
        assert not list((tmp_path / "run").glob("*.jsonl"))


def test_settings_that_belong_together() -> None:
    with pytest.raises(ConfigError, match="belong together"):
        small(perceptual="lpips")
    with pytest.raises(ConfigError, match="belong together"):
        small(lpips_weights="somewhere")
    with pytest.raises(ConfigError, match="discriminator_layers"):
        AutoencoderKl(small(discriminator_layers=3), (3, 16, 16))
    with pytest.raises(ConfigError, match="no distribution"):
        AutoencoderKl(SMALL, (3, 16, 16)).sample(4)


@pytest.mark.parametrize("downsampling", [2, 4, 8, 16])
@pytest.mark.parametrize("size", [(6, 7), (17, 30)])
def test_every_size_will_do(size: tuple[int, int], downsampling: int) -> None:
    model = AutoencoderKl(small(downsampling=downsampling), (3, *size))
    assert model.latent_shape == (4, *(-(-side // downsampling) for side in size))
    images = batch(0.9, size=size).images
    latents = model.encode(images)
    assert latents.shape == (3, model.latent_size)
    assert model.decode(latents).shape == images.shape
    assert model.decode(1e3 * latents).abs().max() <= 1
    for phase in model.phases():
        assert phase.loss(batch(0.9, size=size)).total.isfinite()
