"""`ganvas edit` and `ganvas directions`."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from ganvas import api
from ganvas.errors import ConfigError
from ganvas.latent import attributes
from ganvas.latent.points import Points, save_points
from tests.cli.running import Command
from tests.latent.attributed import SIZE, ColumnReader, Columns
from tests.latent.painter import Painter
from tests.tiny import tiny, train_quietly


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> Columns:
    """What every command loads, and who reads its pictures."""
    model = Columns()
    monkeypatch.setattr(api, "load", lambda run, **options: model)
    monkeypatch.setattr(attributes, "open_reader", lambda run, device, **options: ColumnReader())
    return model


def size(path: str) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_arithmetic(ganvas: Command, columns: Columns) -> None:
    line = ("edit", "run", "--arithmetic", "glasses - none + beard", "--seeds", "1,2,3")
    result = ganvas(*line, "--examples", "32")
    assert result.code == 0, result.err
    said = result.out.splitlines()
    assert said[0].startswith("glasses - no glasses + beard: before and after on run/edit-glasses")
    assert said[1].startswith("3 of 3 have what was asked for")
    place = "run/edit-glasses-minus-none-plus-beard"
    assert size(f"{place}.png")[0] > 0
    assert size(f"{place}-figure.png")[1] > size(f"{place}-figure.png")[0] / 2
    held = Path(f"{place}.png").read_bytes()
    assert ganvas(*line, "--examples", "32", "--plain", "--strength", "0.5").code == 0
    assert Path(f"{place}.png").read_bytes() != held


def test_directions_are_found_listed_and_walked(ganvas: Command, columns: Columns) -> None:
    assert "No directions yet" in ganvas("directions", "run").out
    for find in (("pca", "-n", "2"), ("sefa", "-n", "1"),
                 ("boundary", "--attribute", "glasses", "--keep", "beard")):  # fmt: skip
        result = ganvas("directions", "run", "--find", *find)
        assert result.code == 0, result.err
    listed = ganvas("directions", "run").out.splitlines()
    assert [line.split()[0] for line in listed] == [
        "glasses-keep-beard", "pca-z-1", "pca-z-2", "sefa-z-1",
    ]  # fmt: skip
    assert "towards glasses, keeping beard" in listed[0]
    result = ganvas("edit", "run", "--direction", "pca-z-1", "--strength", "-2:2", "--seeds", "1,2")
    assert result.code == 0, result.err
    assert "5 strengths: run/edit-pca-z-1.png" in result.out
    assert size("run/edit-pca-z-1.png")[0] > size("run/edit-pca-z-1.png")[1]
    far = ganvas("edit", "run", "--direction", "pca-z-1", "--strength", "0,20,40")
    assert "further out than any" in far.out
    columns.linear.weight.data *= 2
    assert "not usable" in ganvas("directions", "run").out
    result = ganvas("edit", "run", "--direction", "pca-z-1")
    assert result.code == 2
    assert "another model" in result.err


def test_points_of_a_file(ganvas: Command, columns: Columns) -> None:
    save_points(Path("p.safetensors"), Points("z", torch.randn(2, SIZE), ("a", "b")), columns)
    assert ganvas("directions", "run", "--find", "pca", "-n", "1").code == 0
    line = ("edit", "run", "--points", "p.safetensors")
    assert ganvas(*line, "--direction", "pca-z-1", "--out", "a.png").code == 0
    result = ganvas(*line, "--arithmetic", "glasses", "--examples", "16", "--out", "b.png")
    assert result.code == 0, result.err
    assert "of 2 have" in result.out


def test_points_of_w_plus(ganvas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Painter()
    monkeypatch.setattr(api, "load", lambda run, **options: model)
    values = torch.randn(2, model.layers, model.latent_size)
    save_points(Path("p.safetensors"), Points("w+", values, ("a", "b")), model)
    assert ganvas("directions", "run", "--find", "pca", "-n", "1").code == 0
    line = ("edit", "run", "--points", "p.safetensors", "--direction", "pca-w-1", "--out", "a.png")
    result = ganvas(*line)
    assert result.code == 0, result.err
    assert "--space w+" in ganvas(*line, "--space", "z").err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "one of the two"),
        (("--arithmetic", "a", "--direction", "b"), "one of the two"),
        (("--direction", "b", "--plain"), "--plain"),
        (("--arithmetic", "glases"), "Did you mean 'glasses'"),
        (("--arithmetic", "glasses", "--strength", "1:2"), "one number"),
        (("--arithmetic", "glasses", "--seeds", "x"), "--seeds"),
        (("--arithmetic", "glasses", "--space", "w"), "no styles"),
        (("--arithmetic", "glasses", "--space", "w+"), "none of z, w"),
        (("--arithmetic", "glasses", "--out", "a.gif"), "a.gif"),
        (("--arithmetic", "glasses", "--labels", "cat"), "without classes"),
        (("--arithmetic", "glasses", "--points", "none.safetensors"), "none.safetensors"),
        (("--direction", "b"), "has none yet"),
        (("--direction", "b", "--strength", "3:-3"), "'3:-3'"),
        (("--direction", "b", "--strength", "0:1e9"), "at most 99"),
        (("--direction", "b", "--strength", "1,x"), "'1,x'"),
        (("--direction", "b", "--strength", "nan"), "'nan'"),
        (("--direction", "b", "--strength", "1:2:0"), "'1:2:0'"),
    ],
)
def test_edit_explains(
    ganvas: Command, columns: Columns, arguments: tuple[str, ...], part: str
) -> None:
    result = ganvas("edit", "run", *arguments)
    assert result.code == 2
    assert result.err.startswith("ganvas: ")
    assert part in result.err
    assert result.err.count("\n") == 1
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--find", "best"), "none of pca, sefa, boundary"),
        (("--find", "boundary"), "needs --attribute"),
        (("--find", "pca", "--attribute", "glasses"), "--find boundary"),
        (("--find", "boundary", "--attribute", "wings"), "nothing is known of 'wings'"),
        (("--find", "pca", "--space", "w"), "no styles"),
    ],
)
def test_directions_explains(
    ganvas: Command, columns: Columns, arguments: tuple[str, ...], part: str
) -> None:
    result = ganvas("directions", "run", *arguments)
    assert result.code == 2
    assert part in result.err
    assert result.err.count("\n") == 1


def test_words_need_something_known(ganvas: Command) -> None:
    train_quietly(tiny("gan", "training.images=8"), Path("gan"))
    result = ganvas("edit", "gan", "--arithmetic", "glasses")
    assert result.code == 2
    assert result.err.count("\n") == 1


def test_strengths_and_names() -> None:
    from ganvas.cli.edit import name_of, strength_factor, strength_list

    assert strength_list(None) == [-3, -2, -1, 0, 1, 2, 3]
    assert strength_list("-1:1:0.5") == [-1, -0.5, 0, 0.5, 1]
    assert strength_list("-2,0, 5") == [-2, 0, 5]
    assert strength_list("1.5") == [1.5]
    assert strength_factor("1.5") == 1.5
    with pytest.raises(ConfigError):
        strength_factor("much")
    assert name_of("red hair - black hair") == "red-hair-minus-black-hair"
    assert name_of("folder/pca-z-1.safetensors") == "pca-z-1"
