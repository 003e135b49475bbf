"""Captions: where they come from, what is wrong with them, and which picture each belongs to."""

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganvas.data import DataConfig, Pack, open_pack
from ganvas.data.builtin import avatars
from ganvas.data.captions import MAX_LETTERS, find_caption_files, tidy
from ganvas.data.held_out import held_out_captions, held_out_examples, training_rows
from ganvas.data.inspect import CaptionReport, inspect
from ganvas.data.inspect_text import as_text
from ganvas.data.loader import Loader
from ganvas.errors import DataError
from tests.data.making import encode, fill_folder, picture, write_parquet

NAMES = ("a.png", "b.png", "cats/c.png")
TEXTS = ("a red ball", "a blue ball", "a cat")

Make = Callable[[Path, Mapping[str, str]], Path]


def folder(root: Path, others: Mapping[str, str]) -> Path:
    """A folder with `NAMES` and these texts."""
    fill_folder(root / "source", NAMES)
    for name, content in others.items():
        (root / "source" / name).parent.mkdir(exist_ok=True)
        (root / "source" / name).write_text(content, encoding="utf-8")
    return root / "source"


def archive(root: Path, others: Mapping[str, str]) -> Path:
    """The same as a ZIP."""
    with zipfile.ZipFile(root / "source.zip", "w", zipfile.ZIP_DEFLATED) as stream:
        for seed, name in enumerate(NAMES):
            stream.writestr(name, encode(picture(seed=seed)))
        for name, content in others.items():
            stream.writestr(name, content)
    return root / "source.zip"


def pack(source: Path | str, needs_captions: bool = True, **values: Any) -> Pack:
    config = DataConfig.parse({"source": str(source), **values})
    return open_pack(config, progress=False, needs_captions=needs_captions)


def lines(*rows: Mapping[str, Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


both = pytest.mark.parametrize("make", [folder, archive])


@both
@pytest.mark.parametrize(
    "others",
    [
        {"a.txt": TEXTS[0], "b.TXT": f"\ufeff{TEXTS[1]}\n", "cats/c.txt": "  a \n cat "},
        {
            "metadata.jsonl": lines(
                *({"file_name": n, "text": t} for n, t in zip(NAMES, TEXTS, strict=True))
            )
        },
        {
            "metadata.csv": "file_name,score,caption\r\n"
            f'a.png,1,"{TEXTS[0]}"\r\n./b.png,,{TEXTS[1]}\r\ngone.png,2,none\r\n',
            "cats/metadata.jsonl": lines({"file_name": "c.png", "captions": [TEXTS[2], "x"]}),
        },
        {
            "metadata.csv": "file_name,text\na.png,wrong\nb.png,wrong\ncats/c.png,wrong\n",
            "a.txt": TEXTS[0],
            "b.txt": TEXTS[1],
            "cats/metadata.csv": f"file_name,text\nc.png,{TEXTS[2]}\n",
        },
    ],
    ids=["texts", "jsonl", "csv and lists", "the nearest counts"],
)
def test_captions_of_files(make: Make, others: Mapping[str, str], tmp_path: Path) -> None:
    found = pack(make(tmp_path, others))
    assert found.names == NAMES
    assert found.captions == TEXTS
    assert pack(make(tmp_path, others), needs_captions=False).captions == TEXTS


@both
@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"metadata.jsonl": '{"file_name": "a.png", "text": "x"}\n{"file'}, "metadata.jsonl, line"),
        ({"metadata.jsonl": "\n[1]"}, r"metadata.jsonl, line 2: not of the form"),
        ({"metadata.jsonl": "[" * 10_000}, r"metadata.jsonl, line 1: no JSON"),
        ({"metadata.jsonl": '{"text": "x"}'}, r"metadata.jsonl, line 1: no file_name"),
        ({"metadata.csv": "name,text\na.png,x\n"}, r"metadata.csv, line 2: no file_name"),
        ({"metadata.csv": "file_name,text\na.png,x,y\n"}, r"metadata.csv, line 2: more fields"),
        (
            {"metadata.csv": 'file_name,text\na.png,x\nb.png,"y'},
            r"metadata.csv, line 3: unexpected",
        ),
        ({"a.txt": "x", "b.txt": ""}, r"2 of the 3 pictures .* \(b.png, cats/c.png\)"),
        ({"metadata.csv": "file_name,size\na.png,5\n"}, "has no captions"),
        ({"readme.txt": "these are balls"}, "has no captions"),
    ],
)
def test_what_is_wrong_is_named(
    make: Make, others: Mapping[str, str], message: str, tmp_path: Path
) -> None:
    source = make(tmp_path, others)
    with pytest.raises(DataError, match=message) as info:
        pack(source)
    assert str(source) in str(info.value)
    assert pack(source, needs_captions=False).captions is None, "others train on them all the same"


@both
def test_bytes_that_are_no_text(make: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt of .* no text in UTF-8 \(byte 2\)"):
        pack(with_bytes(make(tmp_path, {}), "a.txt", b"ab\xff\xfe"))


@both
def test_bytes_that_are_no_text_in_a_table(make: Make, tmp_path: Path) -> None:
    content = b'{"file_name": "a.png", "text": "x"}\n\xff'
    with pytest.raises(DataError, match=r"metadata\.jsonl, line 2: no text in UTF-8"):
        pack(with_bytes(make(tmp_path, {}), "metadata.jsonl", content))


def with_bytes(source: Path, name: str, content: bytes) -> Path:
    """The source with one more file."""
    if source.is_dir():
        (source / name).write_bytes(content)
    else:
        with zipfile.ZipFile(source, "a") as stream:
            stream.writestr(name, content)
    return source


def test_a_link_that_leads_outside_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("password")
    source = folder(tmp_path, {"b.txt": "x", "cats/c.txt": "x"})
    (source / "a.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match=r"1 of the 3 pictures .* \(a.png\)"):
        pack(source)


def test_a_caption_that_changes_is_noticed(tmp_path: Path) -> None:
    others = dict(zip(("a.txt", "b.txt", "cats/c.txt"), TEXTS, strict=True))
    before = pack(folder(tmp_path, others))
    after = pack(folder(tmp_path, {**others, "a.txt": "a yellow ball"}))
    assert after.captions == ("a yellow ball", *TEXTS[1:])
    assert before.fingerprint == after.fingerprint, "the pictures are the same"


def test_texts_of_other_files_are_none_of_the_pictures() -> None:
    found = find_caption_files(["a.jpg", "x/a.png", "b.tar.png"], ["b.txt", "x/a.txt", "b.tar.txt"])
    assert found.texts == {"x/a.png": "x/a.txt", "b.tar.png": "b.tar.txt"}
    assert not found.tables


def test_what_is_long_is_cut() -> None:
    assert tidy("é" * 3 * MAX_LETTERS) == "é" * MAX_LETTERS
    assert tidy(" \n ") is None
    assert tidy(["", "x"]) is None
    assert tidy([]) is None
    assert tidy(5) is None


def test_what_disturbs_terminals_and_text_encoders_is_left_out() -> None:
    assert tidy("a\ud800 \x1b[31mcat\x00\x9b") == "a [31mcat"
    assert tidy("\ud800") is None
    assert tidy("می‌خوابد") == "می‌خوابد"  # its joiner is a part of the word


def test_a_long_text_is_cut_within_a_letter(tmp_path: Path) -> None:
    source = folder(tmp_path, {"a.txt": "x" + "€" * 50_000, "b.txt": "y", "cats/c.txt": "z"})
    captions = pack(source).captions
    assert captions is not None
    assert captions[0] == "x" + "€" * (MAX_LETTERS - 1)


def add_column(path: Path, name: str, values: Any) -> Path:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    table = parquet.read_table(path).append_column(name, arrow.array(values))
    parquet.write_table(table, path, row_group_size=2)
    return path


PICTURES = [encode(picture(seed=i)) for i in range(5)]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text": ["a", "b", "c", "d", "e"]}, "abcde"),
        ({"description": ["x"] * 5, "caption": list("abcde")}, "abcde"),
        ({"text": [1, 2, 3, 4, 5], "captions": [[c, "x"] for c in "abcde"]}, "abcde"),
    ],
    ids=["text", "caption before description", "a list, and numbers under text"],
)
def test_captions_of_tables(columns: Mapping[str, Any], expected: str, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", PICTURES)
    for name, values in columns.items():
        add_column(path, name, values)
    assert pack(path).captions == tuple(expected)


def test_captions_follow_their_rows(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", [PICTURES[0], b"broken", *PICTURES[2:]])
    add_column(path, "text", list("abcde"))
    assert pack(path).captions == tuple("acde")
    some = pack(path, images=3)
    assert some.captions == tuple("abcde"[int(name[-1])] for name in some.names)


def test_rows_without_a_caption(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", PICTURES)
    add_column(path, "text", ["a", None, "c", " ", "e"])
    with pytest.raises(DataError, match=r"2 of the 5 pictures .* \(x.parquet#1, x.parquet#3\)"):
        pack(path)


def test_captions_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "text": datasets.Sequence(datasets.Value("string"))}
    )
    cells = {
        "image": [{"bytes": content, "path": None} for content in PICTURES],
        "text": [[letter] for letter in "abcde"],
    }
    rows = datasets.Dataset.from_dict(cells, features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)
    assert pack("hf:someone/something").captions == tuple("abcde")


def test_avatars_have_captions_always() -> None:
    found = pack("avatars", needs_captions=False, images=20, resolution=16)
    truth = avatars.draw_attributes(range(20), 0)
    assert found.captions == tuple(avatars.captions(truth))


def test_points_have_none() -> None:
    with pytest.raises(DataError, match="ring has no captions"):
        pack("ring", images=20)


def test_a_pack_of_an_earlier_version_gets_them() -> None:
    before = pack("avatars", needs_captions=False, images=21, resolution=16)
    (before.folder / "captions.json").unlink()
    old = pack("avatars", needs_captions=False, images=21, resolution=16)
    assert old.captions is None
    new = pack("avatars", images=21, resolution=16)
    assert new.folder == before.folder
    assert new.captions == before.captions
    assert new.fingerprint == before.fingerprint


def test_held_out_captions_are_those_of_the_pictures(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", PICTURES)
    add_column(path, "text", list("abcde"))
    config = DataConfig.parse({"source": str(path), "held_out": 3})
    found = pack(path, held_out=3)
    examples = held_out_examples(found, config, "test", None)
    captions = held_out_captions(found, config, examples)
    assert captions == tuple("abcde"[i] for i in examples.indices)
    rows = training_rows(found, config)
    assert rows is not None
    assert not {*rows.tolist()} & {*examples.indices.tolist()}


def test_held_out_captions_of_avatars_are_drawn_anew() -> None:
    config = DataConfig.parse({"source": "avatars:glasses", "images": 20, "resolution": 16})
    found = open_pack(config, progress=False)
    examples = held_out_examples(found, config, "test", 7)
    truth = avatars.draw_attributes(range(1020, 1027), 0)
    assert held_out_captions(found, config, examples) == tuple(avatars.captions(truth))
    assert held_out_captions(found, DataConfig(source="ring"), examples) is None


@pytest.mark.parametrize("world", [1, 2])
def test_the_loader_gives_every_picture_its_own(world: int) -> None:
    found = pack("avatars", images=20, resolution=16)
    tokens = np.arange(40, dtype=np.int64).reshape(20, 2)
    for rank in range(world):
        loader = Loader(
            found, batch=8, seed=3, rank=rank, world=world, rows=np.arange(4, 20), tokens=tokens
        )
        for position in (0, 12, 16):
            images, _ = loader.fetch(position)
            captions = loader.fetch_captions(position)
            assert captions is not None
            rows = captions[:, 0] // 2
            assert (captions[:, 1] == captions[:, 0] + 1).all()
            shown = np.moveaxis(images.numpy(), 1, -1)
            assert (shown == found.images[rows.numpy()]).all()
    assert Loader(found, batch=8, seed=3).fetch_captions(0) is None


# ------------------------------------------------------------------ data inspect


def captions_of(source: Path | str) -> CaptionReport:
    found = inspect(str(source), progress=False).captions
    assert found is not None
    return found


def shown(source: Path | str) -> str:
    from rich.console import Console

    console = Console(width=100)
    with console.capture() as captured:
        console.print(as_text(inspect(str(source), progress=False)))
    return captured.get()


def test_inspect_says_what_is_said(tmp_path: Path) -> None:
    source = folder(tmp_path, {"a.txt": "A red ball", "b.txt": "a blue, BLUE ball!"})
    assert captions_of(source) == CaptionReport(
        2, 4, 4, ("A red ball", "a blue, BLUE ball!"), ("cats/c.png",), None
    )
    text = shown(source)
    assert "Captions: 2 of 3" in text
    assert "the longest of 4 words, 4 different words" in text
    assert "Without a caption: cats/c.png." in text
    assert "other files" not in text, "they are no longer ignored"
    assert inspect(str(fill_folder(tmp_path / "none", NAMES)), progress=False).captions is None


def test_inspect_names_a_broken_table_and_goes_on(tmp_path: Path) -> None:
    source = folder(tmp_path, {"metadata.jsonl": "oops"})
    assert "metadata.jsonl, line 1" in str(captions_of(source).problem)
    assert "metadata.jsonl, line 1" in shown(source)
    assert "Ready to train" in shown(source)
    json.dumps(inspect(str(source), progress=False).as_dict())


def test_inspect_reads_some_of_the_avatars() -> None:
    found = captions_of("avatars")
    assert found.count == 20_000
    assert len(found.examples) == 3
