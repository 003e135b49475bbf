"""Checkpoints: whole or not there, damage found, nothing executed, and no more kept than asked."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from ganvas import api
from ganvas.errors import RunError
from ganvas.training import checkpoint
from ganvas.training.checkpoint import list_checkpoints
from ganvas.training.run_log import read_log
from tests.tiny import assert_same_bits, final_state, tiny, train_quietly

FILES = ("weights.safetensors", "state.pt", "manifest.json")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES: list[Callable[[Path], None]] = [truncate, flip_a_bit, empty, Path.unlink]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with checkpoints at 64 and 96 images."""
    return train_quietly(tiny("gan"), tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over(
    run: Path, trained: Path, said: list[str], name: str, damage: Callable[[Path], None]
) -> None:
    damage(run / "checkpoints" / "000000096" / name)
    weights = api.load(run, device="cpu", say=said.append).state_dict()
    assert "Went back to 000000064" in said[0]
    assert "000000096 is damaged" in said[0]
    earlier = load_file(run / "checkpoints/000000064/weights.safetensors")
    assert all(torch.equal(weights[key], earlier[key]) for key in weights)

    said.clear()
    api.resume(run, say=said.append)
    assert "Went back to 000000064" in said[0]
    assert_same_bits(final_state(trained), final_state(run))
    assert [path.name for path in list_checkpoints(run / "checkpoints")] == [
        "000000096",
        "000000064",
    ]
    resumed = [r for r in read_log(run / "log.jsonl") if r["event"] == "resume"]
    assert "000000096 is damaged" in resumed[0]["note"]


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), name=st.sampled_from(FILES))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_flipped_bit_goes_unnoticed(trained: Path, name: str, place: float, bit: int) -> None:
    """Whichever bit flips: it is found, or it is one that means nothing (a space in the JSON)."""
    folder = trained / "checkpoints"
    before = (folder / "000000096" / name).read_bytes()
    content = bytearray(before)
    content[int(place * len(content))] ^= 1 << bit
    (folder / "000000096" / name).write_bytes(content)
    try:
        found = checkpoint.newest_whole_checkpoint(folder, [])
        assert found is not None
        assert found.name == "000000064" or name == "manifest.json"
    finally:
        (folder / "000000096" / name).write_bytes(before)


def test_all_damaged_is_an_error_that_names_the_way_out(run: Path) -> None:
    for path in (run / "checkpoints").iterdir():
        truncate(path / "state.pt")
    for verb in (api.load, api.resume):
        with pytest.raises(RunError, match="No whole checkpoint is left: start again with") as info:
            verb(run, say=print)
        assert str(run / "config.yaml") in str(info.value)


def sign(folder: Path) -> None:
    """Write the manifest that belongs to the files, as an attacker would."""
    files = {
        name: {
            "bytes": (folder / name).stat().st_size,
            "sha256": checkpoint._digest(folder / name),
        }
        for name in FILES[:2]
    }
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "files": files}))


class Trap:
    """A pickle that makes a folder where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_malicious_state_is_not_executed(run: Path, tmp_path: Path) -> None:
    newest = run / "checkpoints" / "000000096"
    torch.save({"model": Trap(tmp_path / "executed")}, newest / "state.pt")
    sign(newest)
    with pytest.raises(RunError, match="000000096 does not fit"):
        api.resume(run, say=print)
    assert not (tmp_path / "executed").exists()


def test_a_manifest_that_names_other_files_vouches_for_nothing(run: Path) -> None:
    newest = run / "checkpoints" / "000000096"
    (newest / "manifest.json").write_text(json.dumps({"format": 1, "files": {}}))
    found = checkpoint.newest_whole_checkpoint(run / "checkpoints", [])
    assert found is not None
    assert found.name == "000000064"


@pytest.mark.parametrize("setting", [("width: 4", "width: 8"), ("name: gan", "name: vae")])
def test_a_configuration_edited_to_another_network_is_explained(
    run: Path, setting: tuple[str, str]
) -> None:
    config = run / "config.yaml"
    text = config.read_text()
    assert setting[0] in text
    if setting[0] == "name: gan":
        text = text[: text.index("model:")] + "model:\n  name: vae\n  width: 4\n  latent_size: 8\n"
    config.write_text(text.replace(*setting))
    for verb in (api.load, api.resume):
        with pytest.raises(RunError, match=r"does not fit the run's config\.yaml"):
            verb(run, say=print)


def test_a_longer_training_can_be_asked_for(run: Path) -> None:
    """Not a repetition, but the plain way to go on."""
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("images: 96", "images: 128"))
    api.resume(run, say=lambda line: None)
    assert list_checkpoints(run / "checkpoints")[0].name == "000000128"


def test_a_learning_rate_changed_in_the_configuration_holds_after_a_resume(run: Path) -> None:
    """What the message after a NaN advises must have an effect."""
    config = run / "config.yaml"
    text = config.read_text().replace("images: 96", "images: 128")
    config.write_text(re.sub(r"learning_rate: .*", "learning_rate: 1.0e-05", text))
    api.resume(run, say=lambda line: None)
    newest = list_checkpoints(run / "checkpoints")[0]
    saved = torch.load(newest / "state.pt", weights_only=True)
    assert {o["param_groups"][0]["lr"] for o in saved["optimizers"]} == {1e-5}


def test_what_a_killed_save_left_is_swept_by_the_next(run: Path) -> None:
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("images: 96", "images: 128"))
    left_over = run / "checkpoints" / ".000000077.partial"
    left_over.mkdir()
    api.resume(run, say=lambda line: None)
    assert not left_over.exists()


@pytest.mark.parametrize("keep", [1, 2, 3, 10])
def test_only_so_many_are_kept(tmp_path: Path, keep: int) -> None:
    config = tiny("gan", "training.checkpoint_every=16", f"training.keep_checkpoints={keep}")
    run = train_quietly(config, tmp_path / "run")
    kept = [int(path.name) for path in list_checkpoints(run / "checkpoints")]
    assert kept == [96, 80, 64, 48, 32, 16][:keep]


def test_what_a_kill_left_is_harmless(run: Path, trained: Path) -> None:
    shutil.rmtree(run / "checkpoints" / "000000096")
    left = run / "checkpoints" / ".000000096.partial"
    shutil.copytree(run / "checkpoints" / "000000064", left)
    (run / "checkpoints" / "notes.txt").write_text("mine")
    (run / "checkpoints" / "old-999").mkdir()
    assert [path.name for path in list_checkpoints(run / "checkpoints")] == ["000000064"]
    api.resume(run, say=lambda line: None)
    assert not left.exists()
    assert_same_bits(final_state(trained), final_state(run))


def test_saving_fails_in_the_middle(
    run: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: an error says so, and the checkpoint before is still there."""
    shutil.rmtree(run / "checkpoints" / "000000096")

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match="the disk is full"):
        api.resume(run, say=lambda line: None)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["000000064"]
    monkeypatch.undo()
    api.resume(run, say=lambda line: None)
    assert_same_bits(final_state(trained), final_state(run))


def test_no_checkpoint_yet(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(RunError, match=r"has no checkpoint yet.*ganvas resume"):
        api.load(run)
    api.resume(run, say=lambda line: None)  # from the start
    api.load(run)
