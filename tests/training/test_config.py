"""Configurations: every mistake named with what was probably meant, and faithful round trips."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ganvas import api
from ganvas.errors import ConfigError
from ganvas.recipes import RECIPES
from ganvas.training.config import RunConfig, override, read_config, write_config


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_survives_its_file(recipe: str, tmp_path: Path) -> None:
    config = api.configure(recipe, data="ring", resolution="64x96", images=5)
    write_config(config, tmp_path / "config.yaml")
    assert read_config(tmp_path / "config.yaml") == config
    assert "!!" not in (tmp_path / "config.yaml").read_text()  # plain YAML, no Python types


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.widht=4", "no setting 'model.widht'. Did you mean 'model.width'?"),
        ("training.width=4", "no setting 'training.width'. Did you mean 'model.width'?"),
        ("batch=4", "no setting 'batch'. Did you mean 'training.batch'?"),
        ("trainng.batch=4", "no setting 'trainng'. Did you mean 'training'?"),
        ("model.generator.learning_rat=1", "Did you mean 'model.generator.learning_rate'?"),
        ("data.resolutoin=64", "Did you mean 'data.resolution'?"),
        ("model.width=wide", "model.width: Input should be a valid integer"),
        ("model.generator.betas=[a, 1]", "model.generator.betas: Input should be a valid number"),
        ("training.images=0", "training.images: Input should be greater than 0 (got 0)"),
        ("training.images=1.5", "training.images: Input should be a valid integer"),
        ("training.seed=-1", "training.seed: Input should be greater than or equal to 0"),
        ("training.ema_ramp_up=.nan", "training.ema_ramp_up: "),
        ("training.precision=fp8", "'auto', 'float32' or 'bfloat16' (got 'fp8')"),
        ("data.resolution=banana", "data.resolution: write one number (64) or HEIGHTxWIDTH"),
        ("data.resolution=1", "data.resolution: "),
        ("data.background=puce?", "data.background: not a colour"),
        ("model.name=stylegan9", "does not match any of the expected tags: "),
        ("model=5", "model: Input should be a valid dictionary"),
        ("training=null", "training: Input should be"),
        ("training", "is not of the form section.field=value"),
        ("=5", "is not of the form section.field=value"),
        ("training.images=[", "--set training.images is not valid YAML in line 1, column 2"),
        ("training.images=2001-13-99", "--set training.images is not valid YAML: month"),
        ("training.images=" + "[" * 5000, "--set training.images is not valid YAML"),
        ("training.images=!!python/object/apply:os.system [ls]", "is not valid YAML"),
    ],
)
def test_every_mistake_is_named(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as info:
        api.configure("gan", settings=[setting])
    assert message in str(info.value)
    assert "\n" not in str(info.value)
    assert len(str(info.value)) < 1500


def test_another_models_settings_are_not_offered() -> None:
    with pytest.raises(ConfigError) as info:
        api.configure("gan", settings=["model.decoder_varience=1"])
    assert "decoder_variance" not in str(info.value)
    with pytest.raises(ConfigError, match=r"Did you mean 'model\.decoder_variance'"):
        api.configure("vae", settings=["model.decoder_varience=1"])


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as info:
        api.configure("gan", settings=["training.btch=1", "data.reslution=3", "model.width=x"])
    for part in ("training.batch", "data.resolution", "model.width"):
        assert part in str(info.value)


def test_an_unknown_model_offers_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no model 'dcgna'\. Did you mean 'dcgan'"):
        api.configure("dcgna")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)

FILES = {
    "not YAML": ("data: [", "line 1"),
    "a list": ("- data", "is not a configuration"),
    "empty": ("", "is not a configuration"),
    "no model": ("data:\n  source: ring\n", "model: Field required"),
    "misspelt": ("model:\n  name: gan\n  widht: 3\n", "Did you mean 'model.width'?"),
    "no name": ("model:\n  width: 3\n", "model: Unable to extract tag"),
    "wrong section": (
        "model: {name: gan}\nimages: 5\n",
        "Did you mean 'data.images' or 'training.images'?",
    ),
    "code": ("model: !!python/object/apply:os.system [ls]", "is not valid YAML"),
    "deep": ("[" * 100_000, "is not valid YAML"),
    "a bomb": (BOMB + "model: {name: gan, width: *j}\n", "model.width"),
    "recursive": ("model: &m {name: gan, width: *m}\n", "model.width"),
    "numbers as names": ("1: 2\nmodel: {name: gan}\n", "1: Keys should be strings"),
    "a date": ("model: {name: gan}\ntraining: {images: 2001-02-03}\n", "training.images"),
}


@pytest.mark.parametrize(("text", "message"), FILES.values(), ids=FILES.keys())
def test_every_bad_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as info:
        api.configure(config=path)
    assert message in str(info.value)
    assert "\n" not in str(info.value)
    assert len(str(info.value)) < 2500


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    for path in (tmp_path / "absent.yaml", tmp_path, tmp_path / "binary.yaml"):
        with pytest.raises(ConfigError, match=path.name):
            read_config(path)


def test_settings_come_last_and_leave_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write_config(api.configure("gan", images=10), path)
    before = path.read_text()
    config = api.configure(config=path, images=20, settings=["training.images=30"])
    assert config.training.images == 30
    assert path.read_text() == before


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["data", "model", "x.y", "training"]),
            st.sampled_from(["a", "b"]),
            st.one_of(st.integers(), st.booleans(), st.none(), st.text("abcxyz", min_size=1)),
        )
    )
)
def test_override_sets_what_it_says_and_nothing_else(
    changes: list[tuple[str, str, object]],
) -> None:
    values = {"data": {"a": 1, "kept": 2}, "model": {"kept": 3}}
    before = yaml.safe_dump(values)
    result = override(
        values, [f"{section}.{field}={yaml.safe_dump(v)}" for section, field, v in changes]
    )
    assert yaml.safe_dump(values) == before
    assert result["data"]["kept"] == 2
    assert result["model"]["kept"] == 3
    for section, field, value in {(s, f): (s, f, v) for s, f, v in changes}.values():
        target = result
        for part in section.split("."):
            target = target[part]
        assert target[field] == value


def test_configurations_are_frozen() -> None:
    config = api.configure("gan")
    with pytest.raises(ValueError, match="frozen"):
        config.training.images = 3  # type: ignore[misc]
    assert isinstance(config, RunConfig)
