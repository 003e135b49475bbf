"""Choose for me: every formula by hand, and sane choices for whatever there is to choose from."""

import dataclasses
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganvas import api
from ganvas.errors import ConfigError
from ganvas.models.gan_config import GanConfig
from ganvas.models.schedule import Schedule, value_at
from ganvas.models.stylegan_config import StyleGanConfig
from ganvas.recipes import RECIPES, find_recipe
from ganvas.recipes.choosing import choosable, choose, leave_open, still_true
from ganvas.recipes.rules import Facts
from ganvas.training.config import RunConfig, read_config, write_config
from tests.tiny import assert_same_bits, final_state


def config_of(recipe: str, settings: Sequence[str] = (), images: int | None = None) -> RunConfig:
    return api.configure(recipe, settings=settings, images=images, auto=True)


def gan(config: RunConfig) -> GanConfig:
    assert isinstance(config.model, GanConfig)
    return config.model


def facts(
    side: int = 64, pictures: int = 10_000, device: str = "cuda", processes: int = 1
) -> Facts:
    return Facts((3, side, side), pictures, device, processes)


def chosen(name: str, recipe: str, where: Facts, *settings: str, images: int = 200_000) -> Any:
    """The value chosen for one field, with its sentence."""
    result = choose(config_of(recipe, settings, images), where)
    return attrgetter(name)(result), result.chosen[name]


@pytest.mark.parametrize(
    ("side", "pictures", "device", "processes", "expected"),
    [
        (32, 10_000, "cuda", 1, 64),  # min(4096 // 32 = 128, 2500, 64)
        (128, 10_000, "cuda", 1, 32),  # 4096 // 128
        (256, 10_000, "cuda", 1, 16),
        (1024, 10_000, "cuda", 1, 4),
        (4096, 10_000, "cuda", 1, 4),  # 4096 // 4096 = 1, but at least 4
        (32, 10_000, "cpu", 1, 32),
        (48, 10_000, "mps", 1, 64),  # 4096 // 48 = 85
        (160, 10_000, "cuda", 1, 16),  # 4096 // 160 = 25
        (64, 100, "cpu", 1, 16),  # 100 // 4 = 25
        (64, 10, "cpu", 1, 4),  # 10 // 4 = 2
        (64, 3, "cpu", 1, 2),
        (64, 2, "cpu", 1, 2),
        (64, 10_000, "cuda", 3, 48),  # 64 // 3 = 21: 16 for each
        (1024, 10_000, "cuda", 8, 8),  # at least one for each
    ],
)
def test_batch(side: int, pictures: int, device: str, processes: int, expected: int) -> None:
    where = facts(side, pictures, device, processes)
    assert chosen("training.batch", "dcgan", where)[0] == expected


def test_batch_says_how() -> None:
    assert chosen("training.batch", "dcgan", facts(256, device="cpu"))[1] == (
        "min(4096 // 256 px, 32 on cpu, 10,000 pictures // 4) = 16 "
        "(Karras et al. 2020a, auto configuration of their code)"
    )
    assert "= 25, as a usable size 16 (" in chosen("training.batch", "gan", facts(160))[1]


def test_batch_is_split_into_equal_parts() -> None:
    value, _ = chosen("training.batch", "gan", facts(processes=2), "training.accumulate=3")
    assert value == 48  # 64 // 6 = 10: 8 for each part


def test_learning_rates_follow_the_root_of_the_batch() -> None:
    where = facts(128)  # batches of 32, a quarter of the recipe's
    for network in ("generator", "discriminator"):
        rate, sentence = chosen(f"model.{network}.learning_rate", "dcgan", where)
        assert rate == 1e-4
        assert sentence.startswith("0.0002 * sqrt(batch 32 / 128) = 0.0001 (the recipe's")
    rate, sentence = chosen("model.generator.learning_rate", "dcgan", where, "training.batch=512")
    assert rate == 4e-4
    assert "batch 512 / 128" in sentence
    rate, _ = chosen("model.optimizer.learning_rate", "vae", facts())
    assert rate == 5e-4  # for a batch of 64, as the recipe's


def test_learning_rates_of_a_schedule_keep_its_form() -> None:
    config = config_of("dcgan", ["training.batch=32"])
    moving = Schedule(start=4e-4, end=1e-4, begin=0.5)
    recipe = RECIPES["dcgan"]
    generator = gan(recipe.config).generator.model_copy(update={"learning_rate": moving})
    model = recipe.model.model_copy(update={"generator": generator})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "dcgan", dataclasses.replace(recipe, model=model))
        result = choose(config, facts())
    assert gan(result).generator.learning_rate == Schedule(start=2e-4, end=5e-5, begin=0.5)
    sentence = result.chosen["model.generator.learning_rate"]
    assert sentence.startswith("(0.0004 to 0.0001) * sqrt(batch 32 / 128) = (0.0002 to 5e-05) (the")


def test_ema() -> None:
    name = "training.ema_half_life"
    assert chosen(name, "dcgan", facts(128))[0] == 10_000  # 10,000 * 32 / 32
    value, sentence = chosen(name, "dcgan", facts(256), images=40_000)
    assert value == 4_000  # a tenth, below 10,000 * 16 / 32
    assert sentence.startswith("min(10,000 * batch 16 / 32, 40,000 images / 10) = 4,000 images (")


def test_r1() -> None:
    value, sentence = chosen("model.r1_gamma", "dcgan-tiny", facts(device="cpu"))
    assert value == 0.0256
    assert sentence == (
        "0.0002 * 64 * 64 pixels / batch 32 = 0.0256 "
        "(Karras et al. 2020a, auto configuration of their code)"
    )
    oblong = Facts((3, 64, 96), 10_000, "cpu")
    assert chosen("model.r1_gamma", "dcgan-tiny", oblong)[0] == 0.0384
    assert chosen("model.r1_gamma", "dcgan", facts(256), "training.batch=8")[0] == 1.64


def test_r1_and_r2_of_the_relativistic_objective() -> None:
    relativistic = ("model.objective=relativistic",)
    for name in ("model.r1_gamma", "model.r2_gamma"):
        for side, expected in ((32, 0.25), (64, 2.0), (256, 128.0)):
            value, sentence = chosen(name, "gan", facts(side), *relativistic)
            assert value == expected
            assert sentence.startswith(f"2 * ({side} px / 64)^3 = {expected:g} (")


def test_weights_that_move_begin_at_the_formula() -> None:
    moving = ("model.objective=relativistic", "model.r2_gamma=1")
    config = config_of("gan", [*moving, "model.r1_gamma={start: 150, end: 15}"])
    assert "model.r1_gamma" not in config.choose  # set explicitly
    result = choose(config.model_copy(update={"choose": ("model.r1_gamma",)}), facts())
    assert gan(result).r1_gamma == Schedule(start=2.0, end=0.2)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ((), {"model.r1_gamma"}),
        (("model.objective=minimax",), {"model.r1_gamma"}),
        (("model.objective=relativistic",), {"model.r1_gamma", "model.r2_gamma"}),
        (("model.objective=hinge",), set()),
        (("model.objective=least-squares",), set()),
        (("model.discriminator_norm=spectral",), set()),
        (
            ("model.objective=wasserstein", "model.gradient_penalty=two-sided"),
            {"model.gradient_penalty_weight"},
        ),
        (("model.gradient_penalty=dragan",), set()),
        (("model.objective=wasserstein", "model.clip_weights=0.01"), set()),
    ],
)
def test_penalties_are_chosen_where_they_belong(
    settings: tuple[str, ...], expected: set[str]
) -> None:
    names = {
        name for name in config_of("gan", settings).choose if "gamma" in name or "penal" in name
    }
    assert names == expected


def test_the_weight_of_wgan_gp_is_the_papers() -> None:
    settings = ("model.objective=wasserstein", "model.gradient_penalty=two-sided")
    value, sentence = chosen("model.gradient_penalty_weight", "gan", facts(), *settings)
    assert value == 10
    assert "Gulrajani" in sentence


@pytest.mark.parametrize(
    ("pictures", "images", "settings", "expected", "because"),
    [
        (50_000, 10_000_000, (), "none", "50,000 pictures are 50,000 or more"),
        (49_999, 10_000_000, (), "ada", "shown 200 times each"),
        (25_000, 10_000_000, ("data.flip=true",), "none", "50,000 pictures with the mirrored ones"),
        (20_000, 170_000, (), "none", "show each 8 times, fewer than 100"),
        (1_000, 170_000, (), "diffaugment", "170,000 images are fewer than the 500,000"),
        (1_000, 500_000, (), "ada", "500,000 images"),
        (1_000, 500_000, ("model.objective=relativistic",), "diffaugment", "the sign of D"),
        (1_000, 500_000, ("model.objective=least-squares",), "diffaugment", "the sign of D"),
        (1_000, 500_000, ("model.objective=hinge",), "ada", "figure 7"),
    ],
)
def test_augmentation(
    pictures: int, images: int, settings: tuple[str, ...], expected: str, because: str
) -> None:
    where = facts(pictures=pictures)
    value, sentence = chosen("model.augment", "gan", where, *settings, images=images)
    assert value == expected
    assert sentence.startswith(f"{expected}: ")
    assert because in sentence


def test_augmentation_of_a_fixed_strength_stays() -> None:
    config = config_of("gan", ["model.augment=ada", "model.augment_strength=0.3"])
    assert "model.augment" not in choosable(config)


def test_points_have_neither_pixels_nor_pictures() -> None:
    result = choose(config_of("gan"), Facts((2,), 10_000, "cpu"))
    assert result.training.batch == 32
    assert gan(result).augment == "none"
    assert result.chosen["model.r1_gamma"] == "0 as before: the formula needs pixels"


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_is_set_stays(recipe: str) -> None:
    everything = choosable(api.configure(recipe))
    assert config_of(recipe).choose == everything
    for name in everything:
        value = "none" if name == "model.augment" else 3
        config = config_of(recipe, [f"{name}={value}"])
        assert name not in config.choose
        assert {*config.choose, name} == {*everything}
        result = choose(config, facts())
        assert name not in result.chosen
        assert attrgetter(name)(result) == value


def test_what_a_file_sets_stays(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: dcgan\nmodel: {name: gan, generator: {betas: [0, 0.9]}}\n"
                    "training: {batch: 16}\n")  # fmt: skip
    config = api.configure(config=path, settings=["model.r1_gamma=1"], auto=True)
    assert "model.generator.learning_rate" in config.choose
    assert not {"training.batch", "model.r1_gamma"} & {*config.choose}
    path.write_text("model: {name: gan}\n")
    config = api.configure(config=path, auto=True)
    assert "training.batch" in config.choose
    assert "model.generator.learning_rate" not in config.choose  # no recipe says for which batch


def test_nothing_to_choose_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--auto has nothing to choose: training\.batch"):
        leave_open(api.configure("vae"), api.configure("vae").model_dump())
    write_config(choose(config_of("gan"), facts()), tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match=r"--auto has nothing to choose.*config\.yaml of a run"):
        api.configure(config=tmp_path / "config.yaml", auto=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("training.bach", r"'training\.bach', for which there is no rule.*mean 'training\.batch'"),
        ("data.flip", r"'data\.flip', for which there is no rule"),
        ("model.optimizer.learning_rate", r"'model\.optimizer\.learning_rate', for which"),
    ],
)
def test_what_cannot_be_chosen_is_named(name: str, message: str, tmp_path: Path) -> None:
    config = api.configure("gan", settings=[f"choose=[{name}]"])
    with pytest.raises(ConfigError, match=message):
        api.train(config, out=tmp_path / "run", say=print)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match=message):
        choose(config, facts())


def test_sentences_go_with_what_they_explain(tmp_path: Path) -> None:
    result = choose(config_of("gan"), facts())
    write_config(result, tmp_path / "config.yaml")
    assert read_config(tmp_path / "config.yaml") == result
    again = api.configure(config=tmp_path / "config.yaml", settings=["training.batch=6"])
    assert again.chosen == {k: v for k, v in result.chosen.items() if k != "training.batch"}
    other = api.configure("vae").model_copy(update={"chosen": result.chosen})
    assert "model.augment" not in still_true(other, before=result).chosen


sides = st.sampled_from([16, 28, 32, 48, 64, 100, 128, 256, 512, 1024])
counts = st.integers(2, 1_000_000)
recipes = st.sampled_from(sorted(RECIPES))
devices = st.sampled_from(["cpu", "cuda", "mps"])


@given(recipes, sides, counts, devices, st.integers(1, 8), st.integers(1, 50_000_000))
def test_every_choice_is_sane(
    recipe: str, side: int, pictures: int, device: str, processes: int, images: int
) -> None:
    open_ = config_of(recipe, images=images)
    result = choose(open_, facts(side, pictures, device, processes))
    batch = result.training.batch
    assert batch % processes == 0
    assert batch <= max(64, processes)
    if processes == 1:
        translates = open_.model.needs_pairs is not None
        assert (1 if translates else 2) <= batch <= pictures
        assert batch <= max(4, pictures // 4)
    assert 1 <= result.training.ema_half_life <= max(1, images // 10)
    assert not result.choose
    assert {*result.chosen} == {*open_.choose}
    assert all("\n" not in s and s.endswith(")") and "(" in s for s in result.chosen.values())
    for name, value in leaves(result.model):
        if name == "learning_rate":
            assert 1e-6 < value < 1e-2
        if name in ("r1_gamma", "r2_gamma"):
            assert 0 <= value < 20_000


def test_models_that_translate_keep_their_small_batches() -> None:
    for recipe, batch in (("pix2pix", 1), ("cyclegan-tiny", 4)):
        assert choose(config_of(recipe), facts()).training.batch == batch
    assert choose(config_of("pix2pix"), facts(processes=4)).training.batch == 4


def leaves(settings: Any) -> list[tuple[str, float]]:
    """Every number of nested settings, a schedule's beginning for it, by the field's name."""
    found = []
    for name, value in settings:
        if isinstance(value, Schedule):
            found.append((name, value.start))
        elif isinstance(value, int | float):
            found.append((name, float(value)))
        elif hasattr(value, "model_fields_set"):
            found += leaves(value)
    return found


@given(st.tuples(sides, sides), st.tuples(counts, counts), devices)
def test_more_pixels_smaller_batches_stronger_r1(
    size: tuple[int, int], pictures: tuple[int, int], device: str
) -> None:
    (small, large), (few, many) = sorted(size), sorted(pictures)
    open_ = config_of("dcgan-tiny")
    a, b = (choose(open_, facts(side, many, device)) for side in (small, large))
    assert a.training.batch >= b.training.batch
    assert value_at(gan(a).r1_gamma, 0) <= value_at(gan(b).r1_gamma, 0)
    c = choose(open_, facts(small, few, device))
    assert c.training.batch <= a.training.batch
    assert c.training.ema_half_life <= a.training.ema_half_life


SMALL = (
    *("model.width=4", "model.latent_size=8", "training.device=cpu", "training.score_every=0"),
    *("training.log_every=8", "training.sample_every=100", "training.checkpoint_every=100"),
)


@pytest.mark.parametrize(
    ("recipe", "pictures", "images"),
    [("dcgan-tiny", 40, 64), ("dcgan-tiny", 2, 200), ("vae", 10, 16)],
)
def test_config_yaml_repeats_the_run(
    recipe: str, pictures: int, images: int, tmp_path: Path
) -> None:
    said: list[str] = []
    run = api.train(
        recipe,
        auto=True,
        resolution=16,
        images=images,
        settings=[*SMALL, f"data.images={pictures}"],
        out=tmp_path / "run",
        say=said.append,
    )
    config = read_config(run / "config.yaml")
    assert not config.choose
    assert config.training.batch == {40: 8, 10: 4, 2: 2}[pictures]
    lines = [line for line in said if line.startswith("Chose ")]
    assert lines == [f"Chose {name}: {text}" for name, text in config.chosen.items()]
    assert len(lines) == len(choosable(config))
    if pictures == 2:
        assert gan(config).augment == "diffaugment"
    again = api.train(
        api.configure(config=run / "config.yaml"), out=tmp_path / "again", say=said.append
    )
    assert (again / "config.yaml").read_text() == (run / "config.yaml").read_text()
    assert_same_bits(final_state(again), final_state(run))
    assert len([line for line in said if line.startswith("Chose ")]) == len(lines)


def test_resuming_does_not_choose_again(tmp_path: Path) -> None:
    settings = [*SMALL, "data.images=40"]
    run = api.train("gan", auto=True, resolution=16, images=32, settings=settings,
                    out=tmp_path / "run", say=lambda line: None)  # fmt: skip
    config = read_config(run / "config.yaml")
    longer = config.model_copy(
        update={"training": config.training.model_copy(update={"images": 64})}
    )
    write_config(longer, run / "config.yaml")
    said: list[str] = []
    api.resume(run, say=said.append)
    assert not any("Chose" in line for line in said)
    assert read_config(run / "config.yaml") == longer
    write_config(longer.model_copy(update={"choose": ("training.batch",)}), run / "config.yaml")
    with pytest.raises(ConfigError, match=r"choose still names training\.batch"):
        api.resume(run, say=said.append)


@pytest.mark.parametrize(
    ("recipe", "side", "expected"),
    [
        ("stylegan", 64, (0.001, 0.001)),
        ("stylegan", 128, (0.0015, 0.0015)),
        ("stylegan", 256, (0.002, 0.002)),
        ("stylegan", 512, (0.003, 0.003)),
        ("stylegan2", 256, (0.0025, 0.0025)),
        ("stylegan2-tiny", 1024, (0.002, 0.002)),
        ("stylegan3-t", 64, (0.0025, 0.002)),
        ("stylegan3-r", 1024, (0.0025, 0.002)),
    ],
)
def test_rates_of_stylegans_are_their_authors(
    recipe: str, side: int, expected: tuple[float, float]
) -> None:
    rates = [
        chosen(f"model.{network}.learning_rate", recipe, facts(side), "training.batch=8")
        for network in ("generator", "discriminator")
    ]
    assert tuple(value_at(rate, 1.0) for rate, _ in rates) == expected
    assert all("Karras et al. 20" in sentence for _, sentence in rates)


def test_rates_of_a_growing_stylegan_are_its_recipes_at_its_size() -> None:
    recipe = find_recipe("stylegan").model
    assert isinstance(recipe, StyleGanConfig)
    field = "model.generator.learning_rate"
    assert chosen(field, "stylegan", facts(1024))[0] == recipe.generator.learning_rate
    assert chosen(field, "stylegan", facts(1024), "model.growing=null")[0] == 0.003


def test_r1_of_stylegans() -> None:
    settings = ("training.batch=32",)
    assert chosen("model.r1_gamma", "stylegan2", facts(256), *settings)[0] == 0.41
    value, sentence = chosen("model.r1_gamma", "stylegan3-r", facts(256), *settings)
    assert value == 2.05
    assert sentence.startswith("0.001 * 256 * 256 pixels / batch 32 = 2.05 (Karras et al. 2021")


def test_what_grows_is_augmented_without_ada() -> None:
    few = facts(64, pictures=100)
    value, sentence = chosen("model.augment", "stylegan", few, images=2_000_000)
    assert value == "diffaugment"
    assert "growing begins with fewer" in sentence
    settings = ("model.growing=null",)
    assert chosen("model.augment", "stylegan", few, *settings, images=2_000_000)[0] == "ada"
    assert chosen("model.augment", "stylegan2-small", few, images=2_000_000)[0] == "ada"
