"""From files to files, with a model that has learned nothing."""

import random
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from ganvas.data.config import DataConfig
from ganvas.errors import ConfigError, DataError, RunError
from ganvas.models.translation import Direction, Uniform
from ganvas.pictures import Bytes
from ganvas.translation.inputs import Item
from ganvas.translation.opening import Pair, check_place, forms, open_inputs, open_pictures
from ganvas.translation.tiling import translate_pixels
from ganvas.translation.translate import How, Translation, translate_all
from tests.data.making import bomb, encode, fill_folder, picture
from tests.translation.fakes import Inverter, TooLarge


class Heard(list[str]):
    """What was said."""

    def __str__(self) -> str:
        return "\n".join(self)


def run(
    source: Path,
    out: Path,
    model: Inverter | None = None,
    how: How | None = None,
    *,
    resize: bool = False,
    target: Path | None = None,
    pair: Pair | None = None,
    say: Heard | None = None,
) -> Translation:
    model, how = model or Inverter(), how or How()
    takes = forms(model, how.direction, DataConfig(), resize=resize)
    inputs = open_inputs(
        str(source), how.direction, takes, None if target is None else str(target), pair
    )
    return translate_all(model, inputs, out, how, (Heard() if say is None else say).append)


def pixels(path: Path) -> Bytes:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_folder_keeps_names_sizes_and_folders(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png", "cats/b.png", "cats/old/c.png"])
    (source / "cats" / "d.jpg").write_bytes(encode(picture(size=(31, 57)), "JPEG"))
    done = run(source, tmp_path / "out")
    found = sorted(p.relative_to(tmp_path / "out").as_posix() for p in done.written)
    assert found == ["a.png", "cats/b.png", "cats/d.png", "cats/old/c.png"]
    assert pixels(tmp_path / "out" / "cats" / "d.png").shape == (57, 31, 3)
    assert not done.skipped
    with Image.open(done.sheet) as sheet:
        assert sheet.mode == "RGB"


def test_the_same_from_a_file_a_folder_and_a_zip(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png"])
    archive = tmp_path / "in.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.write(source / "a.png", "a.png")
    model = Inverter(noise=0.5)
    expected = translate_pixels(model, pixels(source / "a.png"))
    for place in (source, source / "a.png", archive):
        done = run(place, tmp_path / f"out-{place.name}", model)
        np.testing.assert_array_equal(pixels(done.written[0]), expected)


def test_each_picture_has_the_seed_of_its_place(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png", "c.png"])
    (source / "b.png").write_bytes(b"no picture")
    model = Inverter(noise=0.5)
    done = run(source, tmp_path / "out", model, How(seed=5))
    for path, name, seed in zip(done.written, ("a.png", "c.png"), (5, 7), strict=True):
        expected = translate_pixels(model, pixels(source / name), seed=seed)
        np.testing.assert_array_equal(pixels(path), expected)


def test_resize_brings_pictures_to_the_size_of_the_training(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png"], size=(200, 120))
    model = Inverter((3, 16, 24), (1, 16, 24))
    heard = Heard()
    done = run(source, tmp_path / "out", model, resize=True, say=heard)
    assert pixels(done.written[0]).shape == (16, 24)
    assert not heard


def test_another_size_than_the_training_is_told_once(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png", "b.png"], size=(200, 220))
    heard = Heard()
    run(source, tmp_path / "out", say=heard)
    assert len(heard) == 1
    assert "a.png has 200x220 pixels" in heard[0]
    assert "32x32" in heard[0]
    assert "--resize" in heard[0]


def test_twice_as_wide_is_told_to_be_a_pair(tmp_path: Path) -> None:
    heard = Heard()
    run(fill_folder(tmp_path / "in", ["a.png"], size=(64, 32)), tmp_path / "out", say=heard)
    assert "--pair AB" in str(heard)


@pytest.mark.parametrize(
    ("pair", "direction", "left"), [("AB", "AB", True), ("BA", "AB", False), ("AB", "BA", False)]
)
def test_pairs_in_one_picture(pair: Pair, direction: Pair, left: bool, tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png"], size=(64, 32))
    whole = pixels(source / "a.png")
    half, other = (whole[:, :32], whole[:, 32:])[:: 1 if left else -1]
    model = Inverter()
    done = run(source, tmp_path / "out", model, How(direction), pair=pair)
    np.testing.assert_array_equal(pixels(done.written[0]), translate_pixels(model, half))
    assert_cells(done.sheet, [half, pixels(done.written[0]), other])


def assert_cells(sheet: Path, cells: Sequence[Bytes]) -> None:
    """The sheet is one row of these, enlarged."""
    shown = pixels(sheet)
    scale = (shown.shape[0] - 4) // cells[0].shape[0]
    step = cells[0].shape[1] * scale + 2
    assert shown.shape[1] == step * len(cells) + 2
    for i, cell in enumerate(cells):
        there = shown[2 : 2 + cell.shape[0] * scale : scale, 2 + i * step :: scale]
        np.testing.assert_array_equal(there[:, : cell.shape[1]], cell)


def test_targets_by_name(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["x/a.png", "x/b.png"], size=(16, 16))
    target = fill_folder(tmp_path / "target", ["x/B.PNG", "x/z.png"], size=(16, 16))
    done = run(source, tmp_path / "out", target=target)
    shown = pixels(done.sheet)
    white = (shown == 255).all(2).mean()
    assert white > 1 / 6  # a's target is not there
    with pytest.raises(DataError, match="None of the 2 pictures"):
        run(source, tmp_path / "out", target=fill_folder(tmp_path / "no", ["k.png", "l.png"]))


def test_unreadable_files_are_named_and_nothing_is_lost(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png", "z.png"])
    (source / "cut.png").write_bytes(encode(picture())[:200])
    (source / "bomb.png").write_bytes(bomb())
    (source / "empty.png").touch()
    (source / "tiny.png").write_bytes(encode(picture(size=(3, 9))))
    heard = Heard()
    done = run(source, tmp_path / "out", say=heard)
    assert [path.name for path in done.written] == ["a.png", "z.png"]
    assert {p.name for p in done.skipped} == {"cut.png", "bomb.png", "empty.png", "tiny.png"}
    assert all(f"left out {p.name}: {p.reason}" in str(heard) for p in done.skipped)
    assert "3x9 pixels" in str(heard)


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"no picture to translate \(a\.png: its bytes"):
        run(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("JPEG", {}), ("TIFF", {}), ("GIF", {})]
)
def test_damaged_files_are_skipped_whatever_the_damage(
    form: str, options: dict[str, str], tmp_path: Path
) -> None:
    chance = random.Random(0)
    whole = encode(picture(size=(24, 16)), form, **options)
    place = tmp_path / "in"
    fill_folder(place, ["good.png"])
    for number in range(60):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 4, 16))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        (place / f"{number}.png").write_bytes(content)
    done = run(place, tmp_path / "out", resize=True)
    assert len(done.written) + len(done.skipped) == 61


def test_earlier_results_are_replaced_and_foreign_files_are_not(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png"])
    out = tmp_path / "out"
    run(source, out)
    heard = Heard()
    run(source, out, say=heard)
    assert "Replacing 2 results" in str(heard)
    (out / "a.png").write_bytes(b"mine")
    with pytest.raises(RunError, match="did not write"):
        run(source, out)
    assert (out / "a.png").read_bytes() == b"mine"


def test_results_may_not_lie_among_the_pictures(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png"])
    for out in (source, source / "results"):
        with pytest.raises(ConfigError, match="lies within"):
            check_place(out, str(source))
    with pytest.raises(ConfigError, match="into a folder"):
        check_place(tmp_path / "a.png", str(source))
    check_place(tmp_path, str(source))
    check_place(tmp_path / "in-results", str(source))


def test_alpha_and_grey(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png"], mode="RGBA", size=(32, 32))
    done = run(source, tmp_path / "out", Inverter((4, 32, 32), (1, 32, 32)))
    assert pixels(done.written[0]).shape == (32, 32)
    done = run(source, tmp_path / "back", Inverter((1, 32, 32), (4, 32, 32)))
    assert pixels(done.written[0]).shape == (32, 32, 4)
    with Image.open(done.sheet) as sheet:
        assert sheet.mode == "RGB"


@pytest.mark.parametrize("pair", [None, "AB"])
def test_16_bits_of_grey_are_not_lost(pair: Pair | None, tmp_path: Path) -> None:
    deep = np.linspace(20_000, 20_500, 64 * 32).astype(np.uint16).reshape(32, 64)
    Image.fromarray(deep).save(tmp_path / "a.png")
    seen: list[float] = []

    class Looker(Inverter):
        def _generate(self, images: Tensor, direction: Direction, uniform: Uniform) -> Tensor:
            seen.extend(images.unique().numpy())
            return super()._generate(images, direction, uniform)

    run(tmp_path / "a.png", tmp_path / "out", Looker((1, 32, 64), (3, 32, 64)), pair=pair)
    assert len(seen) == len(np.unique(deep[:, :32] if pair else deep))  # in 8 bits they were 3


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    image = picture(size=(40, 20))
    exif = image.getexif()
    exif[0x0112] = 6  # turn by a quarter
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(image, "JPEG", exif=exif))
    assert pixels(run(path, tmp_path / "out").written[0]).shape == (40, 20, 3)


def test_the_sheet_shows_the_first_twelve(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", [f"{i:02d}.png" for i in range(20)], size=(300, 150))
    done = run(source, tmp_path / "out", Inverter((3, 128, 256), (3, 128, 256)))
    assert len(done.written) == 20
    height, width, _ = pixels(done.sheet).shape
    cells = (height - 2) // (128 + 2) * ((width - 2) // (256 + 2))  # reduced to 256 x 128
    assert cells == 24


def test_too_little_memory_says_what_to_do(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png"])
    with pytest.raises(RunError, match=r"a\.png \(40x30 pixels\).*--tile 512"):
        run(source, tmp_path / "out", TooLarge())


def test_a_direction_that_there_is_not(tmp_path: Path) -> None:
    class OneWay(Inverter):
        directions = ("AB",)

    source = fill_folder(tmp_path / "in", ["a.png"])
    with pytest.raises(ConfigError, match="--direction BA"):
        run(source, tmp_path / "out", OneWay(), How("BA"))
    with pytest.raises(ConfigError, match="--tile 8"):
        run(source, tmp_path / "out", how=How(tile=8))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["absent", "a\0b", "x" * 5000, "~nobody-here/a.png", "avatars"])
def test_what_is_not_there(name: str) -> None:
    with pytest.raises(DataError):
        open_pictures(name)


def test_zips_that_lead_outside_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("../../a.png", encode(picture()))
    with pytest.raises(DataError, match="leads outside"):
        run(archive, tmp_path / "out")


def test_target_and_pair_exclude_each_other(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png"])
    with pytest.raises(ConfigError, match="--target and --pair"):
        run(source, tmp_path / "out", target=source, pair="AB")


def test_only_what_the_sheet_shows_reads_its_target(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "in", ["a.png", "b.png", "c.png"])
    takes = forms(Inverter(), "AB", DataConfig(), resize=False)
    inputs = open_inputs(str(source), "AB", takes, str(source), None)
    items = [item for item in inputs.read(with_target=2) if isinstance(item, Item)]
    assert [item.target is not None for item in items] == [True, True, False]
