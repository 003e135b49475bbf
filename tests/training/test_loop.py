"""The loop and what surrounds it: when things happen, how it stops, what resuming accepts."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from ganvas import api
from ganvas.data.config import DataConfig
from ganvas.data.pack import open_pack
from ganvas.errors import ConfigError, DataError, GanvasError, RunError
from ganvas.models.gan import Gan
from ganvas.models.phase import Batch, Losses
from ganvas.training.checkpoint import list_checkpoints
from ganvas.training.config import read_config
from ganvas.training.loop import _due
from ganvas.training.run_folder import RunFolder
from ganvas.training.run_log import History, read_log
from tests.tiny import assert_same_bits, final_state, tiny, train_quietly


def silent(line: str) -> None:
    pass


def spoil(monkeypatch: pytest.MonkeyPatch, at_call: int) -> None:
    """Make the generator's loss NaN from a call on."""
    calls = 0
    intact = Gan.generator_loss

    def generator_loss(self: Gan, batch: Batch) -> Losses:
        nonlocal calls
        calls += 1
        losses = intact(self, batch)
        return Losses(losses.total * float("nan")) if calls >= at_call else losses

    monkeypatch.setattr(Gan, "generator_loss", generator_loss)


def test_a_loss_that_is_nan_stops_the_run_and_leaves_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_quietly(tiny("gan"), tmp_path / "whole")
    spoil(monkeypatch, at_call=7)
    run = tmp_path / "run"
    with pytest.raises(RunError, match=r"at 48 images .*loss generator/total is not finite"):
        train_quietly(tiny("gan"), run)
    assert [path.name for path in list_checkpoints(run / "checkpoints")] == ["000000032"]
    model = api.load(run, device="cpu")
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    assert read_log(run / "log.jsonl")[-1]["reason"] == "stopped"
    assert "stopped" in (run / "report.html").read_text()
    monkeypatch.undo()
    api.resume(run, say=silent)  # the cause being gone, it goes on
    assert_same_bits(final_state(whole), final_state(run))


def test_a_nan_found_late_is_never_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU losses are looked at with each line of the log; saving must look first."""
    from ganvas.training import step

    monkeypatch.setattr(step, "check_finite", lambda *arguments: None)
    spoil(monkeypatch, at_call=7)
    settings = ("training.log_every=96", "training.checkpoint_every=16")
    with pytest.raises(RunError, match="not finite"):
        train_quietly(tiny("gan", *settings), tmp_path / "run")
    newest = list_checkpoints(tmp_path / "run" / "checkpoints")[0]
    assert newest.name == "000000048"
    assert all(torch.isfinite(t).all() for t in final_state(tmp_path / "run").values())


def test_due_when_a_multiple_was_passed() -> None:
    assert [_due(before, before + 8, 20) for before in range(0, 48, 8)] == [
        *(False, False, True),
        *(False, True, False),
    ]
    assert _due(0, 100, 20)
    assert not _due(0, 100, None)


@pytest.mark.parametrize("seed", [0, 7])
def test_the_log_does_not_depend_on_where_checkpoints_are_resumed(
    tmp_path: Path, seed: int
) -> None:
    """Intervals that do not divide each other: what is averaged over is the same after a resume."""
    settings = ("training.log_every=20", "training.checkpoint_every=28", f"training.seed={seed}")
    whole = train_quietly(tiny("vae", *settings), tmp_path / "whole")
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    shutil.rmtree(list_checkpoints(run / "checkpoints")[0])
    api.resume(run, say=silent)
    first, second = (
        [(r["images"], r["losses"], r["gradient_norms"]) for r in read_log(path / "log.jsonl")
         if r["event"] == "progress"]
        for path in (whole, run)
    )  # fmt: skip
    assert first == second
    assert [images for images, *_ in first] == [24, 32, 40, 56, 64, 80, 88, 96]


def test_more_images_in_a_batch_than_there_are(tmp_path: Path) -> None:
    run = train_quietly(tiny("gan", "training.batch=100", "training.images=150"), tmp_path / "run")
    assert History.read(run / "log.jsonl").images == 200


def test_shorter_than_a_batch(tmp_path: Path) -> None:
    run = train_quietly(tiny("gan", "training.images=1"), tmp_path / "run")
    assert [path.name for path in list_checkpoints(run / "checkpoints")] == ["000000008"]


def pictures(folder: Path, count: int = 12, size: tuple[int, int] = (20, 18)) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", size, (20 * i, 255 - 20 * i, 10)).save(folder / f"{i:02d}.png")
    return folder


def parquet(folder: Path) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = sorted(pictures(folder / "files").iterdir())
    column = [{"bytes": path.read_bytes(), "path": path.name} for path in files]
    pq.write_table(pa.table({"image": column}), folder / "pictures.parquet")
    return str(folder / "pictures.parquet")


def zipped(folder: Path) -> str:
    return shutil.make_archive(str(folder / "pictures"), "zip", pictures(folder / "files"))


SOURCES: dict[str, Callable[[Path], str]] = {
    "folder": lambda folder: str(pictures(folder / "files")),
    "zip": zipped,
    "parquet": parquet,
    "avatars": lambda folder: "avatars:glasses",
    "digits": lambda folder: "digits",
    "ring": lambda folder: "ring",
    "swiss-roll": lambda folder: "swiss-roll",
}


@pytest.mark.parametrize("source", SOURCES)
def test_resuming_finds_the_same_data(source: str, tmp_path: Path) -> None:
    """config.yaml holds what was decided (resolution, channels); it must give the same pack."""
    config = api.configure(
        "gan",
        data=SOURCES[source](tmp_path),
        settings=["data.images=10", "model.width=4", "training.batch=4", "training.images=16",
                  "training.checkpoint_every=8", "training.device=cpu"],
    )  # fmt: skip
    run = train_quietly(config, tmp_path / "run")
    whole = final_state(run)
    shutil.rmtree(list_checkpoints(run / "checkpoints")[0])
    api.resume(run, say=silent)
    assert_same_bits(whole, final_state(run))
    repeated = train_quietly(read_config(run / "config.yaml"), tmp_path / "repeated")
    assert_same_bits(whole, final_state(repeated))


@pytest.mark.parametrize("change", ["more", "other", "fewer"])
def test_changed_data_is_refused(tmp_path: Path, change: str) -> None:
    folder = pictures(tmp_path / "pictures")
    config = api.configure("gan", data=str(folder), resolution=16,
                           settings=["model.width=4", "training.batch=4", "training.images=16",
                                     "training.checkpoint_every=8"])  # fmt: skip
    run = train_quietly(config, tmp_path / "run")
    shutil.rmtree(list_checkpoints(run / "checkpoints")[0])
    before = (run / "log.jsonl").read_bytes()
    if change == "fewer":
        (folder / "03.png").unlink()
    else:
        Image.new("RGB", (20, 20)).save(folder / ("99.png" if change == "more" else "03.png"))
    with pytest.raises(RunError, match=r"the data has changed since .* was begun"):
        api.resume(run, say=silent)
    assert (run / "log.jsonl").read_bytes() == before


def test_data_that_is_gone_is_an_error_and_back_again_is_none(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    config = api.configure("gan", data=str(folder), resolution=16,
                           settings=["model.width=4", "training.batch=4", "training.images=16",
                                     "training.checkpoint_every=8"])  # fmt: skip
    run = train_quietly(config, tmp_path / "run")
    shutil.rmtree(list_checkpoints(run / "checkpoints")[0])
    moved = folder.rename(tmp_path / "away")
    with pytest.raises(DataError, match="There is no data source"):
        api.resume(run, say=silent)
    api.load(run)  # needs no data
    moved.rename(folder)
    api.resume(run, say=silent)


def test_a_second_run_in_the_folder_is_refused(tmp_path: Path) -> None:
    run = train_quietly(tiny("gan", "training.images=8"), tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    with pytest.raises(RunError, match=r"holds a run already\. Go on with it: ganvas resume"):
        train_quietly(tiny("vae"), run)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    (run / "config.yaml").unlink()
    with pytest.raises(RunError, match="holds a run already"):  # its checkpoints would be loaded
        train_quietly(tiny("vae"), run)


@pytest.mark.parametrize("verb", ["train", "resume"])
def test_two_at_once_in_the_folder_are_refused(tmp_path: Path, verb: str) -> None:
    run = tmp_path / "run"
    if verb == "resume":
        train_quietly(tiny("gan", "training.images=8"), run)
    start = {"train": lambda: train_quietly(tiny("gan"), run), "resume": lambda: api.resume(run)}
    hold = (
        "import sys; from pathlib import Path; from ganvas.training.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked(): print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match="another process is training in"):
            start[verb]()
        other.kill()
        other.wait()
    start[verb]()  # a kill leaves no lock behind


def test_a_failed_start_leaves_the_folder_free(tmp_path: Path) -> None:
    """What is wrong with data, model or batch shows before there is anything in the folder."""
    empty = tmp_path / "empty"
    empty.mkdir()
    wrong: list[Callable[[], object]] = [
        lambda: api.train("gan", data=str(empty), out=run, say=silent),
        lambda: api.train("gan", data="no such source", out=run, say=silent),
        lambda: train_quietly(tiny("dcgan", "data.resolution=17"), run),
        lambda: train_quietly(tiny("gan", "training.accumulate=3"), run),
        lambda: api.train("gan", data="swiss-roll", out=run, say=silent,
                          settings=["model.conditional=true", "model.networks=mlp"]),
    ]  # fmt: skip
    run = tmp_path / "run"
    for fail in wrong:
        with pytest.raises(GanvasError):
            fail()
        assert not run.exists() or not any(run.iterdir())
    train_quietly(tiny("gan", "training.images=8"), run)


def test_default_folders_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = tiny("gan", "training.images=8")
    first = api.train(config, say=silent)
    assert first == Path("runs/gan-avatars")
    with pytest.raises(ConfigError):
        api.train(tiny("gan", "training.accumulate=3"), say=silent)
    assert api.train(config, say=silent) == Path("runs/gan-avatars-2")


def test_a_whole_configuration_takes_no_changes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="images"):
        api.train(tiny("gan"), out=tmp_path / "run", images=16)


@pytest.mark.parametrize("content", ["", "{", '{"shape": [3, "a"]}', "[]", "\0"])
def test_a_damaged_data_summary_is_explained_and_can_be_made_again(
    tmp_path: Path, content: str
) -> None:
    run = train_quietly(tiny("gan", "training.images=8"), tmp_path / "run")
    before = (run / "data.json").read_text()
    (run / "data.json").write_text(content)
    for verb in (api.load, api.resume):
        with pytest.raises(RunError, match=r"data\.json is damaged.*Delete it"):
            verb(run)
    (run / "data.json").unlink()
    with pytest.raises(RunError, match=r"data\.json is missing"):
        api.load(run)
    api.resume(run, say=silent)
    assert (run / "data.json").read_text() == before
    api.load(run)


def test_a_report_that_a_kill_prevented_is_written_by_resume(tmp_path: Path) -> None:
    run = train_quietly(tiny("gan", "training.images=8"), tmp_path / "run")
    (run / "report.html").unlink()
    log = (run / "log.jsonl").read_bytes()
    api.resume(run, say=silent)
    assert (run / "report.html").exists()
    assert (run / "log.jsonl").read_bytes() == log


def test_points_and_pictures_do_not_mix(tmp_path: Path) -> None:
    config = api.configure("vae", data="ring",
                           settings=["model.networks=mlp", "model.width=4", "data.images=40",
                                     "training.images=64"])  # fmt: skip
    run = train_quietly(config, tmp_path / "run")
    with pytest.raises(DataError, match="does not fit the run"):
        api.pictures_for(run, "digits", 4)
    images, _ = api.pictures_for(run, None, 4)
    assert api.reconstruct(api.load(run, device="cpu"), images).shape == (8, 2)


def test_the_run_uses_the_pack_it_was_given(tmp_path: Path) -> None:
    run = train_quietly(tiny("gan", "training.images=8"), tmp_path / "run")
    pack = open_pack(DataConfig.parse({"images": 40, "resolution": 16}))
    assert RunFolder(run).read_data_summary() == (pack.shape, pack.classes)
    RunFolder(run).check_data(pack)
