"""`--target`, `--pair` and `--domains`, wherever pictures are named."""

import json
from pathlib import Path

import pytest
from PIL import Image

from ganvas import api
from ganvas.training.run_folder import RunFolder
from tests.cli.running import Command
from tests.data.making import fill_folder
from tests.tiny import tiny, train_quietly


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Pictures that hold two side by side."""
    return fill_folder(tmp_path / "pairs", [f"{i}.png" for i in range(8)], size=(48, 24))


def test_inspect_tells_of_both_domains(ganvas: Command, pairs: Path) -> None:
    shown = ganvas("data", "inspect", pairs, "--pair", "BA")
    assert shown.code == 0, shown
    assert "Domain A, to translate" in shown.out
    assert "Pairs: 8." in shown.out
    report = json.loads(ganvas("data", "inspect", pairs, "--pair", "BA", "--json").out)
    assert (report["pairs"], report["unpaired"]) == (8, None)
    assert report["source"]["width"]["median"] == report["target"]["width"]["median"] == 24
    assert "right" in report["source"]["source"]


def test_inspect_names_what_keeps_folders_from_being_pairs(
    ganvas: Command, pairs: Path, tmp_path: Path
) -> None:
    fill_folder(tmp_path / "others", [f"{i}.png" for i in range(1, 9)], size=(48, 24))
    shown = ganvas("data", "inspect", pairs, "--target", tmp_path / "others")
    assert shown.code == 0, shown
    flat = shown.out.replace("\n", " ")
    assert "No pairs: 1 of the 8 pictures" in flat
    assert "(0.png)" in flat
    assert "(8.png)" in flat


def test_inspect_names_unequal_pairs(ganvas: Command, pairs: Path, tmp_path: Path) -> None:
    fill_folder(tmp_path / "others", [f"{i}.png" for i in range(8)], size=(48, 24))
    Image.new("RGB", (20, 24)).save(tmp_path / "others" / "5.png")
    shown = ganvas("data", "inspect", pairs, "--target", tmp_path / "others")
    assert "Unequal pairs: 1" in shown.out
    assert "5.png" in shown.out
    assert "Pairs: 7, but a pix2pix refuses them all" in shown.out.replace("\n", " ")


def test_inspect_says_that_one_odd_width_stops_the_training(ganvas: Command, pairs: Path) -> None:
    Image.new("RGB", (49, 24)).save(pairs / "5.png")
    shown = ganvas("data", "inspect", pairs, "--pair", "AB")
    assert "Ready to train" not in shown.out
    assert "Pairs: 7, but training refuses the whole source" in shown.out.replace("\n", " ")


def test_folders_paired_by_name_alone_are_said_to_be(tmp_path: Path, pairs: Path) -> None:
    values = (f"data.source={pairs}", f"data.target={pairs}", "training.images=4")
    for model, expected in (("cyclegan", 1), ("pix2pix", 0)):
        lines: list[str] = []
        api.train(tiny(model, "data.domains=null", *values), out=tmp_path / model, say=lines.append)
        assert sum("taken for pairs by their names" in line for line in lines) == expected


def test_the_hint_about_what_was_left_out_has_the_options(tmp_path: Path, pairs: Path) -> None:
    for i in range(11):
        (pairs / f"broken{i}.png").touch()
    fill_folder(pairs, [f"more{i}.png" for i in range(20)], size=(48, 24))
    lines: list[str] = []
    config = tiny(
        "pix2pix", "data.domains=null", f"data.source={pairs}", "data.pair=BA", "training.images=4"
    )
    api.train(config, out=tmp_path / "run", say=lines.append)
    assert f"  and 1 more: ganvas data inspect {pairs} --pair BA" in lines


def test_inspect_of_what_is_drawn(ganvas: Command) -> None:
    shown = ganvas("data", "inspect", "avatars", "--domains", "lines,image")
    assert "1 channel." in shown.out
    assert "Pairs: 20,000" in shown.out
    shown = ganvas("data", "inspect", "avatars:hat", "--domains", "none,cap")
    assert "No pairs: avatars with hat none and cap" in shown.out


def test_pack_tells_of_both_domains(ganvas: Command, pairs: Path, tmp_path: Path) -> None:
    flags = ("--resolution", "16", "--target-channels", "1", "--cache", tmp_path / "cache")
    shown = ganvas("data", "pack", pairs, "--pair", "AB", *flags)
    assert shown.code == 0, shown
    assert "8 of 16x16x3" in shown.out
    assert "pairs with as many of 16x16x1" in shown.out
    assert "opened as it was" in ganvas("data", "pack", pairs, "--pair", "AB", *flags).out


def test_flags_replace_the_domains_of_the_recipe(pairs: Path, tmp_path: Path) -> None:
    recipe = api.configure("pix2pix")
    assert recipe.data.domains == api.configure("pix2pix", data="avatars").data.domains
    config = api.configure("pix2pix", data=str(pairs), pair="AB")
    assert (config.data.pair, config.data.domains) == ("AB", None)
    config = api.configure("pix2pix", domains=("lines", "image"))
    assert config.data.domains == ("lines", "image")
    assert api.configure("pix2pix", data="avatars:hat").data.domains is None


def test_targets_are_absolute_in_a_run(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = api.configure("pix2pix", data="pairs", target="./pairs")
    assert (config.data.source, config.data.target) == (str(pairs), str(pairs))


def test_a_run_knows_the_shape_of_its_target(tmp_path: Path) -> None:
    config = tiny("pix2pix", "training.images=8", "data.domains=[lines,image]")
    run = train_quietly(config, tmp_path / "run")
    assert RunFolder(run).read_data_summary()[0] == (1, 16, 16)
    assert RunFolder(run).read_target_shape() == (3, 16, 16)
    other = train_quietly(tiny("gan", "training.images=8"), tmp_path / "other")
    assert RunFolder(other).read_target_shape() is None


@pytest.mark.parametrize("domains", ["cat", "cat,", "cat,dog,cow"])
def test_what_is_not_two_domains_is_refused(ganvas: Command, domains: str) -> None:
    shown = ganvas("train", "cyclegan-tiny", "--data", "avatars", "--domains", domains)
    assert shown.code == 2, shown
    assert "data.domains: write two names" in shown.err
