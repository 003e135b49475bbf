"""Pix2Pix: the losses of the paper in closed form, and what its networks are made of."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.models import build_model
from ganvas.models.pix2pix import Pix2Pix
from ganvas.models.schedule import Schedule
from ganvas.models.translation_config import Pix2PixConfig
from ganvas.recipes import find_recipe
from ganvas.training.prepare import parameter_counts
from tests.models.translating import SIZE, Channel, Scale, batch


def make(**settings: Any) -> Pix2Pix:
    torch.manual_seed(0)
    small = {"width": 4, "discriminator_width": 4, "discriminator_layers": 1}
    model = build_model(Pix2PixConfig(**{**small, **settings}), (3, *SIZE), (), (3, *SIZE))
    assert isinstance(model, Pix2Pix)
    return model


def known(**settings: Any) -> Pix2Pix:
    """G halves; D's answers are the red of the output, which is channel 3 of the pair."""
    model = make(networks="resnet", **settings)
    model.generator = Scale(0.5)
    model.discriminator = Channel(3)  # type: ignore[assignment]
    model._answers = SIZE[0] * SIZE[1]
    return model


def close(value: Tensor, expected: Tensor | float) -> None:
    torch.testing.assert_close(value.detach(), torch.as_tensor(expected), rtol=1e-5, atol=1e-6)


def test_losses_are_the_papers() -> None:
    """Equations 1, 3 and 4 of Isola et al. 2017, with D's half of the first (section 3.3)."""
    model, data = known(), batch()
    assert data.targets is not None
    real, fake = data.targets[:, 0], 0.5 * data.images[:, 0]
    judged = model.discriminator_loss(data)
    close(judged.parts["real"], F.softplus(-real).mean())
    close(judged.parts["fake"], F.softplus(fake).mean())
    close(judged.total, 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean()))
    made = model.generator_loss(data)
    l1 = (data.targets - 0.5 * data.images).abs().mean()
    close(made.parts["l1"], l1)
    close(made.parts["adversarial"], F.softplus(-fake).mean())
    close(made.total, F.softplus(-fake).mean() + 100 * l1)


def test_weights_and_another_objective() -> None:
    model, data = known(objective="least-squares", gan_weight=3, l1_weight=7), batch()
    assert data.targets is not None
    fake = 0.5 * data.images[:, 0]
    made = model.generator_loss(data)
    l1 = (data.targets - 0.5 * data.images).abs().mean()
    close(made.total, 3 * (fake - 1).square().mean() + 7 * l1)
    judged = model.discriminator_loss(data)
    real = data.targets[:, 0]
    close(judged.total, 0.5 * ((real - 1).square().mean() + fake.square().mean()))


def test_relativistic_compares_with_the_target_of_the_same_input() -> None:
    model, data = known(objective="relativistic", l1_weight=0), batch()
    assert data.targets is not None
    difference = data.targets[:, 0] - 0.5 * data.images[:, 0]
    close(model.generator_loss(data).total, F.softplus(difference).mean())
    close(model.discriminator_loss(data).total, 0.5 * F.softplus(-difference).mean())


@pytest.mark.parametrize("every", [1, 4])
def test_r1_is_by_the_output_alone(every: int) -> None:
    """D = 2 red(x) - 3 green(y): the mean answer's gradient by y is -3 / P at P pixels."""
    model, data = known(r1_gamma=10, r1_every=every), batch()
    pixels = SIZE[0] * SIZE[1]

    class Judge(Channel):
        def forward(self, images: Tensor, labels: None = None) -> Tensor:
            return self.weight * (2 * images[:, :1] - 3 * images[:, 4:5])

    model.discriminator = Judge()  # type: ignore[assignment]
    phase = model.phases()[-1]
    assert (phase.name, phase.every) == (("r1", 4) if every > 1 else ("generator", 1))
    losses = model.lazy_loss(data) if every > 1 else model.discriminator_loss(data)
    close(losses.parts["r1_squared_gradient"], 9 / pixels)
    if every > 1:
        close(losses.total, every * 10 / 2 * 9 / pixels)
    else:
        game = 0.5 * (losses.parts["real"] + losses.parts["fake"]).detach()
        close(losses.total, game + 10 / 2 * 9 / pixels)


def test_both_phases_and_all_parts_see_the_same_fakes() -> None:
    """With dropout, too: D judges what G then learns from, however the batch is divided."""
    model, whole = make(), batch()
    fakes = model._fakes(whole)
    assert model._fakes(whole) is fakes
    again = model._fakes(batch())
    assert torch.equal(again, fakes)
    parts = [model._fakes(batch(rows=slice(i, i + 2))) for i in (0, 2)]
    torch.testing.assert_close(torch.cat(parts), fakes, rtol=1e-4, atol=1e-5)


def test_dropout_is_the_noise() -> None:
    model, data = make(), batch()
    fakes = model._fakes(data)
    assert not torch.allclose(fakes, make(dropout=0)._fakes(batch()))
    assert torch.equal(make(networks="resnet")._fakes(data), model._fakes(data))  # of shared


def test_l1_alone_has_no_discriminator() -> None:
    model = make(gan_weight=0)
    assert [phase.name for phase in model.phases()] == ["generator"]
    assert "discriminator" not in dict(model.named_children())
    losses = model.generator_loss(batch())
    close(losses.total, 100 * losses.parts["l1"].detach())


def test_discriminator_first() -> None:
    phases = make().phases()
    assert [(p.name, p.trains) for p in phases] == [
        ("discriminator", ("discriminator",)), ("generator", ("generator",)),
    ]  # fmt: skip


def test_parameters_as_published() -> None:
    """256 px, 3 channels, width 64: U-Net 54.414 M, PatchGAN on pairs 2.769 M."""
    recipe = find_recipe("pix2pix")
    with torch.device("meta"):
        model = build_model(recipe.model, (3, 256, 256), (), (3, 256, 256))
    counts = parameter_counts(model)
    assert {name: round(count / 1e6, 3) for name, count in counts.items()} == {
        "generator": 54.414, "discriminator": 2.769,
    }  # fmt: skip


def test_the_papers_settings() -> None:
    """Section 3.3 and appendix 6.2 of the paper."""
    config = find_recipe("pix2pix").config
    model = config.model
    assert isinstance(model, Pix2PixConfig)
    assert (model.l1_weight, model.gan_weight, model.dropout) == (100, 1, 0.5)
    assert (model.discriminator_layers, model.objective) == (3, "non-saturating")
    for adam in (model.generator, model.discriminator):
        assert not isinstance(adam.learning_rate, Schedule)
        assert (adam.learning_rate, adam.betas) == (2e-4, (0.5, 0.999))
    assert (config.training.batch, config.training.images) == (1, 400 * 200)
    assert config.data.jitter == 286 / 256 - 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gan_weight": 0, "l1_weight": 0}, "both 0, so there is nothing to learn"),
        ({"gan_weight": 0, "r1_gamma": 1}, "r1_gamma is a penalty on the discriminator"),
        ({"objective": "wasserstein"}, "needs a critic whose slope is bounded"),
        ({"dropout": 1}, "dropout"),
    ],
)
def test_refuses_what_makes_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Pix2PixConfig.parse(settings)
    Pix2PixConfig(objective="wasserstein", r1_gamma=1)


def test_one_domain_is_not_enough() -> None:
    with pytest.raises(ConfigError, match=r"the data has one.*--pair AB"):
        build_model(Pix2PixConfig(), (3, 64, 64))


def test_needs_targets() -> None:
    model, data = make(), batch()
    data.targets = None
    with pytest.raises(ValueError, match="targets"):
        model.generator_loss(data)
    with pytest.raises(ValueError, match="both"):
        model.preview(data.images, None, seed=0)
