"""StyleGAN: what is refused, its phases, its styles and noise, growing, truncation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganvas import api
from ganvas.data.config import DataConfig
from ganvas.data.loader import Loader
from ganvas.data.pack import open_pack
from ganvas.errors import ConfigError
from ganvas.losses.path_length import synthesis_path_lengths
from ganvas.models.base import Styles, Truncates
from ganvas.models.blur import gaussian_blur
from ganvas.models.growing import level_at
from ganvas.models.lazy import corrected, every_other
from ganvas.models.phase import Adam, Batch, Draws, Losses
from ganvas.models.schedule import Schedule
from ganvas.models.stylegan import StyleGan
from ganvas.models.stylegan_config import StyleGanConfig
from ganvas.networks import stylegan
from ganvas.training.checkpoint import TrainingState
from ganvas.training.config import TrainingConfig
from ganvas.training.distributed import Processes
from ganvas.training.ema import Ema
from ganvas.training.step import Plan, make_optimizers, train_step
from tests.tiny import assert_same_bits, final_state, tiny, train_quietly

STYLE3: dict[str, Any] = {"networks": "stylegan3-t", "path_length_weight": 0}
OLD: dict[str, Any] = {"networks": "stylegan", "path_length_weight": 0}


def config(**settings: Any) -> StyleGanConfig:
    small = {"width": 4, "max_width": 8, "latent_size": 8, "mapping_layers": 2}
    return StyleGanConfig.parse({**small, **settings})


def model(shape: tuple[int, ...] = (3, 16, 16), **settings: Any) -> StyleGan:
    torch.manual_seed(0)
    return StyleGan(config(**settings), shape)


def batch(
    n: int = 8,
    shape: tuple[int, ...] = (3, 16, 16),
    progress: float = 0.0,
    rows: slice | None = None,
) -> Batch:
    """A batch, or some rows of it."""
    rows = rows or slice(0, n)
    images = torch.rand(n, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 1
    draws = Draws(torch.Generator().manual_seed(0), rows, n)
    return Batch(images[rows], None, draws, progress=progress)


def noisy(network: StyleGan) -> StyleGan:
    """With noise that is seen: its strength is 0 at first."""
    with torch.no_grad():
        for name, parameter in network.generator.named_parameters():
            if "noise" in name or name.endswith("strength"):
                parameter.fill_(0.5)
    return network


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"networks": "stylegan3-t"}, "path_length_weight is for networks=stylegan2"),
        ({"networks": "stylegan"}, "AdaIN.*model.path_length_weight=0"),
        ({"growing": 0.5}, "growing is for networks=stylegan:"),
        ({**STYLE3, "growing": 0.5}, "growing is for"),
        ({**OLD, "growing": 0.5, "augment": "ada"}, "16 pixels or more"),
        ({**OLD, "growing": 0.5, "freeze_discriminator": 1}, "has yet to train"),
        ({**STYLE3, "blur": 10}, "blur keeps .* stylegan3-t needs none"),
        ({"objective": "wasserstein", "r1_gamma": 0}, "slope is bounded"),
        ({"objective": "least-squares", "augment": "ada"}, "means nothing"),
        ({"augment_strength": 0.3}, "is ADA's"),
        ({"networks": "dcgan"}, "networks"),
        ({"growing": 1.5, **OLD}, "growing"),
        ({"style_mixing": 2}, "style_mixing"),
        ({"critic_steps": 2}, "there is no setting"),
    ],
)
def test_bad_combinations_are_refused_with_the_reason(
    settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        config(**settings)


def test_a_refusal_names_the_settings_at_the_command_line() -> None:
    with pytest.raises(ConfigError, match=r"--set model\.path_length_weight=0"):
        api.configure("stylegan2", settings=["model.networks=stylegan3-t"])


def test_the_phases_are_those_of_the_paper() -> None:
    phases = model(r1_every=16, path_length_every=4).phases()
    assert [(p.name, p.trains[0], p.every) for p in phases] == [
        ("discriminator", "discriminator", 1),
        ("generator", "generator", 1),
        ("r1", "discriminator", 16),
        ("path_length", "generator", 4),
    ]
    assert [p.name for p in model(**STYLE3, r1_every=1).phases()] == ["discriminator", "generator"]


def test_adam_is_corrected_for_the_updates_that_lazy_penalties_add() -> None:
    """Karras et al. 2020b, appendix B: c = k / (k + 1)."""
    adam = corrected(Adam(learning_rate=0.002, betas=(0.5, 0.99)), 16)
    assert adam.learning_rate == pytest.approx(0.002 * 16 / 17)
    assert adam.betas[0] == pytest.approx(0.5 ** (16 / 17))
    assert adam.betas[1] == pytest.approx(0.99 ** (16 / 17))
    moving = corrected(Adam(learning_rate=Schedule(start=0.5, end=0.0)), 4).learning_rate
    assert moving == Schedule(start=0.4, end=0.0)
    rates = {
        trains[0]: optimizer.param_groups[0]["lr"]
        for trains, optimizer in make_optimizers(model(r1_every=16, path_length_every=4)).items()
    }
    assert rates == pytest.approx({"discriminator": 0.002 * 16 / 17, "generator": 0.002 * 4 / 5})
    (D, G) = model(**STYLE3, r1_every=1).phases()
    assert D.optimizer.learning_rate == G.optimizer.learning_rate == 0.002


def styles_of(network: StyleGan, n: int = 64) -> Tensor:
    shared = batch(n)
    return network._styles(shared.draws, None, 0.0, network.layers)


def test_styles_are_of_one_latent_or_change_once_to_another() -> None:
    for share in (0.0, 0.9, 1.0):
        styles = styles_of(model((3, 32, 32), style_mixing=share))
        changes = (styles.diff(dim=1) != 0).any(2).sum(1)
        assert changes.max() <= 1
        assert float(changes.float().mean()) == pytest.approx(share, abs=0.1)
    where = (styles.diff(dim=1) != 0).any(2).float().argmax(1)  # of the last: all change
    assert where.unique().tolist() == list(range(styles.shape[1] - 1))


def test_the_first_style_does_not_depend_on_the_mixing() -> None:
    plain, mixed = (styles_of(model(style_mixing=share)) for share in (0.0, 1.0))
    torch.testing.assert_close(plain[:, 0], mixed[:, 0])


def test_every_picture_has_its_own_noise_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    network = noisy(model())
    same = torch.randn(1, 1, 8).expand(4, network.layers, 8)
    monkeypatch.setattr(network, "_styles", lambda *_: same)
    images = network._generate(batch(4), batch(4).draws)
    assert not any(torch.allclose(images[0], other) for other in images[1:])


def test_path_lengths_are_pulled_to_their_running_mean() -> None:
    network = model(path_length_weight=3.0, path_length_every=5)
    network.path_length.fill_(0.7)
    losses = network.path_length_loss(batch())
    torch.testing.assert_close(losses.total, 15 * losses.parts["penalty"])
    lengths = lengths_of(network, batch())
    assert len(lengths) == 4  # half the batch
    torch.testing.assert_close(losses.parts["penalty"], (lengths - 0.7).square().mean())
    torch.testing.assert_close(losses.parts["length"], lengths.mean())
    (*_, phase) = network.phases()
    assert phase.after is not None
    with torch.no_grad():
        phase.after({"length": torch.tensor(1.7)}, 8)
    assert float(network.path_length) == pytest.approx(0.71)
    assert "path_length" in network.state_dict()
    assert "path_length" not in model(path_length_weight=0).state_dict()


def lengths_of(network: StyleGan, shared: Batch) -> Tensor:
    """Of the pictures with even numbers, as the loss draws them."""
    draws, _, _ = every_other(shared.draws.fork("path length"))
    styles = network._styles(draws, None, 0.0, network.layers)
    noise = [draws.normal(1, *size) for size in network.noise_shapes]
    return synthesis_path_lengths(
        network.generator.synthesis, styles, noise, draws.normal(3, 16, 16) / 16
    )


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 6, 12])
def test_half_of_a_batch_is_the_same_however_it_is_split(parts: int) -> None:
    whole = Draws(torch.Generator(), slice(0, 12), 12)
    numbers = whole.normal(2)
    values, rows = [], []
    for part in range(parts):
        size = 12 // parts
        draws = Draws(torch.Generator(), slice(part * size, (part + 1) * size), 12)
        chosen, local, share = every_other(draws)
        drawn = chosen.normal(2)
        values.append(share * drawn.mean())
        mine = torch.arange(12)[draws.rows][local]
        assert torch.equal(numbers[mine], drawn)
        rows += mine.tolist() if share else []
    assert rows == [0, 2, 4, 6, 8, 10]
    torch.testing.assert_close(torch.stack(values).mean(), numbers[::2].mean())


@pytest.mark.parametrize("parts", [2, 8])
def test_path_length_of_parts_is_that_of_the_whole(parts: int) -> None:
    network = model()
    weights = list(network.generator.parameters())

    def gradient(losses: Losses) -> list[Tensor]:
        return list(torch.autograd.grad(losses.total, weights))

    whole = gradient(network.path_length_loss(batch()))
    size = 8 // parts
    split = [
        gradient(network.path_length_loss(batch(rows=slice(i * size, (i + 1) * size))))
        for i in range(parts)
    ]
    for expected, *found in zip(whole, *split, strict=True):
        torch.testing.assert_close(torch.stack(found).mean(0), expected, rtol=1e-3, atol=1e-5)


def test_it_grows_in_turns() -> None:
    assert [level_at(i / 4, 3) for i in range(6)] == [1, 1, 2, 2, 3, 3]
    assert level_at(0.375, 3) == pytest.approx(1.5)
    assert level_at(0.5, 1) == level_at(2.0, 1) == 1


def test_a_growing_model_trains_and_shows_what_it_has_grown_to() -> None:
    network = model((3, 32, 32), **OLD, growing=0.5, r1_every=1).eval()
    for progress, size in ((0.0, 8), (0.2, 16), (0.45, 32), (0.9, 32)):
        shared = batch(shape=(3, 32, 32), progress=progress)
        level = level_at(progress / 0.5, 3)
        assert network._generate(shared, shared.draws).shape[2:] == (size, size)
        assert network._real(shared).shape[2:] == (size, size)
        torch.testing.assert_close(network._real(shared), stylegan.at_level(shared.images, level))
        losses = network.discriminator_loss(shared)
        assert torch.isfinite(losses.total)
        assert "r1_squared_gradient" in losses.parts
        pictures = network.sample(2)
        assert pictures.shape == (2, 3, 32, 32)
        tall = 32 // size
        assert torch.equal(pictures, pictures[..., ::tall, ::tall].repeat_interleave(tall, 2)
                           .repeat_interleave(tall, 3))  # fmt: skip
    assert "level" in network.state_dict()


@pytest.mark.parametrize("progress", [0.0, 0.2, 0.3, 0.45, 0.9])
def test_weights_that_are_there_have_derivatives_and_the_others_none(progress: float) -> None:
    network = model((3, 32, 32), **OLD, growing=0.5, r1_every=1)
    for phase in network.phases():
        assert phase.present is not None
        present = set(phase.present(progress))
        total = phase.loss(batch(shape=(3, 32, 32), progress=progress)).total
        trained = [w for w in getattr(network, phase.trains[0]).parameters() if w.requires_grad]
        slopes = torch.autograd.grad(total, trained, allow_unused=True)
        for weight, slope in zip(trained, slopes, strict=True):
            assert slope is not None if weight in present else slope is None or not slope.any()


def test_a_weight_that_comes_late_is_learnt_as_one_that_was_there_from_the_start(
    tmp_path: Path,
) -> None:
    """Adam's first step is the learning rate, however late: its averages begin with the weight."""
    config = TrainingConfig(images=80, batch=8, device="cpu", precision="float32")
    network = model((3, 32, 32), **OLD, growing=1, r1_every=4, style_mixing=0)
    pack = open_pack(
        DataConfig(source="avatars", resolution=(32, 32), images=40), cache=tmp_path, progress=False
    )
    state = TrainingState(network, Ema(network), make_optimizers(network))
    loader = Loader(pack, batch=8, seed=0)
    plan = Plan(network.phases(), loader, config, "float32", torch.device("cpu"), Processes())
    names = {
        "generator": ("synthesis.blocks.2", "synthesis.to_image.2"),
        "discriminator": ("blocks.1", "from_image.2"),
    }  # which come after three steps
    late = [
        (parameter, parameter.detach().clone(), state.optimizers[(name,)])
        for name, parts in names.items()
        for part, parameter in network.get_submodule(name).named_parameters()
        if part.startswith(parts)
    ]
    for _ in range(3):
        train_step(state, plan)
    assert all(torch.equal(parameter, before) for parameter, before, _ in late)
    assert not any(parameter in optimizer.state for parameter, _, optimizer in late)
    train_step(state, plan)
    for parameter, before, optimizer in late:
        rate = optimizer.param_groups[0]["lr"]
        assert float((parameter.detach() - before).abs().max()) == pytest.approx(rate, rel=1e-2)


def test_what_makes_sizes_that_never_come_is_not_trained() -> None:
    for settings, expected in ((OLD, {2}), ({**OLD, "growing": 0.5}, {1, 2})):
        network = model(**settings)
        trained = {
            int(name.split(".")[3])
            for name, p in network.named_parameters()
            if ".to_image." in name and p.requires_grad
        }
        assert trained == expected


def test_the_blur_fades() -> None:
    network = model(networks="stylegan3-r", path_length_weight=0,
                    blur=Schedule(start=4, end=0, until=0.5))  # fmt: skip
    images = torch.zeros(1, 3, 16, 16)
    images[:, :, 8, 8] = 1.0
    peaks = []
    for progress in (0.0, 0.25, 0.5):
        peaks.append(float(network._shown(batch(progress=progress), "real")(images).max()))
    assert peaks[0] < peaks[1] < peaks[2] == 1.0


def test_blur_is_a_gaussian_of_that_radius() -> None:
    images = torch.zeros(1, 2, 41, 41)
    images[:, 0, 20, 20] = 1.0
    blurred = gaussian_blur(images, 3.0)
    assert float(blurred[0, 0].sum()) == pytest.approx(1.0, abs=1e-5)
    assert not blurred[0, 1].any()
    assert float(blurred[0, 0, 20, 23] / blurred[0, 0, 20, 20]) == pytest.approx(0.5)
    assert float(blurred[0, 0, 23, 23] / blurred[0, 0, 20, 20]) == pytest.approx(0.25)
    assert torch.equal(gaussian_blur(images, 0.2), images)


def test_blur_of_bfloat16_is_that_of_float32() -> None:
    images = torch.randn(1, 2, 64, 64).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        blurred = gaussian_blur(images, 10.0)
    assert torch.equal(blurred, gaussian_blur(images.float(), 10.0).bfloat16())


def test_frozen_blocks_stay_and_the_others_learn() -> None:
    network = model((3, 32, 32), freeze_discriminator=2)
    trained = {n for n, p in network.discriminator.named_parameters() if p.requires_grad}
    assert {name.split(".")[0] for name in trained} >= {"convolution", "hidden", "output", "blocks"}
    assert not any(name.startswith(("from_image", "blocks.1", "blocks.2")) for name in trained)
    for phase in network.phases():
        phase.loss(batch(shape=(3, 32, 32))).total.backward()
    network.generator_loss(batch(shape=(3, 32, 32)))
    assert trained == {n for n, p in network.discriminator.named_parameters() if p.requires_grad}
    with pytest.raises(ConfigError, match="has 2 blocks"):
        model(freeze_discriminator=3)


def test_the_latent_interface() -> None:
    network = noisy(model((3, 32, 32))).eval()
    assert isinstance(network, Styles)
    assert isinstance(network, Truncates)
    assert network.layers == len(network.layer_resolutions) == 8
    z = torch.randn(3, 8)
    w = network.map(z)
    assert w.shape == (3, 8)
    ws = w[:, None].expand(-1, network.layers, -1)
    torch.testing.assert_close(network.synthesise(ws), network.decode(z))
    mixed = torch.cat([ws[:1, :4], ws[1:2, 4:]], 1)
    assert not torch.allclose(network.synthesise(mixed), network.decode(z[:1]))
    assert network.synthesise(50 * ws).abs().max() <= 1


def test_noise_is_constant_or_of_a_seed_or_none() -> None:
    network = noisy(model()).eval()
    plain = network.sample(3, seed=5)
    assert torch.equal(plain, network.sample(3, seed=5, noise="constant"))
    random = network.sample(3, seed=5, noise="random")
    none = network.sample(3, seed=5, noise="none")
    for first, second in ((plain, random), (plain, none), (random, none)):
        assert not torch.allclose(first, second)
    torch.testing.assert_close(random[1:], network.sample(2, seed=6, noise="random"))
    z = network.sample_latents(1, 5)
    ws = network.map(z)[:, None].expand(2, network.layers, -1)
    one, other = network.synthesise(ws, "random", seed=1)
    assert not torch.allclose(one, other)
    torch.testing.assert_close(other[None], network.synthesise(ws[:1], "random", seed=2))


def test_noise_for_a_model_without_it_is_an_error() -> None:
    from ganvas.models import build_model

    without = model(**STYLE3).eval()
    with pytest.raises(ConfigError, match="--noise random: this model adds no noise"):
        without.sample(1, noise="random")
    with pytest.raises(ConfigError, match="--noise none: stylegan3-t has no noise"):
        without.synthesise(torch.zeros(1, without.layers, 8), "none")
    gan = build_model(api.configure("gan", settings=["model.width=4"]).model, (3, 16, 16))
    with pytest.raises(ConfigError, match="adds no noise"):
        gan.sample(1, noise="constant")  # type: ignore[operator]


def test_truncation_pulls_styles_to_their_mean() -> None:
    network = model().eval()
    z = network.sample_latents(4, 0)
    w = network.map(z)
    with network.truncated(0.3) as truncate:
        pulled = network.map(truncate(z))
        assert torch.equal(network.decode(z), network.sample(4, truncation=0.3))
    centre = network.centre()
    torch.testing.assert_close(pulled, centre + 0.3 * (w - centre))
    assert torch.equal(network.map(z), w)  # as before
    same = network.sample(3, truncation=0.0)
    torch.testing.assert_close(same, same[:1].expand_as(same))
    torch.testing.assert_close(network.sample(4, truncation=1.0), network.sample(4))
    for psi in (-2.5, 2.5, float("nan")):
        with pytest.raises(ConfigError, match="from -2 to 2"):
            network.sample(1, truncation=psi)


def test_the_centre_is_the_mean_of_w_or_what_a_file_says() -> None:
    network = model().eval()
    with torch.no_grad():
        w = network.map(torch.randn(100_000, 8, generator=torch.Generator().manual_seed(3)))
    torch.testing.assert_close(network.centre(), w.mean(0), atol=0.05, rtol=0)
    known = torch.arange(8.0)
    network.generator.mapping.centre.copy_(known)
    assert torch.equal(network.centre(), known)


def test_a_trained_run_can_be_truncated_and_trains_on_unchanged(tmp_path: Path) -> None:
    run = train_quietly(tiny("stylegan2"), tmp_path / "run")
    network = api.load(run, device="cpu")
    assert network.sample(2, truncation=0.7).shape == (2, 3, 16, 16)
    assert final_state(run)["weights/generator.mapping.centre"].isnan().all()  # still to be found


@pytest.mark.slow
@pytest.mark.parametrize("networks", ["stylegan", "stylegan2", "stylegan3-t"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own, as it compiles
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_networks_train_alike(networks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import functools

    from ganvas.losses import path_length, penalties

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    monkeypatch.setattr(
        torch.nn.Module, "compile", functools.partialmethod(torch.nn.Module.compile,
                                                            backend="aot_eager"))  # fmt: skip
    caches = (path_length._compiled, penalties._compiled)
    weight = 2.0 if networks == "stylegan2" else 0.0
    network = model(networks=networks, path_length_weight=weight)
    synthesis = network.generator.synthesis
    if isinstance(synthesis, stylegan.Synthesis):  # AdaIN would divide by a variance of 0
        torch.nn.init.normal_(synthesis.constant)
    gradients = []
    for _ in range(2):
        for cache in caches:
            cache.cache_clear()
        found: list[Tensor] = []
        for phase in network.phases():
            total = phase.loss(batch()).total
            trained = [p for p in getattr(network, phase.trains[0]).parameters() if p.requires_grad]
            found += torch.autograd.grad(total, trained)
        gradients.append(found)
        network.compile_networks()
    for cache in caches:
        cache.cache_clear()
    for eager, compiled in zip(*gradients, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize(
    "settings",
    [
        ("stylegan2", "model.augment=ada", "model.objective=relativistic", "model.r2_gamma=1",
         "model.augment_strength=0.5"),
        ("stylegan", "model.growing=null", "model.objective=wasserstein", "model.r1_gamma=0",
         "model.gradient_penalty=two-sided"),
        ("stylegan", "model.augment=diffaugment", "model.r1_every=3"),
        ("stylegan", "model.growing=1"),  # stopped before all weights are there
    ],
)  # fmt: skip
def test_resume_is_bit_identical_with_every_kind_of_state(
    settings: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.models.test_every_model import stop_after

    whole = final_state(train_quietly(tiny(*settings), tmp_path / "whole"))
    stop_after(5, monkeypatch)
    train_quietly(tiny(*settings), tmp_path / "parts")
    monkeypatch.undo()
    api.resume(tmp_path / "parts", say=lambda line: None)
    assert_same_bits(whole, final_state(tmp_path / "parts"))
