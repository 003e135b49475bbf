"""Starting from another run's weights: what is taken over, what is refused, what a kill changes."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from ganvas import api
from ganvas.errors import ConfigError, RunError
from ganvas.models import build_model
from ganvas.models.base import LatentModel, Model
from ganvas.models.gan import Gan
from ganvas.models.stylegan import StyleGan
from ganvas.recipes import RECIPES
from ganvas.training.adapting import Adapter, Layout, learnt
from ganvas.training.checkpoint import TrainingState, read_networks
from ganvas.training.config import RunConfig, StartFrom, TrainingConfig, read_config, write_config
from ganvas.training.ema import Ema, decay
from ganvas.training.run_log import read_log
from ganvas.training.step import make_optimizers
from ganvas.training.transfer import ENOUGH, Transfer, take_over, with_source
from tests.killing import Moment, Nursery, Outcome, open_nursery
from tests.tiny import DISTINCT, DRAWING, assert_same_bits, final_state, tiny, train_quietly

SHORT = "training.images=32"
FAMILIES = {
    "mlp": "gan", "dcgan": "dcgan", "resnet": "wgan-gp", "biggan": "biggan", "r3gan": "r3gan",
    "stylegan": "stylegan", "stylegan2": "stylegan2", "stylegan3": "stylegan3-t",
}  # fmt: skip
"""A recipe of each family of adversarial networks."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained StyleGAN2 of 16 px with checkpoints at 32 and 64 images."""
    config = tiny("stylegan2", "training.images=64", "training.keep_checkpoints=3")
    return train_quietly(config, tmp_path_factory.mktemp("source") / "run")


def started(config: RunConfig, run: Path | str) -> tuple[TrainingState, Transfer]:
    """A state before its first step that starts from a run, and what it took over."""
    config = beginning(config, run)
    assert config.data.resolution is not None
    model = fresh(config, (1 if config.data.channels == 1 else 3, *config.data.resolution))
    state = TrainingState(model, Ema(model), make_optimizers(model))
    transfer = take_over(state, config)
    assert transfer is not None
    return state, transfer


def beginning(config: RunConfig, run: Path | str) -> RunConfig:
    """The configuration, to start from a run."""
    training = {**config.training.model_dump(), "start_from": str(run)}
    changed = config.model_copy(update={"training": TrainingConfig.parse(training)})
    return with_source(changed, print)


def fresh(config: RunConfig, shape: tuple[int, ...]) -> Model:
    """The networks as `started` draws them."""
    torch.manual_seed(7)
    return build_model(config.model, shape, ())


def pixels(path: Path) -> bytes:
    with Image.open(path) as picture:
        return picture.tobytes()


def newest(run: Path) -> Path:
    return max((run / "checkpoints").glob("[0-9]*"))


# What is taken over.


@pytest.mark.parametrize("recipe", ["vae", "dcgan", "stylegan2"])
def test_the_same_networks_are_copied_each_from_its_own(recipe: str, tmp_path: Path) -> None:
    run = train_quietly(tiny(recipe, SHORT), tmp_path / "run")
    state, transfer = started(tiny(recipe), run)
    saved = torch.load(newest(run) / "state.pt", weights_only=True)
    drawn = learnt(state.model)
    assert_same_bits({name: saved["model"][name] for name in drawn}, drawn)
    assert_same_bits(saved["ema"], state.ema.networks.state_dict())
    different = [name for name, average in saved["ema"].items()
                 if not torch.equal(average, saved["model"][name])]  # fmt: skip
    assert different, "or it could not be told that averages come from averages"
    assert (transfer.count("adapted"), transfer.count("new"), transfer.unused) == (0, 0, ())
    assert (state.images, state.step) == (0, 0)
    assert not any(optimizer.state for optimizer in state.optimizers.values())


def test_the_first_sheet_shows_what_the_source_had_learnt(tmp_path: Path) -> None:
    run = train_quietly(tiny("dcgan", SHORT), tmp_path / "run")
    config = beginning(tiny("dcgan", SHORT, "training.seed=5"), run)
    train_quietly(config, tmp_path / "next")
    last = run / "samples" / "000000032.png"
    assert pixels(tmp_path / "next" / "samples" / "000000000.png") == pixels(last)


def test_the_best_checkpoint_gives_its_averages_to_both(tmp_path: Path) -> None:
    run = train_quietly(tiny("dcgan", SHORT), tmp_path / "run")
    weights = newest(run) / "weights.safetensors"
    best = run / "checkpoints" / "best"
    shutil.copytree(newest(run), best)
    (best / "state.pt").unlink()
    raw, averaged = read_networks(best)
    assert_same_bits(raw, load_file(weights))
    assert not averaged


def test_another_resolution_shares_the_coarse_blocks(source: Path) -> None:
    """Widths are counted from the fine end; with those that fit, the common blocks are copied."""
    config = tiny("stylegan2", "model.width=2", "data.resolution=32")
    state, transfer = started(config, source)
    new = {fate.name for fate in transfer.fates if fate.origin == "new"}
    assert new
    assert all(".blocks.3." in name or "discriminator.blocks.2." in name for name in new)
    before = torch.load(newest(source) / "state.pt", weights_only=True)["model"]
    for name in ("generator.synthesis.blocks.0.constant", "discriminator.blocks.0.first.weight"):
        assert torch.equal(state.model.state_dict()[name], before[name])
    drawn = fresh(config, (3, 32, 32)).state_dict()
    assert all(torch.equal(state.model.state_dict()[name], drawn[name]) for name in new)


def test_a_smaller_resolution_names_what_it_leaves(source: Path) -> None:
    _, transfer = started(tiny("stylegan2", "model.width=8", "data.resolution=8"), source)
    assert transfer.count("new") == 0
    assert any(name.startswith("generator.synthesis.blocks.2.") for name in transfer.unused)
    assert "not used: " in transfer.text()


def test_other_widths_keep_the_first_channels_and_draw_the_rest(source: Path) -> None:
    config = tiny("stylegan2", "model.max_width=12", "model.latent_size=6", "data.resolution=16")
    state, transfer = started(config, source)
    before = torch.load(newest(source) / "state.pt", weights_only=True)["model"]
    drawn = fresh(config, (3, 16, 16)).state_dict()
    now = state.model.state_dict()
    name = "generator.synthesis.blocks.0.second.weight"
    assert before[name].shape == (8, 8, 3, 3)
    assert now[name].shape == (12, 12, 3, 3)
    assert torch.equal(now[name][:8, :8], before[name])
    assert torch.equal(now[name][8:], drawn[name][8:])
    assert torch.equal(now[name][:, 8:], drawn[name][:, 8:])
    mapping = "generator.mapping.layers.0.weight"
    assert torch.equal(now[mapping], before[mapping][:6, :6])
    average = state.ema.networks.state_dict()[name]
    saved = torch.load(newest(source) / "state.pt", weights_only=True)["ema"][name]
    assert torch.equal(average[:8, :8], saved)
    assert {fate.origin for fate in transfer.fates} == {"copied", "adapted"}


def test_another_number_of_mapping_layers(source: Path) -> None:
    _, more = started(tiny("stylegan2", "model.mapping_layers=4"), source)
    new = {fate.name for fate in more.fates if fate.origin == "new"}
    assert new == {f"generator.mapping.layers.{i}.{kind}" for i in (2, 3)
                   for kind in ("weight", "bias")}  # fmt: skip
    _, fewer = started(tiny("stylegan2", "model.mapping_layers=1"), source)
    assert fewer.unused == ("generator.mapping.layers.1.weight", "generator.mapping.layers.1.bias")


# Colours, classes, grids: models are built and fitted without training.


def fitted(
    config: RunConfig,
    was: tuple[tuple[int, ...], tuple[str, ...]],
    now: tuple[tuple[int, ...], tuple[str, ...]],
) -> tuple[Model, Model, dict[str, Tensor | None]]:
    """Two models of a configuration for two kinds of data, the second fitted from the first."""
    torch.manual_seed(0)
    first, second = build_model(config.model, *was), build_model(config.model, *now)
    adapter = Adapter(Layout(config.model, *was), Layout(config.model, *now))
    tensors, drawn = learnt(first), learnt(second)
    fits: dict[str, Tensor | None] = {}
    for name, tensor in drawn.items():
        fit = adapter.fit(name, tensors[name], tensor) if name in tensors else None
        fits[name] = None if fit is None else fit.clone()
        if fit is not None:
            tensor.detach().copy_(fit)
    return first.eval(), second.eval(), fits


def plain(recipe: str, *settings: str) -> RunConfig:
    """Without augmentation, and without classes or spectral norm unless asked for.

    Spectral norm divides a weight by a number that depends on all of it, so that adding a row, or
    adding up three, changes every answer in proportion.
    """
    off = ["model.augment=none", "model.conditional=false"]
    if recipe == "r3gan":
        off.append("model.augment_strength=null")
    if recipe == "biggan":
        off.append("model.discriminator_norm=none")
    return tiny(recipe, *off, *settings)


def game(model: Model) -> Gan | StyleGan:
    assert isinstance(model, Gan | StyleGan)
    return model


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("before", "now"), [(1, 3), (3, 1)])
def test_grey_pictures_look_the_same_in_rgb(family: str, before: int, now: int) -> None:
    """D's answer to a grey picture does not depend on how it is written."""
    config = plain(FAMILIES[family])
    first, second, fits = fitted(config, ((before, 16, 16), ()), ((now, 16, 16), ()))
    assert all(fit is not None for fit in fits.values())
    grey = torch.rand(4, 1, 16, 16) * 2 - 1
    answers = [game(model).discriminator(grey.expand(-1, colours, -1, -1), None)
               for model, colours in ((first, before), (second, now))]  # fmt: skip
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_drawn_grey_is_drawn_grey(family: str) -> None:
    config = plain(FAMILIES[family])
    grey, rgb, _ = fitted(config, ((1, 16, 16), ()), ((3, 16, 16), ()))
    assert isinstance(grey, LatentModel)
    assert isinstance(rgb, LatentModel)
    with torch.no_grad():
        before, after = grey.sample(3), rgb.sample(3)
    assert after.shape[1] == 3
    if family == "biggan":  # has spectral norm in the generator: see `plain`
        torch.testing.assert_close(after, after[:, :1].expand_as(after), rtol=1e-4, atol=1e-4)
    else:
        torch.testing.assert_close(before.expand(-1, 3, -1, -1), after, rtol=1e-4, atol=1e-4)


def test_what_was_drawn_in_colour_is_drawn_as_its_mean() -> None:
    rgb, grey, _ = fitted(tiny("stylegan2"), ((3, 16, 16), ()), ((1, 16, 16), ()))
    assert isinstance(rgb, StyleGan)
    assert isinstance(grey, StyleGan)
    styles = torch.randn(3, rgb.layers, rgb.latent_size)
    before, after = rgb.generator.synthesis(styles), grey.generator.synthesis(styles)
    torch.testing.assert_close(before.mean(1, keepdim=True), after, rtol=1e-4, atol=1e-4)


def test_alpha_has_no_counterpart() -> None:
    config = tiny("stylegan2", "model.augment=none")
    _, _, fits = fitted(config, ((1, 16, 16), ()), ((4, 16, 16), ()))
    torch.manual_seed(0)
    build_model(config.model, (1, 16, 16), ())
    drawn = build_model(config.model, (4, 16, 16), ()).state_dict()
    name = "discriminator.from_image.weight"
    fit = fits[name]
    assert fit is not None
    assert torch.equal(fit[:, 3], drawn[name][:, 3])
    assert torch.equal(fit[:, 0], fit[:, 2])
    _, _, back = fitted(config, ((4, 16, 16), ()), ((1, 16, 16), ()))
    assert all(fit is not None for fit in back.values())


@pytest.mark.parametrize("recipe", ["biggan", "r3gan", "stylegan2", "gan"])
def test_classes_meet_by_name(recipe: str) -> None:
    """The class at another number is drawn as before; one that is new does not disturb."""
    config = plain(recipe, "model.conditional=true")
    was, now = ("ant", "bee", "cat"), ("bee", "fox")
    first, second, _ = fitted(config, ((3, 16, 16), was), ((3, 16, 16), now))
    assert isinstance(first, LatentModel)
    assert isinstance(second, LatentModel)
    bee = first.sample(3, labels=["bee"])
    torch.testing.assert_close(second.sample(3, labels=["bee"]), bee, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(second.sample(3, labels=["fox"]), bee, atol=1e-4)
    pictures = torch.rand(4, 3, 16, 16)
    answers = [game(model).discriminator(pictures, torch.full((4,), number))
               for model, number in ((first, 1), (second, 0))]  # fmt: skip
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-4, atol=1e-4)


def test_as_many_classes_of_other_names_are_not_the_same() -> None:
    config = tiny("stylegan2", "model.conditional=true")
    _, _, fits = fitted(config, ((3, 16, 16), ("a", "b")), ((3, 16, 16), ("b", "c")))
    name = "generator.mapping.embed.weight"
    torch.manual_seed(0)
    before = build_model(config.model, (3, 16, 16), ("a", "b")).state_dict()[name]
    drawn = build_model(config.model, (3, 16, 16), ("b", "c")).state_dict()[name]
    fit = fits[name]
    assert fit is not None
    assert torch.equal(fit, torch.stack([before[:, 1], drawn[:, 1]], 1))
    _, _, fits = fitted(config, ((3, 16, 16), ("a", "b")), ((3, 16, 16), ("c", "d")))
    assert fits[name] is None


def test_pixels_of_another_grid_have_no_counterpart() -> None:
    """Flattened pictures or maps: their first numbers are not the same places."""
    _, _, fits = fitted(tiny("gan"), ((3, 16, 16), ()), ((3, 8, 8), ()))
    assert {name for name, fit in fits.items() if fit is None} == {
        "generator.layers.6.weight", "generator.layers.6.bias", "discriminator.layers.0.weight",
    }  # fmt: skip
    _, _, fits = fitted(tiny("stylegan2"), ((3, 16, 16), ()), ((3, 20, 20), ()))
    missing = {name for name, fit in fits.items() if fit is None}
    assert {name for name in missing if not name.endswith(".noise")} == {
        "generator.synthesis.blocks.0.constant", "discriminator.hidden.weight",
    }  # fmt: skip


# What is refused.


def test_other_families_are_refused_and_relatives_are_not() -> None:
    """The share of common names of the families is far from the limit, on either side."""
    layouts = {
        family: Layout(tiny(recipe).model, (3, 64, 64), ("a", "b"))
        for family, recipe in FAMILIES.items()
    }
    for first, was in layouts.items():
        for second, now in layouts.items():
            shares = []
            for network in ("generator.", "discriminator."):
                a, b = ({name: len(place.axes) for name, place in layout.places.items()
                         if name.startswith(network)} for layout in (was, now))  # fmt: skip
                common = sum(b.get(name) == axes for name, axes in a.items())
                shares.append(common / min(len(a), len(b)))
            assert min(shares) == 1 if first == second else min(shares) < ENOUGH - 0.1


@pytest.mark.parametrize("recipe", ["dcgan", "vae", "stylegan3-t"])
def test_another_family_is_refused_before_anything_is_written(
    source: Path, recipe: str, tmp_path: Path
) -> None:
    config = beginning(tiny(recipe), source)
    with pytest.raises(ConfigError, match=r"another family|holds other networks") as info:
        train_quietly(config, tmp_path / "run")
    assert f"--config {source}/config.yaml" in str(info.value)
    assert not list((tmp_path / "run").iterdir())


def test_what_is_no_run_or_has_no_such_checkpoint(source: Path, tmp_path: Path) -> None:
    config = tiny("stylegan2")
    for run, reason in (
        (tmp_path / "absent", "does not exist"),
        (tmp_path, "is not a run folder"),
        (f"{source}:best", "no checkpoint 'best'"),
        (f"{source}:7", "no checkpoint '7'"),
    ):
        with pytest.raises(RunError, match="no weights to start from") as info:
            beginning(config, run)
        assert reason in str(info.value)


def test_a_damaged_checkpoint_is_refused_or_passed_over(source: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(source, tmp_path / "run"))
    os.truncate(run / "checkpoints/000000064/state.pt", 1000)
    with pytest.raises(RunError, match="is damaged"):
        beginning(tiny("stylegan2"), f"{run}:64")
    start = beginning(tiny("stylegan2"), run).training.start_from
    assert start is not None
    assert start.checkpoint == "000000032"


def test_a_checkpoint_of_another_configuration(source: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(source, tmp_path / "run"))
    write_config(tiny("stylegan2", "model.max_width=6"), run / "config.yaml")
    with pytest.raises(RunError, match=r"does not fit its own config\.yaml"):
        started(tiny("stylegan2"), run)


def test_repeating_a_run_whose_source_has_changed(source: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(source, tmp_path / "source"))
    first = train_quietly(beginning(tiny("stylegan2", SHORT), run), tmp_path / "first")
    config = read_config(first / "config.yaml")
    again = train_quietly(config, tmp_path / "again")
    assert_same_bits(final_state(first), final_state(again))
    shutil.rmtree(newest(run))
    shutil.copytree(run / "checkpoints/000000032", run / "checkpoints/000000064")
    with pytest.raises(RunError, match="have changed since"):
        train_quietly(config, tmp_path / "changed")
    train_quietly(beginning(config, run), tmp_path / "changed")


# Killed and resumed.


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with open_nursery(tmp_path_factory.mktemp("nursery")) as opened:
        yield opened


class Started:
    """A configuration that starts from a run, and what comes of it without a kill."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.source = Path(shutil.copytree(source, folder / "source"))
        self.config = folder / "config.yaml"
        sizes = ("training.images=80", "model.max_width=12", "model.freeze_discriminator=1")
        write_config(beginning(tiny("stylegan2", *sizes), self.source), self.config)
        self.whole = train_quietly(read_config(self.config), folder / "whole")

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        """Without the source."""
        elsewhere = self.source.rename(self.source.with_name("elsewhere"))
        try:
            yield
        finally:
            elsewhere.rename(self.source)

    def go_on(self, nursery: Nursery, run: Path, moment: Moment | None = None) -> Outcome:
        """Begin or, where there is a run already, resume."""
        begin = ("train", "--config", str(self.config), "--out", str(run))
        begun = (run / "config.yaml").exists()
        arguments = ("resume", str(run)) if begun else begin
        return nursery.run(*arguments, cache=run.parent / "cache", moment=moment)


@pytest.fixture(scope="module")
def begun(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Started:
    return Started(source, tmp_path_factory.mktemp("started"))


KILLS = {
    "before the weights are taken over": Moment(1, "take_over", "training/transfer.py"),
    "before config.yaml": Moment(1, "write_config", "training/config.py"),
    "before the first step": Moment(1, "train_step", "training/step.py"),
    "before the first checkpoint": Moment(3, "train_step", "training/step.py"),
}


def assert_same_runs(first: Path, second: Path) -> None:
    assert_same_bits(final_state(first), final_state(second))
    assert (first / "transfer.txt").read_text() == (second / "transfer.txt").read_text()


@pytest.mark.parametrize("moment", KILLS.values(), ids=KILLS.keys())
def test_a_kill_changes_nothing(
    moment: Moment, nursery: Nursery, begun: Started, tmp_path: Path
) -> None:
    assert begun.go_on(nursery, tmp_path / "run", moment).killed
    end = begun.go_on(nursery, tmp_path / "run")
    assert end.code == 0, end.output
    assert_same_runs(begun.whole, tmp_path / "run")


def test_after_the_first_checkpoint_the_source_may_go(
    nursery: Nursery, begun: Started, tmp_path: Path
) -> None:
    moment = Moment(7, "train_step", "training/step.py")
    assert begun.go_on(nursery, tmp_path / "run", moment).killed
    with begun.gone():
        end = begun.go_on(nursery, tmp_path / "run")
    assert end.code == 0, end.output
    assert_same_runs(begun.whole, tmp_path / "run")


def test_before_the_first_checkpoint_it_may_not(
    nursery: Nursery, begun: Started, tmp_path: Path
) -> None:
    moment = Moment(3, "train_step", "training/step.py")
    assert begun.go_on(nursery, tmp_path / "run", moment).killed
    with begun.gone():
        end = begun.go_on(nursery, tmp_path / "run")
    assert end.code == 2
    assert "no weights to start from" in end.output
    assert str(begun.source) in end.output
    assert begun.go_on(nursery, tmp_path / "run").code == 0  # as soon as it is back
    assert_same_runs(begun.whole, tmp_path / "run")


# Frozen discriminators.


def frozen(blocks: int, *settings: str) -> RunConfig:
    return tiny("stylegan2", f"model.freeze_discriminator={blocks}", SHORT, *settings)


@pytest.mark.parametrize("settings", [
    ("model.r1_every=1",),
    ("model.r1_every=2", "training.accumulate=2", "training.precision=bfloat16"),
    ("model.gradient_penalty=two-sided", "model.augment=ada", "model.augment_strength=0.5"),
])  # fmt: skip
def test_frozen_layers_stay_and_the_rest_learns(
    source: Path, settings: tuple[str, ...], tmp_path: Path
) -> None:
    config = frozen(1, *settings)
    run = train_quietly(beginning(config, source), tmp_path / "run")
    before = torch.load(newest(source) / "state.pt", weights_only=True)["model"]
    after = torch.load(newest(run) / "state.pt", weights_only=True)["model"]
    weights = {name for name, _ in fresh(config, (3, 16, 16)).named_parameters()}
    same = {n for n in weights if n in before and torch.equal(before[n], after[n])}
    finest = "discriminator.blocks.1."
    stay = {n for n in weights if n.startswith((finest, "discriminator.from_image"))}
    assert stay
    assert {name for name in same if name.startswith("discriminator")} == stay
    api.resume(run, say=print)


def test_layers_that_would_stay_random_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"begin with those of a trained one"):
        train_quietly(frozen(1), tmp_path / "run")
    larger = beginning(frozen(1, "data.resolution=32"), source)
    with pytest.raises(ConfigError, match="would stay random"):
        train_quietly(larger, tmp_path / "run")
    wider = beginning(frozen(2, "model.max_width=12"), source)
    with pytest.raises(ConfigError, match="would stay random"):
        train_quietly(wider, tmp_path / "run")
    started(frozen(2, "data.channels=1"), source)  # which are all filled


# What is said and kept.


def test_the_table_is_short_and_kept(source: Path, tmp_path: Path) -> None:
    config = beginning(tiny("stylegan2", SHORT, "data.resolution=64"), source)
    said: list[str] = []
    run = api.train(config, out=tmp_path / "run", say=said.append)
    table = next(text for text in said if text.startswith("Starting from the weights of"))
    assert str(source) in table
    assert "checkpoint 000000064" in table
    assert len(table.splitlines()) < 25
    assert "generator.synthesis.blocks.3-4" in table  # new as a whole
    kept = (run / "transfer.txt").read_text()
    assert kept.count("\n") == len(table.splitlines())
    _, transfer = started(tiny("stylegan2", "data.resolution=64"), source)
    assert kept == transfer.text() + "\n"
    adapted = [fate for fate in transfer.fates if fate.origin == "adapted"]
    assert adapted
    for fate in adapted:
        assert fate.text.split(" ", 1)[1] in kept
    start = read_log(run / "log.jsonl")[0]["transfer"]
    assert start["copied"] == transfer.count("copied")
    assert start["adapted"] == len(adapted)
    assert start["new"] == transfer.count("new")
    assert start["sha256"] == config.training.start_from.sha256  # type: ignore[union-attr]


def test_each_tensor_is_counted_once(source: Path) -> None:
    state, transfer = started(tiny("stylegan2", "data.resolution=64"), source)
    names = [fate.name for fate in transfer.fates]
    unknown = {"generator.mapping.centre"}
    assert sorted(names) == sorted(learnt(state.model).keys() - unknown)
    assert state.model.state_dict()["generator.mapping.centre"].isnan().all()


@pytest.mark.parametrize("recipe", DISTINCT)
def test_every_model_can_start_from_its_like(recipe: str, tmp_path: Path) -> None:
    run = train_quietly(tiny(recipe, "training.images=16"), tmp_path / "run")
    fixed = recipe in ("pix2pix", "latent-diffusion-tiny")  # by its U-Net, by its first stage
    size = f"data.resolution={16 if fixed else 32}"
    config = tiny(recipe, "training.images=16", "model.width=6", size)
    following = train_quietly(beginning(config, run), tmp_path / "next")
    start = json.loads((following / "log.jsonl").read_text().splitlines()[0])
    assert start["transfer"]["copied"] + start["transfer"]["adapted"] > start["transfer"]["new"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.resolution=32"], r"down to 1/16 of their sides, this training one to 1/32"),
        (["data.target_channels=1"], "pictures of 3 to 3 channels, this training 3 to 1"),
        (["model.networks=resnet"], "networks of another family"),
    ],
)
def test_translations_of_another_kind_are_refused(
    settings: list[str], message: str, tmp_path: Path
) -> None:
    run = train_quietly(tiny("pix2pix", "training.images=16"), tmp_path / "run")
    with pytest.raises(ConfigError, match=message):
        train_quietly(beginning(tiny("pix2pix", *settings), run), tmp_path / "next")


def test_the_short_form_of_the_setting() -> None:
    def read(value: object) -> StartFrom | None:
        return TrainingConfig.parse({"start_from": value}).start_from

    assert read("runs/a") == StartFrom(run="runs/a")
    assert read("runs/a:best") == StartFrom(run="runs/a", checkpoint="best")
    assert read("C:/runs/a:000050000") == StartFrom(run="C:/runs/a", checkpoint="000050000")
    assert read("C:/runs/a") == StartFrom(run="C:/runs/a")
    assert read(None) is None
    with pytest.raises(ConfigError, match="start_from: Input should be"):
        read(5)


def test_an_average_that_is_worth_keeping_does_not_ramp_up(source: Path, tmp_path: Path) -> None:
    """Else the first step would replace it with the raw weights."""
    assert decay(8, 8, 10_000, None) == pytest.approx(0.5 ** (8 / 10_000))
    assert decay(8, 8, 10_000, 0.05) < 1e-5
    config = tiny("stylegan2", "training.images=8", "training.ema_half_life=1000000000000")
    run = train_quietly(beginning(config, source), tmp_path / "run")
    before = load_file(newest(source) / "weights.safetensors")
    after = load_file(newest(run) / "weights.safetensors")
    name = "generator.synthesis.blocks.0.constant"
    torch.testing.assert_close(after[name], before[name], rtol=1e-5, atol=1e-7)


def test_all_recipes_are_in_a_family() -> None:
    """So that a family that is added is compared with the others above."""
    networks = {getattr(RECIPES[name].model, "networks", None) for name in DRAWING}
    known = {getattr(RECIPES[recipe].model, "networks", None) for recipe in FAMILIES.values()}
    assert networks - {None, "stylegan3-r"} == known - {None}
