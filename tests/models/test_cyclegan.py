"""CycleGAN: the losses of the paper in closed form, its pools, and its networks."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ganvas import api
from ganvas.errors import ConfigError
from ganvas.models import build_model
from ganvas.models.cyclegan import CycleGan
from ganvas.models.schedule import Schedule
from ganvas.models.translation_config import CycleGanConfig
from ganvas.recipes import find_recipe
from ganvas.training.prepare import parameter_counts
from tests.models.translating import SIZE, Channel, Scale, batch
from tests.tiny import final_state, tiny, train_quietly

PIXELS = SIZE[0] * SIZE[1]


def make(channels: tuple[int, int] = (3, 3), **settings: Any) -> CycleGan:
    torch.manual_seed(0)
    small = {"width": 4, "blocks": 1, "discriminator_width": 4, "discriminator_layers": 1}
    shape, target_shape = ((count, *SIZE) for count in channels)
    model = build_model(CycleGanConfig(**{**small, **settings}), shape, (), target_shape)
    assert isinstance(model, CycleGan)
    return model


def known(**settings: Any) -> CycleGan:
    """G halves, F multiplies by 3; D_A answers with the red, D_B with the green of a picture."""
    model = make(**settings)
    model.generator_ab, model.generator_ba = Scale(0.5), Scale(3.0)  # type: ignore[assignment]
    model.discriminator_a, model.discriminator_b = Channel(0), Channel(1)  # type: ignore[assignment]
    model._answers = PIXELS
    return model


def close(value: Tensor, expected: Tensor | float) -> None:
    torch.testing.assert_close(value.detach(), torch.as_tensor(expected), rtol=1e-5, atol=1e-6)


def test_generators_loss_is_the_papers() -> None:
    """Equation 3 of Zhu et al. 2017 with least squares (section 4), and L_identity (5.2)."""
    data = batch()
    a, b = data.images, data.targets
    assert b is not None
    losses = known().generator_loss(data)
    game_b = (0.5 * a[:, 1] - 1).square().mean()  # D_B sees G(a)
    game_a = (3 * b[:, 0] - 1).square().mean()
    cycle_a, cycle_b = (0.5 * a.abs()).mean(), (0.5 * b.abs()).mean()  # |1.5 x - x|
    same_b, same_a = (0.5 * b.abs()).mean(), (2 * a.abs()).mean()
    expected = {
        "adversarial_a": game_a, "adversarial_b": game_b, "cycle_a": cycle_a, "cycle_b": cycle_b,
        "identity_a": same_a, "identity_b": same_b,
    }  # fmt: skip
    assert losses.parts.keys() == expected.keys()
    for name, value in expected.items():
        close(losses.parts[name], value)
    close(losses.total, game_a + game_b + 10 * (cycle_a + cycle_b) + 5 * (same_a + same_b))


def test_discriminators_loss_is_the_papers() -> None:
    """1/2 E(D(y) - 1)^2 + 1/2 E D(G(x))^2 for each domain (section 7.1)."""
    data = batch()
    a, b = data.images, data.targets
    assert b is not None
    losses = known(pool=0).discriminator_loss(data)
    real_a, fake_a = (a[:, 0] - 1).square().mean(), (3 * b[:, 0]).square().mean()
    real_b, fake_b = (b[:, 1] - 1).square().mean(), (0.5 * a[:, 1]).square().mean()
    for name, value in {
        "real_a": real_a, "fake_a": fake_a, "real_b": real_b, "fake_b": fake_b,
    }.items():  # fmt: skip
        close(losses.parts[name], value)
    close(losses.total, 0.5 * (real_a + fake_a + real_b + fake_b))


def test_without_identity_the_rest_stays() -> None:
    with_it, without = known().generator_loss(batch()), known(identity_weight=0)
    losses = without.generator_loss(batch())
    assert losses.parts.keys() == with_it.parts.keys() - {"identity_a", "identity_b"}
    for name, value in losses.parts.items():
        close(value, with_it.parts[name].detach())


@pytest.mark.parametrize("every", [1, 8])
def test_r1_in_both_domains(every: int) -> None:
    """The mean answer of a channel has the gradient weight / P at P pixels."""
    model = known(r1_gamma=4, r1_every=every, pool=0)
    model.discriminator_b = Channel(1, 3.0)  # type: ignore[assignment]
    losses = model.lazy_loss(batch()) if every > 1 else model.discriminator_loss(batch())
    close(losses.parts["r1_squared_gradient_a"], 1 / PIXELS)
    close(losses.parts["r1_squared_gradient_b"], 9 / PIXELS)
    penalty = every * 4 / 2 * 10 / PIXELS
    if every > 1:
        close(losses.total, penalty)
    else:
        halves = [v.detach() for n, v in losses.parts.items() if not n.startswith("r1")]
        close(losses.total, 0.5 * torch.stack(halves).sum() + penalty)


def test_discriminators_see_fakes_of_the_past() -> None:
    """Full pools hold other pictures than the batch's: half of the fakes are of these."""
    model, data = known(pool=4), batch()
    model.pool_a.images.fill_(7.0)
    model.pool_b.images.fill_(7.0)
    for pool in (model.pool_a, model.pool_b):
        pool.advance(4)
    seen: list[Tensor] = []
    model.discriminator_b.register_forward_pre_hook(lambda module, inputs: seen.append(*inputs))
    model.discriminator_loss(data)
    old = (seen[0][4:] == 7).flatten(1).all(1)
    assert 0 < int(old.sum()) < 4
    kept = model.pool_b.images
    assert int((kept == 7).flatten(1).all(1).sum()) == 4 - int(old.sum())


def test_generators_learn_from_new_fakes_only() -> None:
    model, data = known(pool=4), batch()
    model.pool_b.images.fill_(7.0)
    model.pool_b.advance(4)
    model.discriminator_loss(data)
    assert data.targets is not None
    close(model.generator_loss(data).parts["adversarial_b"],
          (0.5 * data.images[:, 1] - 1).square().mean())  # fmt: skip


def test_pools_are_saved_to_go_on_but_not_with_the_weights(tmp_path: Any) -> None:
    run = train_quietly(tiny("cyclegan", "training.images=32"), tmp_path / "run")
    saved = final_state(run)
    assert saved["state/model/pool_a.images"].shape == (10, 3, 16, 16)
    assert int(saved["state/model/pool_a.seen"]) == 32
    assert not any(name.startswith("weights/pool") for name in saved)
    api.load_translator(run, device="cpu")


def test_augmentation_is_for_discriminators_only() -> None:
    """What G makes, and what cycles back, is as it was."""
    plain, augmented = make(pool=0), make(pool=0, augment="diffaugment")
    one, other = plain.generator_loss(batch()), augmented.generator_loss(batch())
    for name in ("cycle_a", "cycle_b", "identity_a", "identity_b"):
        close(other.parts[name], one.parts[name].detach())
    assert not torch.allclose(one.parts["adversarial_a"], other.parts["adversarial_a"])
    one, other = (model.discriminator_loss(batch()) for model in (plain, augmented))
    assert not torch.allclose(one.parts["real_a"], other.parts["real_a"])


def test_identity_needs_equal_channels() -> None:
    with pytest.raises(ConfigError, match=r"1 and 3 channels.*--set model.identity_weight=0"):
        make((1, 3))
    model = make((1, 3), identity_weight=0)
    assert model.translate(torch.zeros(1, 3, *SIZE), "BA").shape == (1, 1, *SIZE)
    assert model.generator_loss(batch(a=1)).total.isfinite()


def test_parameters_as_published() -> None:
    """256 px, 3 channels, width 64: ResNet-9 11.378 M, PatchGAN 2.765 M."""
    with torch.device("meta"):
        model = build_model(find_recipe("cyclegan").model, (3, 256, 256), (), (3, 256, 256))
    counts = {name: round(count / 1e6, 3) for name, count in parameter_counts(model).items()}
    assert counts == {
        "generator_ab": 11.378, "generator_ba": 11.378,
        "discriminator_a": 2.765, "discriminator_b": 2.765,
    }  # fmt: skip


def test_the_papers_settings() -> None:
    """Section 4 and 7.1: the rate is constant in the first half, then falls to 0."""
    config = find_recipe("cyclegan").config
    model = config.model
    assert isinstance(model, CycleGanConfig)
    assert (model.cycle_weight, model.pool, model.objective) == (10, 50, "least-squares")
    for adam in (model.generator, model.discriminator):
        rate = adam.learning_rate
        assert isinstance(rate, Schedule)
        assert [rate.at(share) for share in (0, 0.5, 0.75, 1)] == [2e-4, 2e-4, 1e-4, 0]
        assert adam.betas == (0.5, 0.999)
    assert config.training.batch == 1


def test_networks_are_trained_together() -> None:
    assert [(phase.name, phase.trains) for phase in make().phases()] == [
        ("discriminator", ("discriminator_a", "discriminator_b")),
        ("generator", ("generator_ab", "generator_ba")),
    ]
