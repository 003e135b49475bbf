from pathlib import Path

import pytest
import torch

from ganvas.errors import ConfigError
from ganvas.models.phase import Batch, Draws
from ganvas.models.vqvae import VqVae, VqVaeConfig
from tests.tiny import final_state, tiny, train_quietly

SMALL = VqVaeConfig(width=8, codes=16, code_size=4)


def batch(rows: int = 4, size: tuple[int, int] = (16, 16)) -> Batch:
    images = torch.rand(rows, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Batch(images, None, Draws(torch.Generator().manual_seed(1), slice(0, rows), rows))


def test_decoder_sees_codes_only() -> None:
    model = VqVae(SMALL, (3, 16, 16)).eval()
    model.codebook.codes.normal_()
    maps = torch.randn(3, *model.latent_shape)
    codes, _ = model.codebook(maps)
    assert not torch.equal(codes, maps)
    assert torch.equal(model.decode(maps.flatten(1)), model.decode(codes.flatten(1)))


def test_loss_is_the_papers_and_gradients_go_straight_through() -> None:
    model = VqVae(SMALL, (3, 16, 16))
    model.codebook.codes.normal_()
    images = batch().images
    maps = model.encoder(images)
    codes = model.codebook(maps)[0].requires_grad_()
    error = (model.decoder(codes) - images).square().mean()
    commitment = (maps - codes.detach()).square().mean()
    (by_codes,) = torch.autograd.grad(error, codes, retain_graph=True)
    weights = list(model.encoder.parameters())
    expected = torch.autograd.grad((by_codes * maps).sum() + 0.25 * commitment, weights)
    losses = model.reconstruction_loss(batch())
    torch.testing.assert_close(losses.total, error + 0.25 * commitment)
    found = torch.autograd.grad(losses.total, weights)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_micro_batches_move_codes_as_the_whole_batch_does(tmp_path: Path) -> None:
    settings = ("training.images=32", "training.precision=float32")
    whole = final_state(train_quietly(tiny("vqvae", *settings), tmp_path / "whole"))
    split = final_state(
        train_quietly(tiny("vqvae", *settings, "training.accumulate=4"), tmp_path / "split")
    )
    for name in ("codes", "uses", "sums", "lately"):
        key = f"state/model/codebook.{name}"
        torch.testing.assert_close(split[key], whole[key], rtol=1e-3, atol=1e-4)


def test_codes_learn_after_the_update_and_are_reported() -> None:
    model = VqVae(SMALL, (3, 16, 16))
    (phase,) = model.phases()
    before = model.codebook.codes.clone()
    for _ in range(2):
        parts = phase.loss(batch()).parts
        assert phase.after is not None
        phase.after(parts, 4)
    assert not torch.equal(model.codebook.codes, before)
    assert 1 < parts["perplexity"] <= 16
    assert 0 < parts["codes_used"] <= 1
    assert not list(model.codebook.parameters())


@pytest.mark.parametrize("downsampling", [2, 4, 8, 16])
@pytest.mark.parametrize("size", [(4, 5), (17, 30)])
def test_every_size_will_do(size: tuple[int, int], downsampling: int) -> None:
    config = SMALL.model_copy(update={"downsampling": downsampling})
    model = VqVae(config, (3, *size)).eval()
    images = batch(2, size).images
    latents = model.encode(images)
    _, h, w = model.latent_shape
    assert h == -(-size[0] // downsampling)
    assert w == -(-size[1] // downsampling)
    assert latents.shape == (2, model.latent_size) == (2, 4 * h * w)
    assert model.decode(latents).shape == images.shape
    assert model.reconstruction_loss(batch(2, size)).total.isfinite()


def test_what_it_cannot_do_is_explained() -> None:
    with pytest.raises(ConfigError, match="4 or more"):
        VqVae(SMALL, (3, 3, 8))
    with pytest.raises(ConfigError, match="points in a plane"):
        VqVae(SMALL, (2,))
    with pytest.raises(ConfigError, match="no distribution"):
        VqVae(SMALL, (3, 8, 8)).sample(4)
    with pytest.raises(ConfigError, match="revive_below"):
        VqVaeConfig.parse({"revive_below": 0})
