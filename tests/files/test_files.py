"""Files appear whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganvas.errors import RunError
from ganvas.files import atomic_write, explain_disk_errors, sync_folder, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(path: Path) -> None:
    with atomic_write(path) as stream:
        stream.write(b"new")
        raise KeyboardInterrupt


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    with atomic_write(path) as stream:
        stream.write(b"half")
        assert not path.exists()
        stream.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert names(path.parent) == ["file"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(tmp_path: Path, mask: int) -> None:
    previous = os.umask(mask)
    try:
        write_text(tmp_path / "ours", "text")
        (tmp_path / "plain").write_text("text")
    finally:
        os.umask(previous)
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_text_is_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "größer ≥ 1\n")
    assert (tmp_path / "file").read_bytes() == "größer ≥ 1\n".encode()


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "your disk quota is used up"),
        (errno.EACCES, "permission is denied"),
        (errno.EROFS, "the file system is read-only"),
    ],
)
def test_what_stops_writing_is_explained(tmp_path: Path, number: int, reason: str) -> None:
    with pytest.raises(RunError, match=reason) as info, explain_disk_errors(tmp_path / "f"):
        raise OSError(number, "whatever")
    assert str(tmp_path / "f") in str(info.value)


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError), explain_disk_errors(tmp_path):
        raise TimeoutError(errno.ETIMEDOUT, "not about the disk")


def test_a_file_in_the_way(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "mine")
    with pytest.raises(RunError, match="not a folder"):
        write_text(tmp_path / "file" / "below" / "name", "text")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "name" / "inside").mkdir(parents=True)
    with pytest.raises(RunError, match="a folder of that name"):
        write_text(tmp_path / "name", "text")
    assert names(tmp_path) == ["name"]


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """As near as a test gets: the system refuses to let files grow beyond a size."""
    code = (
        "import resource, sys; from pathlib import Path; from ganvas.files import atomic_write\n"
        "from ganvas.errors import RunError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with atomic_write(Path(sys.argv[1])) as stream: stream.write(b'x' * 100_000)\n"
        "except RunError as error: print(error)\n"
    )
    path = tmp_path / "file"
    write_text(path, "old")
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert "larger than this process may write" in done.stdout
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_syncing_a_folder(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "absent")
