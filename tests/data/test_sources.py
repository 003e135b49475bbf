import os
import stat
import struct
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganvas.data import archives, decoding, sources, tables
from ganvas.data import hub as hub_module
from ganvas.data.decoding import PictureError
from ganvas.data.folders import classify
from ganvas.data.generated import AvatarSource, DigitSource
from ganvas.data.source_types import Encoded, PictureSource
from ganvas.data.sources import open_source
from ganvas.errors import DataError
from tests.data.making import encode, fill_folder, picture, write_parquet


def pictures(name: object) -> PictureSource:
    source = open_source(str(name))
    assert isinstance(source, PictureSource)
    return source


def labels_of(source: PictureSource) -> list[int] | None:
    labels = source.listing.labels
    return None if labels is None else labels.tolist()


def read_all(source: PictureSource) -> list[Encoded]:
    return list(source.read(np.arange(len(source))))


def write_zip(path: Path, entries: Mapping[str, str | bytes], compression: int = 0) -> str:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return str(path)


PNG = encode(picture())


# ------------------------------------------------------------------ names that lead nowhere


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("avatar", "'avatars'"),
        ("swissroll", "'swiss-roll'"),
        ("no/such/folder", "does not exist"),
        ("avatars:glases", "'glasses'"),
        ("avatars:turn", "no attribute 'turn'"),
        ("ring:glasses", "only avatars"),
    ],
)
def test_unknown_sources_offer_the_nearest_name(name: str, part: str) -> None:
    with pytest.raises(DataError, match=part):
        open_source(name)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"x")
    with pytest.raises(DataError, match=r"neither a \.zip nor a \.parquet"):
        open_source(str(tmp_path / "a.tar"))


# ------------------------------------------------------------------ folders


def test_classes_are_the_first_sub_folders(tmp_path: Path) -> None:
    fill_folder(tmp_path, ["dog/a.png", "cat/b.PNG", "cat/deep/c.jpeg"])
    source = pictures(tmp_path)
    assert source.listing.names == ("cat/b.PNG", "cat/deep/c.jpeg", "dog/a.png")
    assert source.listing.classes == ("cat", "dog")
    assert labels_of(source) == [0, 0, 1]
    assert read_all(source)[2].content == (tmp_path / "dog/a.png").read_bytes()


@pytest.mark.parametrize(
    ("names", "classes", "labels"),
    [
        (["a.png", "b.png"], (), None),
        (["x/a.png", "b.png"], (), None),
        (["x/a.png", "x/b.png"], (), None),
        (["set/x/a.png", "set/y/b.png"], ("x", "y"), [0, 1]),
        (["train/a.png", "test/b.png"], (), None),
        (["train/x/a.png", "Test/x/b.png", "train/y/c.png"], ("x", "y"), [0, 0, 1]),
        ([], (), None),
    ],
)
def test_how_names_become_classes(
    names: list[str], classes: tuple[str, ...], labels: list[int] | None
) -> None:
    found = classify(names)
    assert found.names == classes
    assert (found.labels.tolist() if found.labels is not None else None) == labels


def test_splits_and_loose_pictures_are_mentioned() -> None:
    assert "test, train are used together" in classify(["train/a.png", "test/b.png"]).notes[0]
    assert "1 of 2 pictures" in classify(["x/a.png", "b.png"]).notes[0]


@given(st.lists(st.sampled_from(["a", "b", "train", "c/d", "test/a", ""]), max_size=8))
def test_labels_exist_for_all_or_for_none(folders: list[str]) -> None:
    names = [f"{folder}/{i}.png".lstrip("/") for i, folder in enumerate(folders)]
    found = classify(names)
    if found.labels is None:
        assert found.names == ()
    else:
        assert set(found.labels.tolist()) == set(range(len(found.names)))
        assert len(found.labels) == len(names)


def test_junk_is_silent_and_other_files_are_counted(tmp_path: Path) -> None:
    fill_folder(tmp_path, ["a.png", "b.png"])
    for name in (".DS_Store", "Thumbs.db", ".hidden/c.png", "__MACOSX/d.png", "desktop.ini"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    for name in ("labels.csv", "notes.txt"):
        (tmp_path / name).write_text("x")
    listing = pictures(tmp_path).listing
    assert listing.names == ("a.png", "b.png")
    assert listing.ignored == 2
    assert listing.refused == ()


def test_empty_folders_and_folders_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is empty"):
        open_source(str(tmp_path))
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="1 file, none of them a picture"):
        open_source(str(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_followed_inside_of_the_folder_only(tmp_path: Path) -> None:
    fill_folder(tmp_path / "outside", ["secret.png"])
    root = fill_folder(tmp_path / "set", ["a.png"])
    (root / "inside.png").symlink_to(root / "a.png")
    (root / "out.png").symlink_to(tmp_path / "outside/secret.png")
    (root / "nowhere.png").symlink_to(root / "missing.png")
    (root / "round.png").symlink_to(root / "round.png")
    (root / "folder").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "pipe.png")
    listing = pictures(root).listing
    assert listing.names == ("a.png", "inside.png")
    assert {p.name: p.kind for p in listing.refused} == {
        "out.png": "link",
        "nowhere.png": "link",
        "round.png": "link",
        "folder": "link",
        "pipe.png": "unreadable",
    }
    (tmp_path / "link to set").symlink_to(root)
    assert len(pictures(tmp_path / "link to set")) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_hostile_file_names_are_shown_harmlessly(tmp_path: Path) -> None:
    fill_folder(tmp_path, ["a.png"])
    (tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"\x1b[31m\xff.png"))
    source = pictures(tmp_path)
    assert source.listing.names == ("\ufffd[31m\ufffd.png",)
    assert isinstance(read_all(source)[0].content, bytes)


def test_files_that_are_too_large_are_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_folder(tmp_path, ["a.png", "b.png"])
    monkeypatch.setattr("ganvas.data.folders.MAX_BYTES", 10)
    contents = [encoded.content for encoded in read_all(pictures(tmp_path))]
    assert all(isinstance(c, PictureError) and c.kind == "too large" for c in contents)


def test_a_file_that_vanishes_is_a_problem_of_that_file(tmp_path: Path) -> None:
    fill_folder(tmp_path, ["a.png", "b.png"])
    source = pictures(tmp_path)
    (tmp_path / "a.png").unlink()
    first, second = read_all(source)
    assert isinstance(first.content, PictureError)
    assert isinstance(second.content, bytes)


def test_the_identity_follows_the_files(tmp_path: Path) -> None:
    fill_folder(tmp_path, ["a.png", "b.png"])
    before = pictures(tmp_path).identity
    assert pictures(tmp_path).identity == before
    os.utime(tmp_path / "a.png", ns=(1, 1))
    touched = pictures(tmp_path).identity
    assert touched != before
    (tmp_path / "b.png").rename(tmp_path / "c.png")
    assert pictures(tmp_path).identity not in (before, touched)


# ------------------------------------------------------------------ archives


def test_a_zip_is_read_like_a_folder(tmp_path: Path) -> None:
    entries: dict[str, str | bytes] = {
        "x/b.png": PNG,
        "x/a.jpg": b"",
        "y/c.png": PNG,
        "notes.txt": "x",
        "in.zip": PNG,
    }
    entries |= {"__MACOSX/x/._b.png": b"x", "x/.hidden.png": PNG}
    name = write_zip(tmp_path / "a.zip", entries, compression=zipfile.ZIP_DEFLATED)
    source = pictures(name)
    assert source.listing.names == ("x/a.jpg", "x/b.png", "y/c.png")
    assert source.listing.classes == ("x", "y")
    assert source.listing.ignored == 2
    assert [encoded.content for encoded in read_all(source)] == [b"", PNG, PNG]
    assert [e.index for e in source.read(np.array([0, 2]))] == [0, 2]


@pytest.mark.parametrize(
    "name", ["../a.png", "x/../../a.png", "/etc/a.png", "C:/a.png", "..\\a.png", "\\\\host\\a.png"]
)
def test_names_that_lead_outside_condemn_the_archive(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "a.zip", {"ok.png": PNG, "ok2.png": PNG, name: PNG})
    with pytest.raises(DataError, match="leads outside"):
        open_source(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]


def test_bombs_in_archives_are_refused_unread(tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "a.zip",
        {"a.png": PNG, "b.bmp": bytes(archives.SMALL + 1)},
        compression=zipfile.ZIP_DEFLATED,
    )
    with pytest.raises(DataError, match=r"bomb: its entry 'b\.bmp'"):
        open_source(path)


def test_many_small_entries_that_make_a_bomb_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "SMALL_TOTAL", 2**20)
    entries = {f"{i}.bmp": bytes(2**19) for i in range(8)}
    path = write_zip(tmp_path / "a.zip", entries, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="bomb: it would grow"):
        open_source(path)


def test_a_header_that_lies_about_the_size_gains_nothing(tmp_path: Path) -> None:
    """The declared size is cut from 1 MiB to 100 bytes, in both headers."""
    path = tmp_path / "a.zip"
    write_zip(path, {"a.png": bytes(2**20), "b.png": PNG}, compression=zipfile.ZIP_DEFLATED)
    content = path.read_bytes().replace(struct.pack("<I", 2**20), struct.pack("<I", 100))
    path.write_bytes(content)
    first, second = read_all(pictures(path))
    assert isinstance(first.content, PictureError)
    assert first.content.kind == "truncated"
    assert second.content == PNG


def test_reading_an_entry_is_bounded_whatever_its_header_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.png": bytes(5000), "b.png": PNG[:50]})
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    first, second = read_all(pictures(path))
    assert isinstance(first.content, PictureError)
    assert first.content.kind == "too large"
    assert second.content == PNG[:50]


def test_methods_that_inflate_without_bound_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", PNG)
        archive.writestr("b.png", PNG, zipfile.ZIP_BZIP2)
        archive.writestr("c.png", PNG, zipfile.ZIP_LZMA)
    listing = pictures(path).listing
    assert listing.names == ("a.png",)
    assert [p.name for p in listing.refused] == ["b.png", "c.png"]


def test_encrypted_archives_are_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, {"a.png": PNG})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the local header ...
    content[content.index(b"PK\x01\x02") + 8] |= 1  # ... and in the directory
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        open_source(str(path))


def test_damaged_and_empty_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(DataError, match="cannot be read as a ZIP"):
        open_source(str(path))
    write_zip(path, {"notes.txt": "x", "inner.zip": PNG})
    with pytest.raises(DataError, match="holds no pictures"):
        open_source(str(path))


def test_the_identity_of_an_archive_follows_its_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, {"a.png": PNG})
    os.utime(path, ns=(1, 1))
    identities = {pictures(path).identity, pictures(path).identity}
    assert len(identities) == 1
    os.utime(path, ns=(1, 2))
    identities.add(pictures(path).identity)
    write_zip(path, {"a.png": PNG, "b.png": PNG})
    os.utime(path, ns=(1, 1))
    identities.add(pictures(path).identity)
    assert len(identities) == 3


def test_a_corrupt_entry_is_a_problem_of_that_entry(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, {"a.png": b"A" * 500, "b.png": PNG})
    path.write_bytes(path.read_bytes().replace(b"A" * 500, b"A" * 499 + b"B"))
    first, second = read_all(pictures(path))
    assert isinstance(first.content, PictureError)
    assert second.content == PNG


def test_permissions_in_archives_mean_nothing(tmp_path: Path) -> None:
    """An entry marked as a symbolic link is bytes like any other."""
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.png", PNG)
    contents = [e.content for e in read_all(pictures(tmp_path / "a.zip"))]
    assert contents == [PNG, b"/etc/passwd"]


# ------------------------------------------------------------------ Parquet

parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs the hub extra")


def contents(count: int) -> list[bytes]:
    return [encode(picture(seed=seed, size=(8, 8))) for seed in range(count)]


@pytest.mark.parametrize("rows_per_group", [1, 7, 1000])
def test_parquet_with_class_labels(tmp_path: Path, rows_per_group: int) -> None:
    images = contents(150)
    labels = [i % 3 for i in range(150)]
    write_parquet(tmp_path / "a.parquet", images, labels, ["x", "y", "z"], rows_per_group)
    source = pictures(tmp_path / "a.parquet")
    assert source.listing.classes == ("x", "y", "z")
    assert labels_of(source) == labels
    assert [e.content for e in read_all(source)] == images
    some = np.array([0, 1, 63, 64, 65, 149])
    assert [(e.index, e.content) for e in source.read(some)] == [(i, images[i]) for i in some]


def test_a_folder_of_shards_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    images = contents(9)
    for shard in (2, 0, 1):
        part = slice(3 * shard, 3 * shard + 3)
        write_parquet(
            tmp_path / f"train-{shard}.parquet", images[part], [shard] * 3, ["a", "b", "c"]
        )
    source = pictures(tmp_path)
    assert [e.content for e in read_all(source)] == images
    assert labels_of(source) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert source.listing.names[3] == "train-1.parquet#0"
    chosen = list(source.read(np.array([2, 3, 8])))
    assert [e.content for e in chosen] == [images[i] for i in (2, 3, 8)]
    assert "3 Parquet files" in source.listing.notes[0]


def test_shards_of_different_sets_are_not_mixed(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", contents(2), [0, 0], ["a"])
    write_parquet(tmp_path / "b.parquet", contents(2), [0, 0], ["b"])
    with pytest.raises(DataError, match="differ in their columns"):
        open_source(str(tmp_path))


def test_parquet_without_metadata(tmp_path: Path) -> None:
    import pyarrow as arrow

    images = contents(3)
    table = arrow.table({"text": ["a", "b", "c"], "png": images, "label": ["cat", "dog", "cat"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    source = pictures(tmp_path / "a.parquet")
    assert [e.content for e in read_all(source)] == images
    assert source.listing.classes == ("cat", "dog")
    assert labels_of(source) == [0, 1, 0]


def test_parquet_without_an_image_column_names_its_columns(tmp_path: Path) -> None:
    import pyarrow as arrow

    parquet.write_table(arrow.table({"text": ["a"], "size": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no image column.*text \(string\), size \(int64\)"):
        open_source(str(tmp_path / "a.parquet"))


def test_rows_without_bytes_are_problems_of_those_rows(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [PNG, None, PNG], [0, 1, 0], ["x", "y"])
    kinds = [type(e.content) for e in read_all(pictures(tmp_path / "a.parquet"))]
    assert kinds == [bytes, PictureError, bytes]


def test_test_splits_without_classes_are_unlabelled(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", contents(2), [-1, -1], ["x", "y"])
    listing = pictures(tmp_path / "a.parquet").listing
    assert listing.labels is None
    assert listing.classes == ()
    assert "no class" in listing.notes[0]


def test_damaged_parquet(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", contents(3))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        open_source(str(path))


def test_parquet_that_is_damaged_in_the_middle(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", contents(50), [0] * 50, ["x"])
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)  # the first page; the footer with the schema stays whole
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_all(pictures(path))


def test_large_pictures_in_parquet_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "a.parquet", contents(2))
    monkeypatch.setattr(tables, "MAX_BYTES", 10)
    assert all(
        isinstance(e.content, PictureError) for e in read_all(pictures(tmp_path / "a.parquet"))
    )


def test_missing_pyarrow_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "a.parquet", contents(2))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match=r"pip install pyarrow"):
        open_source(str(tmp_path / "a.parquet"))


# ------------------------------------------------------------------ the hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """`datasets`, with a local Parquet file in place of the hub."""
    datasets = pytest.importorskip("datasets", reason="the hub extra is not installed")
    images = contents(5)
    path = write_parquet(tmp_path / "a.parquet", images, [0, 1, 0, 1, 1], ["cat", "dog"])
    load = datasets.load_dataset

    def load_dataset(name: str, split: str) -> Any:
        if name != "someone/pets" or split not in ("train", "test"):
            raise FileNotFoundError(f"Couldn't find {name} on the Hub\nand more lines")
        return load(
            "parquet", data_files={split: str(path)}, split=split, cache_dir=str(tmp_path / "hub")
        )

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    datasets.disable_progress_bars()
    return images


def test_hub_data_sets_are_read_undecoded(hub: list[bytes]) -> None:
    source = pictures("hf:someone/pets")
    assert [e.content for e in read_all(source)] == hub
    assert source.listing.classes == ("cat", "dog")
    assert labels_of(source) == [0, 1, 0, 1, 1]
    assert [e.content for e in source.read(np.array([1, 4]))] == [hub[1], hub[4]]
    assert pictures("hf:someone/pets").identity == source.identity
    assert pictures("hf:someone/pets:test").listing.names[0] == "someone/pets:test#0"


def test_hub_failures_are_one_clear_line(hub: list[bytes]) -> None:
    for name in ("hf:someone/nothing", "hf:someone/pets:validation"):
        with pytest.raises(DataError, match="cannot be loaded: Couldn't find") as caught:
            open_source(name)
        assert "\n" not in str(caught.value)


def test_a_hub_row_cannot_name_a_file_outside_of_the_cache(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the hub extra is not installed")
    private = tmp_path / "private.png"
    private.write_bytes(encode(picture()))
    for path in (private, Path("/dev/zero"), tmp_path / "absent.png"):
        content = hub_module._hub_bytes({"bytes": None, "path": str(path)})
        assert not isinstance(content, bytes)


def test_a_parquet_of_one_huge_value_is_not_inflated_many_times_over(tmp_path: Path) -> None:
    """A dictionary stores a value once, however many rows hold it."""
    path = write_parquet(tmp_path / "zeros.parquet", [bytes(12 * 2**20)] * 40)
    assert path.stat().st_size < 2**20
    import pyarrow.parquet as parquet

    group = parquet.ParquetFile(path).metadata.row_group(0)
    assert tables._rows_at_once(group, "image") * 12 * 2**20 <= tables._BYTES_AT_ONCE
    with pytest.raises(ValueError, match="as bombs do"):
        tables._rows_at_once(FakeGroup(300 * 2**20, 1000), "image")


class FakeGroup:
    """Of one column that grows from `compressed` to `size` bytes."""

    num_columns = 1
    path_in_schema = "image.bytes"

    def __init__(self, size: int, compressed: int) -> None:
        self.total_uncompressed_size, self.total_compressed_size = size, compressed

    def column(self, i: int) -> "FakeGroup":
        return self


def test_short_names_lead_to_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(sources, "open_hub", asked.append)
    open_source("mnist")
    open_source("cifar10:test")
    assert asked == [sources.HUB_NAMES["mnist"], sources.HUB_NAMES["cifar10"] + ":test"]


# ------------------------------------------------------------------ built-ins


def test_avatars_are_labelled_by_an_attribute() -> None:
    plain, glasses = open_source("avatars"), open_source("avatars:glasses")
    assert isinstance(plain, AvatarSource)
    assert isinstance(glasses, AvatarSource)
    assert plain.identity != glasses.identity
    assert "none" in glasses.classes
    labels = glasses.labels(range(200))
    some = glasses.labels(range(50, 60))
    assert labels is not None
    assert some is not None
    assert set(labels.tolist()) == set(range(len(glasses.classes)))
    assert np.array_equal(labels[50:60], some)
    assert np.array_equal(plain.draw(range(3, 5), (16, 24)), glasses.draw(range(3, 5), (16, 24)))


def test_digits_are_pictures_like_any_other() -> None:
    pytest.importorskip("sklearn", reason="the digits extra is not installed")
    source = open_source("digits")
    assert isinstance(source, DigitSource)
    assert len(source) == 1797
    assert len(source.listing.classes) == 10
    [seventh] = source.read(np.array([7]))
    assert isinstance(seventh.content, bytes)
    pixels = decoding.decode(seventh.content, decoding.Geometry((8, 8), 1, "crop", "white"))
    assert np.array_equal(pixels, source._images[7])
