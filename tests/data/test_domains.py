"""Two domains: where they may be, which of their pictures are pairs, and what is refused."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas.data import DataConfig, Pack, find_pack, open_pack
from ganvas.data.builtin import avatars
from ganvas.data.domains import open_domains
from ganvas.data.inspect import inspect_domains
from ganvas.errors import ConfigError, DataError
from tests.data.making import SHARED, encode, fill_folder, picture, write_table


def pack(place: Path, *, needs_pairs: bool | None = None, **values: Any) -> Pack:
    config = DataConfig.parse({"resolution": 16, **values})
    return open_pack(config, cache=place / "cache", progress=False, needs_pairs=needs_pairs)


def plain(path: Path, grey: int, size: tuple[int, int] = (20, 20)) -> None:
    """A picture of one grey level, so that it can be told from others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, grey).save(path)


def levels(pack: Pack) -> list[int]:
    found: list[int] = pack.images[:, 8, 8, 0].tolist()
    return found


@pytest.fixture
def two_folders(tmp_path: Path) -> tuple[Path, Path]:
    """Pairs (10 i, 10 i + 1) under names that sort differently in both."""
    first, second = tmp_path / "photos", tmp_path / "maps"
    names = ["a.png", "B.png", "c/d.png", "c/E.png", "f.png"]
    others = ["A.bmp", "b.png", "C/D.tif", "c/e.png", "f.jpg"]
    for i, (name, other) in enumerate(zip(names, others, strict=True)):
        plain(first / "train" / name, 10 * i)
        plain(second / other, 10 * i + 1)
    return first, second


def test_two_folders_are_paired_by_name(tmp_path: Path, two_folders: tuple[Path, Path]) -> None:
    first, second = two_folders
    both = pack(tmp_path, source=str(first), target=str(second), needs_pairs=True)
    assert both.paired
    assert both.target is not None
    assert sorted(levels(both)) == [0, 10, 20, 30, 40]
    assert [level + 1 for level in levels(both)] == levels(both.target)
    assert both.target.names[0].casefold()[0] == both.names[0].removeprefix("train/").casefold()[0]


def test_a_zip_and_a_folder_are_paired_by_name(
    tmp_path: Path, two_folders: tuple[Path, Path]
) -> None:
    first, second = two_folders
    with zipfile.ZipFile(tmp_path / "maps.zip", "w") as archive:
        for path in sorted(second.rglob("*.*"), reverse=True):
            archive.write(path, f"any/{path.relative_to(second)}")
    both = pack(tmp_path, source=str(first), target=str(tmp_path / "maps.zip"), needs_pairs=True)
    assert both.target is not None
    assert [level + 1 for level in levels(both)] == levels(both.target)


def test_files_without_partner_are_named(tmp_path: Path, two_folders: tuple[Path, Path]) -> None:
    first, second = map(str, two_folders)
    (two_folders[1] / "f.jpg").rename(two_folders[1] / "g.jpg")
    for _ in range(2):  # the second time with a pack for models that need no pairs
        with pytest.raises(DataError) as caught:
            pack(tmp_path, source=first, target=second, needs_pairs=True)
        message = str(caught.value)
        assert f"1 of the 5 pictures in {first} have no partner" in message
        assert "train/f.png" in message
        assert "g.jpg" in message
        assert "cyclegan" in message
        loose = pack(tmp_path, source=first, target=second, needs_pairs=False)
        assert not loose.paired
        assert loose.target is not None
        assert len(loose) == len(loose.target) == 5


def test_counts_that_differ_are_fine_without_pairs(tmp_path: Path) -> None:
    fill_folder(tmp_path / "a", [f"{i}.png" for i in range(6)])
    fill_folder(tmp_path / "b", [f"{i}.png" for i in range(4)], mode="L")
    both = pack(tmp_path, source=str(tmp_path / "a"), target=str(tmp_path / "b"))
    assert both.target is not None
    assert (both.shape, both.target.shape) == ((3, 16, 16), (1, 16, 16))
    assert (len(both), len(both.target), both.paired) == (6, 4, False)
    with pytest.raises(DataError, match="no partner"):
        pack(tmp_path, source=str(tmp_path / "a"), target=str(tmp_path / "b"), needs_pairs=True)


def test_two_pictures_of_one_name_are_no_pair(tmp_path: Path) -> None:
    fill_folder(tmp_path / "a", ["x.png", "x.bmp", "y.png"])
    fill_folder(tmp_path / "b", ["x.png", "y.png"])
    with pytest.raises(DataError, match="more than one picture called x"):
        pack(tmp_path, source=str(tmp_path / "a"), target=str(tmp_path / "b"), needs_pairs=True)


def test_sizes_that_differ_within_a_pair(tmp_path: Path, two_folders: tuple[Path, Path]) -> None:
    first, second = two_folders
    plain(second / "f.jpg", 41, (30, 20))
    for _ in range(2):
        with pytest.raises(DataError) as caught:
            pack(tmp_path, source=str(first), target=str(second), needs_pairs=True)
        assert f"{first}/train/f.png: 20x20 pixels, but its partner has 30x20" in str(caught.value)
        loose = pack(tmp_path, source=str(first), target=str(second), needs_pairs=False)
        assert not loose.paired
    config = DataConfig.parse({"source": str(first), "target": str(second)})
    report = inspect_domains(config, progress=False)
    assert [problem.name for problem in report.problems] == ["train/f.png"]
    assert report.pairs == 4


@pytest.mark.parametrize("broken", ["photos/train/B.png", "maps/b.png"])
def test_a_pair_with_an_unreadable_half_is_left_out_and_named(
    tmp_path: Path, two_folders: tuple[Path, Path], broken: str
) -> None:
    (tmp_path / broken).write_bytes(b"broken")
    both = pack(tmp_path, source=str(two_folders[0]), target=str(two_folders[1]), needs_pairs=True)
    assert both.target is not None
    assert sorted(levels(both)) == [0, 20, 30, 40]
    assert [level + 1 for level in levels(both)] == levels(both.target)
    assert [problem.name for problem in both.skipped] == [str(tmp_path / broken)]


def test_the_partner_of_a_refused_file_is_left_out(
    tmp_path: Path, two_folders: tuple[Path, Path]
) -> None:
    (two_folders[1] / "b.png").unlink()
    (two_folders[1] / "b.png").symlink_to(tmp_path / "absent.png")
    both = pack(tmp_path, source=str(two_folders[0]), target=str(two_folders[1]), needs_pairs=True)
    assert sorted(levels(both)) == [0, 20, 30, 40]
    assert [problem.kind for problem in both.skipped] == ["link"]


def test_skipped_files_of_both_domains_are_named(tmp_path: Path) -> None:
    for folder in "ab":
        fill_folder(tmp_path / folder, [f"{folder}{i}.png" for i in range(4)])
        (tmp_path / folder / f"{folder}.png").write_bytes(b"")
    both = pack(tmp_path, source=str(tmp_path / "a"), target=str(tmp_path / "b"))
    assert [problem.name for problem in both.skipped] == ["a.png", "b.png"]


@pytest.mark.parametrize("pair", ["AB", "BA"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_halves_side_by_side(tmp_path: Path, pair: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "pairs").mkdir()
    for i in range(3):
        image = Image.new("L", (40, 20), 10 * i)
        image.paste(10 * i + 100, (20, 0, 40, 20))
        if orientation == 6:
            image = image.transpose(Image.Transpose.ROTATE_90)  # which its EXIF undoes
        image.save(tmp_path / "pairs" / f"{i}.png", exif=exif)
    both = pack(tmp_path, source=str(tmp_path / "pairs"), pair=pair, needs_pairs=True)
    assert both.paired
    assert both.target is not None
    left, right = (both, both.target) if pair == "AB" else (both.target, both)
    assert (levels(left), levels(right)) == ([0, 10, 20], [100, 110, 120])
    assert (left.images == left.images[:, :1, :1]).all()  # nothing of the other half
    assert both.shape == (1, 16, 16)


def test_the_resolution_is_that_of_a_half(tmp_path: Path) -> None:
    fill_folder(tmp_path / "pairs", ["a.png", "b.png"], size=(64, 40))
    both = pack(tmp_path, source=str(tmp_path / "pairs"), pair="AB", resolution=None)
    assert both.shape == (3, 32, 32)


def test_jpeg_halves_are_cut_in_the_middle(tmp_path: Path) -> None:
    """Decoded at a half or a quarter, a picture of 1000 pixels could not be cut in the middle."""
    (tmp_path / "pairs").mkdir()
    image = Image.new("L", (1000, 500), 0)
    image.paste(255, (500, 0, 1000, 500))
    for name in "ab":
        image.save(tmp_path / "pairs" / f"{name}.jpg", quality=100)
    both = pack(tmp_path, source=str(tmp_path / "pairs"), pair="AB")
    assert both.target is not None
    assert both.images.max() <= 2
    assert both.target.images.min() >= 253


@pytest.mark.parametrize("needs_pairs", [True, False])
def test_odd_widths_are_refused_by_name(tmp_path: Path, needs_pairs: bool) -> None:
    fill_folder(tmp_path, ["a.png", "b.png", "c.png"], size=(40, 20))
    fill_folder(tmp_path, ["odd.png"], size=(41, 20))
    config: dict[str, Any] = {"source": str(tmp_path), "pair": "AB"}
    with pytest.raises(DataError, match=r"odd\.png: 41 pixels wide"):
        pack(tmp_path, **config, needs_pairs=needs_pairs)
    report = inspect_domains(DataConfig.parse(config), progress=False)
    assert [(p.name, p.kind) for p in report.source.problems] == [("odd.png", "odd width")]
    assert report.pairs == 3
    assert report.source.width is not None
    assert report.source.width.largest == 20


def test_a_grey_side_with_one_colour_picture_becomes_colour_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganvas.data import survey

    monkeypatch.setattr(survey, "SURVEY", 1)
    for folder in "ab":
        fill_folder(tmp_path / folder, ["0.png", "1.png", "2.png"], mode="L")
    fill_folder(tmp_path / "b", ["1.png"])
    both = pack(tmp_path, source=str(tmp_path / "a"), target=str(tmp_path / "b"), needs_pairs=True)
    assert both.target is not None
    assert (both.shape[0], both.target.shape[0]) == (1, 3)
    assert len(both) == len(both.target) == 3


def test_channels_of_each_domain(tmp_path: Path) -> None:
    fill_folder(tmp_path / "pairs", ["a.png", "b.png"])
    values: dict[str, Any] = {"source": str(tmp_path / "pairs"), "pair": "AB", "channels": 1}
    both = pack(tmp_path, **values, target_channels=4)
    assert both.target is not None
    assert (both.shape[0], both.target.shape[0]) == (1, 4)
    decided = both.decided(DataConfig.parse(values))
    assert (decided.channels, decided.target_channels) == (1, 4)
    again = find_pack(decided, cache=tmp_path / "cache")
    assert again is not None
    assert again.fingerprint == both.fingerprint


def test_two_columns_of_a_table_are_pairs(tmp_path: Path) -> None:
    columns = {
        "photo": [encode(Image.new("L", (20, 20), 10 * i)) for i in range(4)],
        "other": [encode(Image.new("L", (20, 20), 7)) for _ in range(4)],
        "sketch": [encode(Image.new("L", (20, 20), 10 * i + 1)) for i in range(4)],
    }
    table = str(write_table(tmp_path / "t.parquet", columns))
    both = pack(tmp_path, source=table, domains="sketch, photo", needs_pairs=True)
    assert both.target is not None
    assert (levels(both), levels(both.target)) == ([1, 11, 21, 31], [0, 10, 20, 30])
    assert levels(pack(tmp_path, source=table)) == [0, 10, 20, 30]
    with pytest.raises(DataError, match=r"no image column 'sktech'\. Did you mean 'sketch'"):
        pack(tmp_path, source=table, domains="photo,sktech")
    labelled = write_table(tmp_path / "l.parquet", columns, [0, 0, 1, 1], ["cat", "dog"])
    with pytest.raises(DataError, match="an image column and a class"):
        pack(tmp_path, source=str(labelled), domains="photo,cat")


def test_two_classes_are_domains_without_pairs(tmp_path: Path) -> None:
    names = [f"{animal}/{i}.png" for animal in ("horse", "lion", "zebra") for i in range(3)]
    for i, name in enumerate([*names, "zebra/3.png"]):
        plain(tmp_path / "animals" / name, 10 * i)
    both = pack(tmp_path, source=str(tmp_path / "animals"), domains="zebra,horse")
    assert both.target is not None
    assert (levels(both), levels(both.target)) == ([60, 70, 80, 90], [0, 10, 20])
    assert (both.paired, both.classes, both.labels) == (False, (), None)
    with pytest.raises(DataError, match="two classes of"):
        pack(tmp_path, source=str(tmp_path / "animals"), domains="zebra,horse", needs_pairs=True)
    with pytest.raises(DataError, match=r"between two sources only"):
        pack(tmp_path, source=str(tmp_path / "animals"), domains="zebra,horse", needs_pairs=True)
    with pytest.raises(DataError, match=r"no class 'hrose'\. Did you mean 'horse'"):
        pack(tmp_path, source=str(tmp_path / "animals"), domains="zebra,hrose")


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    contents = [encode(picture()), encode(picture(seed=1))]
    table = write_table(tmp_path / "t.parquet", {"image": contents}, [0, 0], ["cat", "dog"])
    with pytest.raises(DataError, match=r"class 'dog' of .*t\.parquet holds no pictures"):
        pack(tmp_path, source=str(table), domains="cat,dog")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    fill_folder(tmp_path / "a", ["x.png", "y.png"])
    (tmp_path / "b").mkdir()
    for needs_pairs in (True, False):
        with pytest.raises(DataError, match=r"folder .*/b is empty"):
            pack(
                tmp_path,
                source=str(tmp_path / "a"),
                target=str(tmp_path / "b"),
                needs_pairs=needs_pairs,
            )


def test_one_usable_picture_in_a_domain_is_too_few(tmp_path: Path) -> None:
    fill_folder(tmp_path / "a", ["x.png", "y.png"])
    fill_folder(tmp_path / "b", ["z.png"])
    with pytest.raises(DataError, match=r"/b holds only one picture"):
        pack(tmp_path, source=str(tmp_path / "a"), target=str(tmp_path / "b"))


def test_views_of_avatars_are_pairs(tmp_path: Path) -> None:
    both = pack(tmp_path, source="avatars", domains="lines,image", images=5, needs_pairs=True)
    assert both.target is not None
    assert np.array_equal(both.images, avatars.generate(range(5), (16, 16), view="lines"))
    assert np.array_equal(both.target.images, avatars.generate(range(5), (16, 16)))
    same = pack(tmp_path, source="avatars", domains="segmentation,image", images=5)
    assert np.array_equal(same.images, avatars.generate(range(5), (16, 16), view="segmentation"))


def test_values_of_an_attribute_are_domains(tmp_path: Path) -> None:
    both = pack(tmp_path, source="avatars:glasses", domains="none,square", images=40)
    truth = avatars.draw_attributes(range(1000), 0)["glasses"]
    assert both.target is not None
    for domain, code in ((both, 0), (both.target, 2)):
        faces = np.flatnonzero(truth == code)[:40]
        drawn = np.concatenate([avatars.generate(range(f, f + 1), (16, 16)) for f in faces])
        assert np.array_equal(domain.images, drawn)
        assert domain.labels is None


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"source": "avatars", "domains": "segmentaton,image"}, "Did you mean 'segmentation'"),
        ({"source": "avatars:glasses", "domains": "none,rond"}, "Did you mean 'round'"),
        ({"source": "avatars", "domains": "lines,imgae"}, "Did you mean 'image'"),
        ({"source": "avatars", "domains": "lines,bob"}, "into lines and bob"),
        ({"source": "avatars", "domains": "none,round"}, "write --data avatars:glasses"),
        ({"source": "avatars", "domains": "image,image"}, "twice"),
        ({"source": "avatars", "pair": "AB"}, "segmentation,image"),
        ({"source": "ring", "domains": "a,b"}, "points of the plane"),
        ({"source": "avatars", "target": "ring"}, "points of the plane"),
        ({"source": "stacked:digits", "domains": "1,2"}, "drawn by ganvas itself"),
    ],
)
def test_what_has_no_domains(values: dict[str, str], part: str) -> None:
    with pytest.raises(DataError, match=part):
        open_domains(DataConfig.parse(values))


def test_a_source_without_classes_says_what_to_do(tmp_path: Path) -> None:
    fill_folder(tmp_path, ["a.png", "b.png"])
    with pytest.raises(DataError, match=r"neither classes nor two columns.*--target"):
        open_domains(DataConfig.parse({"source": str(tmp_path), "domains": "a,b"}))


def test_rows_and_drawings_cannot_be_paired_by_name(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.parquet", {"image": [encode(picture())] * 2})
    fill_folder(tmp_path / "a", ["x.png", "y.png"])
    for target, part in ((str(table), "rows of"), ("avatars", "drawn")):
        with pytest.raises(DataError, match=part):
            pack(tmp_path, source=str(tmp_path / "a"), target=target, needs_pairs=True)
    both = pack(tmp_path, source=str(tmp_path / "a"), target="avatars", images=3)
    assert both.target is not None
    assert (len(both), len(both.target)) == (2, 3)


@pytest.mark.parametrize(
    "values",
    [
        {"target": "a", "pair": "AB"},
        {"domains": "a,b", "pair": "AB"},
        {"domains": "a"},
        {"domains": "a,b,c"},
        {"pair": "ab"},
        {"jitter": 0.6},
        {"target_channels": 2},
    ],
)
def test_settings_that_make_no_sense(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        DataConfig.parse(values)


def test_the_fingerprint_covers_both_domains(
    tmp_path: Path, two_folders: tuple[Path, Path]
) -> None:
    first, second = map(str, two_folders)
    values: dict[str, Any] = {"source": first, "target": second}
    before = pack(tmp_path, **values)
    assert pack(tmp_path, **values).fingerprint == before.fingerprint
    plain(two_folders[1] / "b.png", 200)
    after = pack(tmp_path, **values)
    assert after.fingerprint != before.fingerprint
    assert after.target is not None
    assert 200 in levels(after.target)


def test_a_pack_whose_second_domain_is_gone_is_made_again(
    tmp_path: Path, two_folders: tuple[Path, Path]
) -> None:
    values: dict[str, Any] = {"source": str(two_folders[0]), "target": str(two_folders[1])}
    before = pack(tmp_path, **values)
    shutil.rmtree(before.folder / "target")
    after = pack(tmp_path, **values)
    assert after.target is not None
    assert after.fingerprint == before.fingerprint


def test_without_a_second_domain_nothing_changes(tmp_path: Path) -> None:
    fill_folder(tmp_path / "a", ["x.png", "y.png"])
    one = pack(tmp_path, source=str(tmp_path / "a"), needs_pairs=None)
    assert one.target is None
    assert not one.paired


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_grey_of_sixteen_bits_keeps_them(tmp_path: Path, fit: str) -> None:
    ramp = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 64 + 13
    for folder, side in (("deep", 32), ("plain", 32)):
        (tmp_path / folder).mkdir()
        for name in "ab":
            image = Image.fromarray(ramp) if folder == "deep" else picture("L", (side, side))
            image.save(tmp_path / folder / f"{name}.png")
    both = pack(
        tmp_path,
        source=str(tmp_path / "deep"),
        target=str(tmp_path / "plain"),
        resolution=32,
        fit=fit,
    )
    assert both.target is not None
    assert [str(d.images.dtype) for d in (both, both.target)] == ["uint16", "uint8"]
    assert np.array_equal(both.images[1, :, :, 0], ramp)
    assert pack(tmp_path, source=str(tmp_path / "deep")).images.dtype == np.uint8


def test_sixteen_bits_resize_as_eight_do(tmp_path: Path) -> None:
    for folder, mode in (("deep", "I;16"), ("plain", "L")):
        fill_folder(tmp_path / folder, ["a.png", "b.png"], mode=mode, size=(50, 40))
    for fit in ("crop", "pad", "stretch"):
        both = pack(
            tmp_path, source=str(tmp_path / "deep"), target=str(tmp_path / "plain"), fit=fit
        )
        assert both.target is not None
        wide = both.target.images.astype(int) * 257
        assert np.abs(both.images.astype(int) - wide).max() <= 3 * 257


@pytest.mark.skipif(not (SHARED / "facades.zip").exists(), reason="no shared data here")
@pytest.mark.slow
def test_facades(tmp_path: Path) -> None:
    both = pack(tmp_path, source=str(SHARED / "facades.zip"), pair="BA", needs_pairs=True)
    assert both.target is not None
    assert len(both) == len(both.target) == 606
    blue = both.images.astype(int)  # the label maps are blue before all
    assert blue[..., 2].mean() > 2 * blue[..., 0].mean()
