"""Stacked digits: three digits in the channels of one picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas.data.config import DataConfig
from ganvas.data.held_out import count_held_out, held_out_examples
from ganvas.data.inspect import inspect
from ganvas.data.pack import open_pack
from ganvas.data.sources import absolute, open_source
from ganvas.data.stacked import StackedSource
from ganvas.errors import DataError
from tests.data.making import SHARED, encode, write_parquet

pytest.importorskip("pyarrow", reason="Parquet needs the hub extra")

CLASSES = tuple("0123456789")


def grey(level: int, mode: str = "L", size: int = 28) -> bytes:
    """A picture that says by its level which digit it stands for."""
    return encode(Image.new("L", (size, size), level).convert(mode))


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Digit d is a plane of level 20 d + 5, twice each."""
    labels = [d for d in range(10) for _ in range(2)]
    contents = [grey(20 * d + 5) for d in labels]
    return write_parquet(tmp_path / "digits.parquet", contents, labels, CLASSES)


def stacked(path: Path) -> StackedSource:
    source = open_source(f"stacked:{path}")
    assert isinstance(source, StackedSource)
    return source


def test_each_channel_is_the_digit_that_the_label_says(digits: Path) -> None:
    source = stacked(digits)
    pictures, labels = source.draw(range(300), (28, 28)), source.labels(range(300))
    assert pictures.shape == (300, 28, 28, 3)
    shown = (pictures[:, 14, 14].astype(int) - 5) // 20
    np.testing.assert_array_equal(shown @ [100, 10, 1], labels)
    assert [source.classes[label] for label in labels[:5]] == [
        "-".join(map(str, triple)) for triple in shown[:5]
    ]


def test_digits_come_independently_and_about_equally_often(digits: Path) -> None:
    labels = stacked(digits).labels(range(50_000))
    counts = np.bincount(labels, minlength=1_000)
    assert counts.min() > 0
    # chi squared with 999 degrees of freedom: mean 999, standard deviation 44.7
    assert abs(((counts - 50) ** 2 / 50).sum() - 999) < 5 * 44.7


def test_a_triple_depends_on_its_number_alone(digits: Path) -> None:
    source = stacked(digits)
    np.testing.assert_array_equal(
        source.draw(range(40, 50), (16, 16)), source.draw(range(50), (16, 16))[40:]
    )


def test_packed_and_held_out(digits: Path) -> None:
    config = DataConfig(source=f"stacked:{digits}", images=30)
    pack = open_pack(config, progress=False)
    assert pack.shape == (3, 28, 28)
    assert len(pack.classes) == 1_000
    assert count_held_out(pack, config) == 0  # more are drawn
    more = held_out_examples(pack, config, "test", 7)
    assert more.images.shape == (7, 28, 28, 3)
    assert more.indices.min() >= 30


def test_inspected(digits: Path) -> None:
    report = inspect(f"stacked:{digits}", progress=False)
    assert report.resolution == (28, 28)
    assert len(report.classes) == 1_000


def test_a_changed_file_is_another_source(digits: Path) -> None:
    before = stacked(digits).identity
    write_parquet(digits, [grey(0)] * 10, list(range(10)), CLASSES)
    assert stacked(digits).identity != before


def test_a_relative_path_is_made_absolute(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(digits.parent)
    assert absolute("stacked:digits.parquet") == f"stacked:{digits.resolve()}"
    assert absolute("stacked:mnist") == "stacked:mnist"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stacked", "which digits to stack"),
        ("stacked:", "which digits to stack"),
        ("stacked:stacked:mnist", "which digits to stack"),
        ("stacked:ring", "drawn by ganvas itself"),
        ("stacked:avatars", "drawn by ganvas itself"),
        ("stacked:nowhere.parquet", "no data source 'nowhere.parquet'"),
    ],
)
def test_what_cannot_be_stacked(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(name)


def test_digits_need_labels_of_ten_classes(tmp_path: Path) -> None:
    nameless = write_parquet(tmp_path / "a.parquet", [grey(0), grey(9)])
    with pytest.raises(DataError, match="no labels"):
        stacked(nameless)
    few = write_parquet(tmp_path / "b.parquet", [grey(0), grey(9)], [0, 1], ("a", "b"))
    with pytest.raises(DataError, match="2 classes"):
        stacked(few)


@pytest.mark.parametrize(
    ("bad", "message"),
    [(grey(0, "RGB"), "in colour"), (grey(0)[:40], "Mend or remove")],
    ids=["colour", "cut short"],
)
def test_digits_that_cannot_be_read(tmp_path: Path, bad: bytes, message: str) -> None:
    contents = [*(grey(0) for _ in range(9)), bad]
    path = write_parquet(tmp_path / "bad.parquet", contents, list(range(10)), CLASSES)
    with pytest.raises(DataError, match=f"bad.parquet#9 .*{message}"):
        stacked(path).draw(range(3), (28, 28))


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "mnist").is_dir(), reason="needs ../shared/data/mnist")
def test_mnist() -> None:
    source = stacked(SHARED / "mnist" / "test.parquet")
    pictures = source.draw(range(100), (28, 28))
    assert 0.1 < (pictures > 127).mean() < 0.2  # ink
    assert len(np.unique(source.labels(range(26_000)))) == 1_000
