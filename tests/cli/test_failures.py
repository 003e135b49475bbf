"""`ganvas failures` on the command line."""

from pathlib import Path

import pytest

from ganvas.failures import verb
from tests.cli.running import Command


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--only", "colapse-ring"), "Did you mean 'collapse-ring'?"),
        (("--only", "stacked-mnist"), "--mnist"),
        (("--mnist", "nowhere.parquet"), "no data source 'nowhere.parquet'"),
        (("--mnist", "avatars"), "drawn by ganvas itself"),
        (("--out", "full"), "holds other things (mine.txt)"),
    ],
)
def test_what_is_refused(ganvas: Command, arguments: tuple[str, ...], words: str) -> None:
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine")
    result = ganvas("failures", *arguments)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
    assert not Path("failures").exists()


def test_the_options_arrive(ganvas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def failures(out: Path, **options: object) -> Path:
        asked.update(options, out=out)
        return out / "failures.html"

    monkeypatch.setattr(verb, "failures", failures)
    result = ganvas(
        *("failures", "--seeds", "2", "--only", "collapse-ring", "--only", "clipping"),
        *("--images", "64", "--mnist", "mnist", "--out", "here"),
    )
    assert result.code == 0, result.err
    assert result.out.strip() == "Page: here/failures.html"
    asked.pop("say")
    assert asked == {
        "out": Path("here"), "seeds": 2, "only": ["collapse-ring", "clipping"],
        "images": 64, "mnist": "mnist",
    }  # fmt: skip
