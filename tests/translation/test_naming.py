"""Where results are written."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganvas.errors import RunError
from ganvas.pictures import save_png
from ganvas.translation.naming import DESCRIPTION, check_free, output_names


def named(*names: str) -> list[str]:
    return [str(path) for path in output_names(names)]


def test_names_are_kept() -> None:
    assert named("a.jpg", "cats/b.PNG", "cats/old/c.webp") == [
        "a.png", "cats/b.png", "cats/old/c.png",
    ]  # fmt: skip
    assert named("scan.2024", "data.parquet#3") == ["scan.2024.png", "data.parquet#3.png"]


def test_no_two_pictures_get_one_name() -> None:
    assert named("a.png", "a.jpg", "a.jpg", "A.webp") == [
        "a.png", "a.jpg.png", "a-2.png", "A.webp.png",
    ]  # fmt: skip
    assert named("sheet.png", "sheet.jpg") == ["sheet.png.png", "sheet.jpg.png"]
    assert named("a.png/b.png", "a.jpg") == ["a.png/b.png", "a.jpg.png"]


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd.png", "/etc/a.png", "C:\\Windows\\a.png", "a/../../b.png", "..", "", "a\0b"],
)
def test_no_name_leads_outside(name: str, tmp_path: Path) -> None:
    (path,) = output_names([name])
    assert (tmp_path / path).resolve().is_relative_to(tmp_path.resolve())
    assert not path.is_absolute()
    assert not {"..", "\0"} & set(path.parts)


@given(st.lists(st.text(max_size=300), max_size=8))
def test_any_names_become_different_files_inside(names: list[str]) -> None:
    paths = output_names(names)
    assert len({str(path).casefold() for path in paths}) == len(names)
    for path in paths:
        assert path.suffix == ".png"
        assert not path.is_absolute()
        assert ".." not in path.parts
        assert all(len(part.encode()) < 255 for part in path.parts)
        assert not set('<>:"|?*\0\\') & set(str(path))


def test_what_others_wrote_is_never_replaced(tmp_path: Path) -> None:
    picture = Image.new("L", (4, 4))
    names = [PurePosixPath(name) for name in ("a.png", "b.png", "c.png")]
    assert check_free(tmp_path / "absent", names) == 0
    save_png(picture, tmp_path / "a.png", DESCRIPTION)
    save_png(picture, tmp_path / "other.png")
    assert check_free(tmp_path, names) == 1
    save_png(picture, tmp_path / "b.png")
    with pytest.raises(RunError, match=r"holds b\.png, which ganvas translate did not write"):
        check_free(tmp_path, names)


def test_a_folder_or_link_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    (tmp_path / "sheet.png").symlink_to("nowhere")
    with pytest.raises(RunError, match=r"a\.png, sheet\.png"):
        check_free(tmp_path, [PurePosixPath("a.png")])
