import json
import multiprocessing
import os
import shutil
import signal
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydantic import TypeAdapter

from ganvas.data import (
    DataConfig,
    Pack,
    cache_folder,
    chunks,
    find_pack,
    open_pack,
    packing,
    survey,
)
from ganvas.data.array_writer import ArrayWriter
from ganvas.data.config import Resolution
from ganvas.data.decoding import Geometry, decode
from ganvas.errors import ConfigError, DataError
from tests.data.making import SHARED, bomb, encode, fill_folder, picture, write_parquet

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]


def labels_of(made: Pack) -> NDArray[np.int64]:
    assert made.labels is not None
    return made.labels


def pack(source: Path | str, cache: Path, **values: Any) -> Pack:
    config = DataConfig.parse({"source": str(source), **values})
    return open_pack(config, cache=cache, progress=False)


# ------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("written", "meant"),
    [(64, (64, 64)), ("64", (64, 64)), ("64x96", (64, 96)), ([32, 48], (32, 48)), (None, None)],
)
def test_resolutions_as_people_write_them(written: Any, meant: Any) -> None:
    config = DataConfig.parse({"resolution": written})
    assert config.resolution == meant
    assert DataConfig.parse(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("written", ["64x", "x64", "big", "64x64x3", 0, 2, -5, "9999", True, 1.5])
def test_resolutions_that_are_none(written: Any) -> None:
    with pytest.raises(ConfigError, match="resolution"):
        DataConfig.parse({"resolution": written})


def test_the_schema_lets_editors_accept_what_people_write() -> None:
    schema = TypeAdapter(Resolution).json_schema()
    assert {"integer", "string", "array"} == {option["type"] for option in schema["anyOf"]}


@pytest.mark.parametrize(
    "wrong",
    [{"background": "whit"}, {"channels": 2}, {"fit": "cropp"}, {"images": 1}, {"sourc": "x"}],
)
def test_wrong_settings_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        DataConfig.parse(wrong)


def test_channels_may_come_as_text() -> None:
    assert DataConfig.parse({"channels": "3"}).channels == 3


# ------------------------------------------------------------------ what a pack holds


@settings(max_examples=25)
@given(
    forms=st.lists(
        st.tuples(st.sampled_from(MODES), st.integers(1, 50), st.integers(1, 50)),
        min_size=2,
        max_size=6,
    ),
    height=st.integers(4, 40),
    width=st.integers(4, 40),
    channels=st.sampled_from([1, 3, 4]),
    fit=st.sampled_from(["crop", "pad", "stretch"]),
)
def test_a_pack_holds_what_decoding_each_file_gives(
    tmp_path_factory: pytest.TempPathFactory,
    forms: list[tuple[str, int, int]],
    height: int,
    width: int,
    channels: Any,
    fit: Any,
) -> None:
    root = tmp_path_factory.mktemp("set")
    files = {}
    for seed, (mode, w, h) in enumerate(forms):
        files[f"{seed}.png"] = encode(picture(mode, (w, h), seed))
        (root / f"{seed}.png").write_bytes(files[f"{seed}.png"])
    settings = {"channels": channels, "fit": fit, "background": "teal"}
    made = pack(root, root / "cache", resolution=[height, width], **settings)
    assert made.shape == (channels, height, width)
    assert made.names == tuple(files)
    geometry = Geometry((height, width), channels, fit, "teal")
    for pixels, content in zip(made.images, files.values(), strict=True):
        assert np.array_equal(pixels, decode(content, geometry))
    assert not made.images.flags.writeable


@pytest.mark.parametrize(
    ("modes", "channels"),
    [(["L", "1", "LA", "I;16"], 1), (["L", "RGB"], 3), (["RGBA", "RGB"], 3), (["P", "L"], 3)],
)
def test_automatic_channels(tmp_path: Path, modes: list[str], channels: Any) -> None:
    for seed, mode in enumerate(modes):
        (tmp_path / f"{seed}.png").write_bytes(encode(picture(mode, seed=seed)))
    assert pack(tmp_path, tmp_path / "cache").shape[0] == channels


def test_one_colour_picture_that_the_survey_misses_makes_the_pack_colour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "SURVEY", 2)
    monkeypatch.setattr(chunks, "_CHUNK_ROWS", 2)
    fill_folder(tmp_path, [f"{i}.png" for i in range(9)], mode="L")
    (tmp_path / "7.png").write_bytes(encode(picture("RGB")))
    made = pack(tmp_path, tmp_path / "cache", resolution=16)
    assert made.images.shape == (9, 16, 16, 3)
    assert (made.images[0, ..., 0] == made.images[0, ..., 2]).all()
    assert (made.images[7, ..., 0] != made.images[7, ..., 2]).any()


def test_threads_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "_CHUNK_ROWS", 3)
    fill_folder(tmp_path, [f"{i:02}.png" for i in range(40)], mode="L")
    (tmp_path / "20.png").write_bytes(b"")
    (tmp_path / "31.png").write_bytes(encode(picture("RGB")))
    packs = []
    for tiny in (0, 10**9):  # every chunk on a thread, none on a thread
        monkeypatch.setattr(chunks, "_TINY", tiny)
        packs.append(pack(tmp_path, tmp_path / f"cache{tiny}"))
    assert packs[0].fingerprint == packs[1].fingerprint
    assert packs[0].names == packs[1].names == tuple(f"{i:02}.png" for i in range(40) if i != 20)


@pytest.mark.parametrize(
    ("sides", "chosen"),
    [
        ([5, 6], 16),
        ([16, 17], 16),
        ([27, 27], 24),
        ([28, 28], 28),
        ([1000, 2000], 64),
        ([20, 64], 40),
    ],
)
def test_automatic_resolution_is_the_usual_one_that_the_median_picture_fills(
    tmp_path: Path, sides: list[int], chosen: int
) -> None:
    for index, side in enumerate(sides):
        image = Image.new("L", (side, side + 9) if index % 2 else (side + 9, side))
        (tmp_path / f"{index}.png").write_bytes(encode(image))
    assert pack(tmp_path, tmp_path / "cache").shape == (1, chosen, chosen)


def test_labels_stay_with_their_pictures_when_some_are_skipped(tmp_path: Path) -> None:
    fill_folder(tmp_path, ["a/0.png", "a/1.png", "b/2.png", "b/3.png", "c/4.png"])
    (tmp_path / "a/1.png").write_bytes(b"")
    (tmp_path / "b/2.png").write_bytes(b"no picture")
    made = pack(tmp_path, tmp_path / "cache", resolution=16)
    assert made.names == ("a/0.png", "b/3.png", "c/4.png")
    assert labels_of(made).tolist() == [0, 1, 2]
    assert made.classes == ("a", "b", "c")
    assert [(p.name, p.kind) for p in made.skipped] == [
        ("a/1.png", "empty"),
        ("b/2.png", "not an image"),
    ]


def test_a_subset_is_random_but_always_the_same_and_keeps_the_classes_in_proportion(
    tmp_path: Path,
) -> None:
    images = [encode(picture("L", (4, 4), seed)) for seed in range(10)] * 40
    write_parquet(tmp_path / "a.parquet", images, sorted([0, 1] * 200), ["x", "y"])
    first = pack(tmp_path / "a.parquet", tmp_path / "cache", images=100, resolution=4)
    again = pack(tmp_path / "a.parquet", tmp_path / "other", images=100, resolution=4)
    assert len(first) == 100
    assert first.names == again.names
    assert first.fingerprint == again.fingerprint
    assert 35 <= labels_of(first).sum() <= 65  # the first hundred rows are all of class x
    assert len(pack(tmp_path / "a.parquet", tmp_path / "cache", images=1000, resolution=4)) == 400


def test_the_same_pictures_in_a_folder_a_zip_and_parquet_have_one_fingerprint(
    tmp_path: Path,
) -> None:
    names = [f"{c}/{i}.png" for c in "xy" for i in range(3)]
    root = fill_folder(tmp_path / "set", names)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.write(root / name, name)
    contents = [(root / name).read_bytes() for name in names]
    write_parquet(tmp_path / "a.parquet", contents, [0, 0, 0, 1, 1, 1], ["x", "y"])
    packs = [
        pack(source, tmp_path / "cache", resolution=16)
        for source in (root, tmp_path / "a.zip", tmp_path / "a.parquet")
    ]
    assert len({made.fingerprint for made in packs}) == 1
    assert len({made.folder for made in packs}) == 3
    other = pack(root, tmp_path / "cache", resolution=16, fit="pad")
    assert other.fingerprint != packs[0].fingerprint


def test_avatars(tmp_path: Path) -> None:
    made = pack("avatars:glasses", tmp_path, images=40, resolution="16x24")
    assert made.images.shape == (40, 16, 24, 3)
    assert len(labels_of(made)) == 40
    assert len(made.classes) == labels_of(made).max() + 1
    grey = pack("avatars", tmp_path, images=5, resolution=16, channels=1)
    luma = np.asarray(
        Image.fromarray(pack("avatars", tmp_path, images=5, resolution=16).images[2]).convert("L")
    )
    assert np.abs(grey.images[2, ..., 0].astype(int) - luma).max() <= 1
    alpha = pack("avatars", tmp_path, images=5, resolution=16, channels=4)
    assert (alpha.images[..., 3] == 255).all()
    assert pack("avatars", tmp_path, images=4).shape == (3, 48, 48)


def test_toys(tmp_path: Path) -> None:
    made = pack("ring", tmp_path, images=300)
    assert made.images.shape == (300, 2)
    assert made.images.dtype == np.float32
    assert made.shape == (2,)
    assert len(made.classes) == 8
    assert pack("swiss-roll", tmp_path, images=30).labels is None
    with pytest.raises(ConfigError, match="points of the plane"):
        pack("grid", tmp_path, resolution=32)


# ------------------------------------------------------------------ refusals


def test_more_than_half_unusable_is_an_error_that_names_some(tmp_path: Path) -> None:
    fill_folder(tmp_path, [f"{i}.png" for i in range(4)])
    for i, content in enumerate([b"", b"text", bomb(), encode(picture())[:60], b""]):
        (tmp_path / f"bad{i}.png").write_bytes(content)
    with pytest.raises(DataError, match=r"More than half of the 9.*bad0\.png.*bad1\.png"):
        pack(tmp_path, tmp_path / "cache")
    (tmp_path / "bad4.png").unlink()
    made = pack(tmp_path, tmp_path / "cache")
    assert len(made) == len(made.skipped) == 4


def test_one_picture_is_not_enough(tmp_path: Path) -> None:
    fill_folder(tmp_path, ["a.png"])
    with pytest.raises(DataError, match="only one picture"):
        pack(tmp_path, tmp_path / "cache")
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"only one picture.*b\.png"):
        pack(tmp_path, tmp_path / "cache")


def test_nothing_is_left_behind_by_a_failure(tmp_path: Path) -> None:
    fill_folder(tmp_path / "set", ["a.png"])
    with pytest.raises(DataError):
        pack(tmp_path / "set", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


# ------------------------------------------------------------------ the cache


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return fill_folder(tmp_path / "set", [f"{i}.png" for i in range(6)])


def test_a_second_opening_decodes_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pack(source, tmp_path / "cache")
    monkeypatch.setattr(packing, "decode", None)
    again = pack(source, tmp_path / "cache", flip=True)
    assert again.folder == first.folder
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.images, first.images)


def test_changed_files_are_packed_again(source: Path, tmp_path: Path) -> None:
    before = pack(source, tmp_path / "cache", resolution=16)
    (source / "3.png").write_bytes(encode(picture(seed=99)))
    os.utime(source / "3.png", ns=(0, time.time_ns() + 10**9))
    after = pack(source, tmp_path / "cache", resolution=16)
    assert not np.array_equal(after.images[3], before.images[3])
    assert after.fingerprint != before.fingerprint


@pytest.mark.parametrize("damage", ["cut", "index", "gone", "other"])
def test_a_damaged_pack_is_made_again(source: Path, tmp_path: Path, damage: str) -> None:
    made = pack(source, tmp_path / "cache")
    expected, folder = made.images.copy(), made.folder
    del made
    if damage == "cut":
        os.truncate(folder / "images.npy", 500)
    elif damage == "index":
        (folder / "index.json").write_text('{"format": 1')
    elif damage == "other":
        np.save(folder / "images.npy", expected[:3])
    else:
        (folder / "images.npy").unlink()
    assert np.array_equal(pack(source, tmp_path / "cache").images, expected)


def test_what_killed_packings_left_is_swept_after_a_day(source: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name, age in ((".packing-old", 90_000), (".packing-now", 0)):
        (cache / name).mkdir(parents=True)
        (cache / name / "images.npy").write_bytes(b"x")
        os.utime(cache / name, (time.time() - age,) * 2)
    pack(source, cache)
    assert sorted(p.name for p in cache.glob(".*")) == [".packing-now"]


def _pack_in_process(source: Path, cache: Path) -> str:
    return pack(source, cache, resolution=64).fingerprint


def packs(cache: Path) -> list[Path]:
    """The folders in a cache, without the links under which some are also found."""
    return [path for path in cache.iterdir() if not path.is_symlink()]


def test_a_pack_is_found_by_what_it_decided(tmp_path: Path) -> None:
    """A run's config.yaml names the resolution and channels: its resume must not pack again."""
    source = fill_folder(tmp_path / "set", ["0.png", "1.png"])
    config = DataConfig(source=str(source))
    made = open_pack(config, cache=tmp_path / "cache")
    assert made.decided(config) != config
    found = find_pack(made.decided(config), cache=tmp_path / "cache")
    assert found is not None
    assert found.fingerprint == made.fingerprint


@pytest.mark.parametrize("damage", ["deleted", "damaged"])
def test_a_pack_that_is_gone_is_made_again_under_both_names(tmp_path: Path, damage: str) -> None:
    source = fill_folder(tmp_path / "set", ["0.png", "1.png"])
    config = DataConfig(source=str(source))
    made = open_pack(config, cache=tmp_path / "cache")
    if damage == "deleted":
        shutil.rmtree(made.folder)
    else:
        (made.folder / "index.json").write_text("{")
    again = open_pack(made.decided(config), cache=tmp_path / "cache")
    assert again.fingerprint == made.fingerprint
    assert open_pack(config, cache=tmp_path / "cache").fingerprint == made.fingerprint


def test_two_processes_may_pack_at_once(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "set", [f"{i}.png" for i in range(60)])
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        jobs = [(source, tmp_path / "cache")] * 2
        prints = pool.starmap(_pack_in_process, jobs, chunksize=1)
    assert prints == [_pack_in_process(source, tmp_path / "cache")] * 2
    assert len(packs(tmp_path / "cache")) == 1


def test_the_second_of_two_writers_keeps_the_pack_of_the_first(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rival finishes while this process is still decoding."""
    original = decode
    rival: list[Any] = []

    def decode_after_rival(*args: Any, **kwargs: Any) -> Any:
        if not rival:
            rival.append(None)
            rival[0] = pack(source, tmp_path / "cache")
        return original(*args, **kwargs)

    monkeypatch.setattr(packing, "decode", decode_after_rival)
    mine = pack(source, tmp_path / "cache")
    assert rival[0].folder == mine.folder
    assert np.array_equal(mine.images, rival[0].images)
    assert len(packs(tmp_path / "cache")) == 1


def _pack_and_die(source: Path, cache: Path) -> None:
    rows = 0
    append = ArrayWriter.append

    def dying(self: ArrayWriter, pixels: Any) -> None:
        nonlocal rows
        rows += len(pixels)
        append(self, pixels)
        os.kill(os.getpid(), signal.SIGKILL)

    ArrayWriter.append = dying  # type: ignore[assignment, method-assign]
    pack(source, cache)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_kill_while_packing_leaves_nothing_that_is_taken_for_a_pack(
    source: Path, tmp_path: Path
) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_pack_and_die, args=(source, tmp_path / "cache")
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert [p.name[:9] for p in (tmp_path / "cache").iterdir()] == [".packing-"]
    assert len(pack(source, tmp_path / "cache")) == 6


def test_an_unwritable_cache_is_explained(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="GANVAS_CACHE"):
        pack(source, tmp_path / "file")


def test_a_full_disk_is_explained_and_cleaned_up(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: ArrayWriter, rows: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ArrayWriter, "append", full)
    with pytest.raises(DataError, match="No space left"):
        pack(source, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("GANVAS_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ganvas"


def test_the_index_can_be_read_by_people_and_numpy(source: Path, tmp_path: Path) -> None:
    made = pack(source, tmp_path / "cache")
    index = json.loads((made.folder / "index.json").read_text())
    assert index["shape"] == [6, 28, 28, 3]
    assert index["settings"] == {
        "resolution": [28, 28],
        "channels": 3,
        "fit": "crop",
        "background": "white",
    }
    moved = shutil.copy(made.folder / "images.npy", tmp_path)
    assert np.array_equal(np.load(moved), made.images)


# ------------------------------------------------------------------ real sets


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data sets are not here")
def test_real_sets(tmp_path: Path) -> None:
    cifar = pack(SHARED / "cifar10/test.parquet", tmp_path, images=500)
    assert cifar.images.shape == (500, 32, 32, 3)
    assert cifar.classes[:2] == ("airplane", "automobile")
    assert np.bincount(labels_of(cifar)).min() > 30
    mnist = pack(SHARED / "mnist/test.parquet", tmp_path, images=500)
    assert mnist.images.shape == (500, 28, 28, 1)
    facades = pack(SHARED / "facades.zip", tmp_path, images=50, resolution="32x64")
    assert facades.images.shape == (50, 32, 64, 3)
    assert facades.labels is None
