"""The GAN and its remedies: what is refused, and that each remedy does what its paper says."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganvas import api
from ganvas.errors import ConfigError
from ganvas.losses.adversarial import compares_pairs
from ganvas.models.base import class_labels
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from ganvas.models.phase import Adam, Batch, Draws
from ganvas.models.schedule import Schedule
from ganvas.models.truncation import _batches, truncate
from ganvas.models.unrolled import unrolled
from ganvas.networks.layers.batch_norm import BatchNorm2d
from tests.tiny import assert_same_bits, final_state, tiny, train_quietly

WASSERSTEIN = {"objective": "wasserstein", "networks": "resnet"}


def config(**settings: Any) -> GanConfig:
    small = {"width": 4, "latent_size": 8}
    return GanConfig.parse({**small, **settings})


def batch(n: int = 8, shape: tuple[int, ...] = (3, 16, 16), progress: float = 0.0) -> Batch:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(n, *shape, generator=generator) * 2 - 1
    draws = Draws(torch.Generator().manual_seed(0), slice(0, n), n)
    return Batch(images, None, draws, progress=progress)


def gan(shape: tuple[int, ...] = (3, 16, 16), **settings: Any) -> Gan:
    torch.manual_seed(0)
    return Gan(config(**settings), shape)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({**WASSERSTEIN, "networks": "dcgan", "gradient_penalty": "two-sided"}, "batch norm"),
        ({"gradient_penalty": "dragan"}, "batch norm"),
        ({"unroll": 5}, "batch statistics"),
        (WASSERSTEIN, "slope is bounded"),
        ({"objective": "hinge", "real_target": 0.9}, "no targets to smooth"),
        ({**WASSERSTEIN, "clip_weights": 0.1, "fake_target": 0.1}, "no targets to smooth"),
        ({"real_target": 0.1, "fake_target": 0.1}, "must be above"),
        ({"clip_weights": 0.01}, "bounds a Wasserstein critic"),
        (
            {"networks": "mlp", "minibatch": "discrimination", "gradient_penalty": "one-sided"},
            "minibatch discrimination ties",
        ),
        ({**WASSERSTEIN, "clip_weights": 0.1, "augment": "ada"}, "means nothing"),
        ({"objective": "relativistic", "augment": "ada"}, "means nothing"),
        ({"objective": "least-squares", "augment": "ada"}, "means nothing"),
        ({"augment_strength": 0.3}, "is ADA's.*model.augment_strength=null"),
        ({"augment": "ada", "augment_strength": {"start": 0, "end": 2}}, "between 0 and 1"),
        ({"augment": "ada", "augment_groups": []}, "augment_groups: .* at least 1 item"),
        ({"blocks": 100_000}, "blocks"),
        ({"critic_steps": 100_000}, "critic_steps"),
        ({"unroll": 100_000, "networks": "mlp"}, "unroll"),
    ],
)
def test_bad_combinations_are_refused_with_the_reason(
    settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        config(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {**WASSERSTEIN, "gradient_penalty": "two-sided"},
        {**WASSERSTEIN, "clip_weights": 0.01},
        {**WASSERSTEIN, "discriminator_norm": "spectral"},
        {
            "objective": "wasserstein", "networks": "dcgan", "discriminator_norm": "layer",
            "gradient_penalty": "one-sided",
        },
        {"networks": "mlp", "unroll": 2},
        {"discriminator_norm": "none", "unroll": 1},
        {"augment": "ada"},
        {"objective": "relativistic", "augment": "ada", "augment_strength": 0.3},
    ],
)  # fmt: skip
def test_their_remedies_are_not(settings: dict[str, Any]) -> None:
    model = Gan(config(**settings), (3, 16, 16))
    shared = batch()
    for phase in model.phases():
        assert torch.isfinite(phase.loss(shared).total)


def test_a_refusal_names_the_settings_at_the_command_line() -> None:
    with pytest.raises(ConfigError, match=r"batch norm.*--set model\.discriminator_norm=layer"):
        api.configure("dcgan", settings=["model.gradient_penalty=two-sided"])


def test_no_discriminator_ends_in_a_sigmoid() -> None:
    """Hinge, Wasserstein and the logits of the logistic losses need its output as it is."""
    for networks in ("mlp", "dcgan", "resnet", "biggan", "r3gan"):
        model = gan(networks=networks)
        assert not any(isinstance(m, nn.Sigmoid) for m in model.discriminator.modules())
        with torch.no_grad():
            for parameter in model.discriminator.parameters():
                parameter.mul_(3.0)
        assert model.discriminator(batch(64).images * 100, None).abs().max() > 1


def test_augmentation_is_for_pictures() -> None:
    with pytest.raises(ConfigError, match="points in a plane"):
        Gan(config(networks="mlp", augment="diffaugment"), (2,))


@pytest.mark.parametrize("before", [0, 4])
def test_unrolled_steps_are_those_of_the_discriminators_own_adam(before: int) -> None:
    """K steps ahead land where torch's Adam lands, from wherever its averages stand."""
    network = nn.Linear(3, 1)
    target = torch.tensor(2.0, requires_grad=True)
    adam = torch.optim.Adam(network.parameters(), 0.05, (0.5, 0.9), 1e-8)

    def loss(weights: dict[str, Tensor]) -> Tensor:
        errors = weights["weight"] - target * torch.arange(3)
        return errors.square().sum() + (weights["bias"] - 1).square().sum()

    def really_step() -> None:
        weights = dict(network.named_parameters())
        slopes = torch.autograd.grad(loss({**weights}), list(weights.values()))
        for parameter, slope in zip(weights.values(), slopes, strict=True):
            parameter.grad = slope
        adam.step()

    for _ in range(before):
        really_step()
    settings = Adam(learning_rate=0.05, betas=(0.5, 0.9))
    start = {name: p.detach().clone() for name, p in network.named_parameters()}
    ahead = unrolled(network, loss, 3, settings, lambda p: adam.state[p])
    constant = unrolled(
        network, loss, 3, settings, lambda p: adam.state[p], second_order=False
    )  # fmt: skip
    for name, p in network.named_parameters():
        assert torch.equal(p, start[name])
    for _ in range(3):
        really_step()
    for name, p in network.named_parameters():
        torch.testing.assert_close(ahead[name], p)
        torch.testing.assert_close(constant[name], p)
    (slope,) = torch.autograd.grad(ahead["weight"].sum(), target)
    assert slope.abs() > 0
    assert torch.autograd.grad(constant["weight"].sum() + 0 * target, target)[0] == 0


def test_an_unrolled_generator_sees_how_the_discriminator_would_react() -> None:
    gradients = {}
    for name, settings in {
        "plain": {}, "unrolled": {"unroll": 3}, "first": {"unroll": 3, "unroll_second_order": False}
    }.items():  # fmt: skip
        model = gan((2,), networks="mlp", **settings)
        loss = model.generator_loss(batch(16, (2,))).total
        gradient = torch.autograd.grad(loss, list(model.generator.parameters()))
        gradients[name] = torch.cat([g.flatten() for g in gradient])
        assert all(p.grad is None for p in model.discriminator.parameters())
    assert not torch.allclose(gradients["plain"], gradients["unrolled"])
    assert not torch.allclose(gradients["first"], gradients["unrolled"])


def test_the_unrolled_discriminator_plays_the_game_that_is_set() -> None:
    """Its steps ask for the smoothed targets and see what D sees."""
    ends = {}
    for name, settings in {
        "plain": {}, "smoothed": {"real_target": 0.8}, "noisy": {"instance_noise": 1.0}
    }.items():  # fmt: skip
        model = gan((2,), networks="mlp", unroll=1, **settings)
        shared = batch(16, (2,))
        ends[name] = model._unrolled(shared, model._fakes(shared, "generator"))
    for other in ("smoothed", "noisy"):
        assert any(not torch.allclose(ends["plain"][key], ends[other][key]) for key in ends[other])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own, as it compiles
def test_compiled_networks_can_be_unrolled() -> None:
    """Though compiled code has no second derivative."""
    model = gan((2,), networks="mlp", unroll=2)
    gradients = []
    for _ in range(2):
        loss = model.generator_loss(batch(16, (2,))).total
        gradients.append(torch.autograd.grad(loss, list(model.generator.parameters())))
        model.discriminator.compile(backend="aot_eager")
    for eager, compiled in zip(*gradients, strict=True):
        torch.testing.assert_close(compiled, eager)


def test_an_unrolled_zero_sum_game_is_minus_the_loss_of_d_after_its_steps() -> None:
    """Metz et al. 2017, eq. 7: G lowers f(theta_G, theta_D^K), with its term for real data."""
    model = gan((2,), networks="mlp", objective="minimax", unroll=2)
    adam = torch.optim.Adam(model.discriminator.parameters(), 2e-4, (0.5, 0.999))
    loss = float(model.generator_loss(batch(16, (2,))).total.detach())
    shared = batch(16, (2,))
    fakes = model.generator(shared.draws.normal(8), None).detach()
    for _ in range(3):
        outputs = [model.discriminator(x, None) for x in (shared.images, fakes)]
        game = (
            nn.functional.softplus(-outputs[0]).mean() + nn.functional.softplus(outputs[1]).mean()
        )
        last = float(game.detach())
        weights = list(model.discriminator.parameters())
        for weight, slope in zip(weights, torch.autograd.grad(game, weights), strict=True):
            weight.grad = slope
        adam.step()
    assert loss == pytest.approx(-last, rel=1e-5)


def test_clipping_keeps_every_weight_within_bounds() -> None:
    model = gan(objective="wasserstein", networks="resnet", clip_weights=0.01)
    (phase, _) = model.phases()
    assert phase.after is not None
    with torch.no_grad():
        phase.after({}, 8)
    assert all(parameter.abs().max() <= 0.01 for parameter in model.discriminator.parameters())


def test_critic_steps_show_fresh_fakes_and_learn_only_from_the_last_batch() -> None:
    model = gan(critic_steps=2)
    first, second = batch(), batch()
    second.draws.generator.manual_seed(5)
    for part in (first, second):
        model.discriminator_loss(part)
        assert not part.shared  # D needs no graph through G
    model.generator_loss(second)
    assert set(second.shared) == {"fakes"}


def test_penalties_within_the_update_or_in_one_of_their_own() -> None:
    lazy, eager = gan(r1_gamma=2.0, r1_every=4), gan(r1_gamma=2.0, r1_every=1)
    assert [phase.name for phase in lazy.phases()] == ["discriminator", "generator", "r1"]
    assert [phase.name for phase in eager.phases()] == ["discriminator", "generator"]
    shared = batch()
    lazily = lazy.lazy_loss(shared)
    squared = lazily.parts["r1_squared_gradient"]
    torch.testing.assert_close(lazily.total, 4 * 0.5 * 2.0 * squared)
    with_it = eager.discriminator_loss(batch())
    without = lazy.discriminator_loss(batch())
    torch.testing.assert_close(with_it.total - without.total, squared, rtol=1e-3, atol=1e-4)


def test_gamma_may_follow_a_schedule() -> None:
    model = gan(r1_gamma=Schedule(start=2.0, end=0.0), r2_gamma=1.0, r1_every=2)
    for progress, weight in ((0.0, 2.0), (0.5, 1.0), (1.0, 0.0)):
        loss = model.lazy_loss(batch(progress=progress))
        r1, r2 = loss.parts["r1_squared_gradient"], loss.parts["r2_squared_gradient"]
        torch.testing.assert_close(loss.total, 2 * 0.5 * (weight * r1 + 1.0 * r2))


def test_a_penalty_that_fades_to_nothing_is_still_a_loss_of_d() -> None:
    model = gan(r1_gamma=Schedule(start=0.0, end=1.0), r1_every=2)
    model.lazy_loss(batch(progress=0.0)).total.backward()
    weights = model.discriminator.parameters()
    assert all(p.grad is not None and not p.grad.any() for p in weights)


def test_a_lazy_penalty_is_applied_for_each_update_of_d_that_it_stands_for() -> None:
    (critic, _, lazy) = gan(r1_gamma=1.0, r1_every=4, critic_steps=3).phases()
    assert (critic.repeats, lazy.repeats, lazy.every) == (3, 3, 4)


@pytest.mark.parametrize("kind", ["two-sided", "one-sided", "dragan"])
def test_gradient_penalty_is_added_with_its_weight(kind: str) -> None:
    settings: dict[str, Any] = {**WASSERSTEIN, "gradient_penalty": kind}
    model = gan(**settings, gradient_penalty_weight=7.0)
    loss = model.discriminator_loss(batch())
    expected = loss.parts["real"] + loss.parts["fake"] + 7 * loss.parts["gradient_penalty"]
    torch.testing.assert_close(loss.total, expected)


def test_relativistic_compares_each_fake_with_a_real_picture() -> None:
    assert compares_pairs("relativistic")
    model = gan(networks="r3gan", objective="relativistic")
    one = model.generator_loss(batch())
    other_batch = batch()
    other_batch.images = -other_batch.images
    assert not torch.equal(one.total, model.generator_loss(other_batch).total)


def test_orthogonal_regularisation_is_part_of_the_generators_loss() -> None:
    model = gan(orthogonal=0.5)
    loss = model.generator_loss(batch())
    expected = loss.parts["game"] + 0.5 * loss.parts["orthogonal"]
    torch.testing.assert_close(loss.total, expected)
    assert loss.parts["orthogonal"] > 0


def test_instance_noise_fades_with_its_schedule() -> None:
    model = gan(instance_noise=Schedule(start=0.5, end=0.0))
    images = torch.zeros(8, 3, 16, 16)
    for progress, expected in ((0.0, 0.5), (0.5, 0.25), (1.0, 0.0)):
        noisy = model._shown(batch(progress=progress), "real")(images)
        assert float(noisy.std()) == pytest.approx(expected, abs=0.01)


def test_ada_learns_its_strength_from_the_sign_of_d() -> None:
    model = gan(augment="ada")
    (phase, _) = model.phases()
    assert phase.after is not None
    assert "real_sign" in model.discriminator_loss(batch()).parts
    for sign, grows in ((1.0, True), (0.0, False)):
        before = float(model.ada.strength)
        for _ in range(40):
            phase.after({"real_sign": torch.tensor(sign)}, 64)
        assert (float(model.ada.strength) > before) is grows
    assert "ada.strength" in model.state_dict()


def test_a_fixed_strength_follows_its_schedule() -> None:
    strength = Schedule(start=0.0, end=0.4)
    model = gan(objective="relativistic", augment="ada", augment_strength=strength)
    model.discriminator_loss(batch(progress=0.5))
    assert float(model.ada.strength) == pytest.approx(0.2)


@pytest.mark.parametrize("augment", ["diffaugment", "ada"])
def test_what_d_sees_is_augmented_in_every_phase_and_alike_for_one_name(augment: str) -> None:
    settings: dict[str, Any] = {} if augment == "diffaugment" else {"augment_strength": 1.0}
    model = gan(augment=augment, **settings)
    shared = batch()
    images = shared.images
    shown = {name: model._shown(shared, name)(images) for name in ("real", "fake", "generator")}
    assert not any(torch.allclose(seen, images) for seen in shown.values())
    assert not torch.allclose(shown["real"], shown["generator"])
    assert torch.equal(shown["real"], model._shown(shared, "real")(images))


@pytest.mark.parametrize(
    "settings",
    [
        ("model.augment=ada",),
        ("model.critic_steps=2", "model.networks=resnet", "model.objective=wasserstein",
         "model.gradient_penalty=two-sided"),
        ("model.objective=relativistic", "model.r1_gamma=0.1", "model.r2_gamma=0.1",
         "model.r1_every=1", "model.generator.learning_rate={start: 0.001, end: 0}"),
    ],
)  # fmt: skip
def test_resume_is_bit_identical_with_every_kind_of_state(
    settings: tuple[str, ...], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.models.test_every_model import stop_after

    whole = final_state(train_quietly(tiny("gan", *settings), tmp_path / "whole"))
    stop_after(3, monkeypatch)
    train_quietly(tiny("gan", *settings), tmp_path / "parts")
    monkeypatch.undo()
    api.resume(tmp_path / "parts", say=lambda line: None)
    assert_same_bits(whole, final_state(tmp_path / "parts"))


def test_truncated_latents_are_normal_ones_cut_off() -> None:
    z = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0))
    cut = truncate(z, 0.5)
    assert cut.abs().max() <= 0.5
    inside = z[z.abs() <= 0.5]  # drawn until inside: the paper's way
    for q in (0.1, 0.25, 0.5, 0.9):
        assert float(cut.quantile(q)) == pytest.approx(float(inside.quantile(q)), abs=0.01)
    assert (cut.flatten()[z.flatten().argsort()].diff() >= 0).all()  # monotone
    torch.testing.assert_close(truncate(z, 6.0), z, atol=1e-4, rtol=1e-4)


def test_truncation_takes_the_statistics_anew_and_puts_everything_back() -> None:
    model = gan(networks="biggan").eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plain = model.sample(4, seed=0)
    narrow = model.sample(4, seed=0, truncation=0.3)
    assert torch.equal(narrow, model.sample(4, seed=0, truncation=0.3))
    assert not torch.allclose(plain, narrow)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    with model.truncated(0.3):
        norms = [m for m in model.generator.modules() if isinstance(m, BatchNorm2d)]
        assert norms
        assert not model.generator.training
    with pytest.raises(ConfigError, match="threshold between"):
        model.sample(4, truncation=0.0)


def test_standing_statistics_are_of_every_class() -> None:
    model = Gan(
        config(networks="biggan", conditional=True), (3, 16, 16), [str(i) for i in range(100)]
    )
    labels = [batch_labels for _, batch_labels in _batches(model, 0.5)]
    assert all(batch_labels is not None for batch_labels in labels)
    shown = torch.cat([batch_labels for batch_labels in labels if batch_labels is not None])
    assert shown.bincount(minlength=100).min() >= 20


def test_every_class_has_its_turn_whatever_it_is_called() -> None:
    model = Gan(config(conditional=True), (3, 16, 16), ["1", "0", "7"])
    labels = class_labels(model, None, 6)
    assert labels is not None
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_only_models_with_normal_latents_can_be_truncated() -> None:
    from ganvas.models import build_model

    vae = build_model(api.configure("vae", settings=["model.width=4"]).model, (3, 16, 16))
    with pytest.raises(ConfigError, match="truncat"):
        vae.sample(2, truncation=0.5)  # type: ignore[operator]
