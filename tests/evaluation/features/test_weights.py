"""Published weights: where they are looked for, and that none is used unchecked."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ganvas.errors import ConfigError, DataError
from ganvas.evaluation.features import weights
from ganvas.evaluation.features.weights import fetch

CONTENT = b"weights " * 500_000  # several chunks
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "published.pth"
NOWHERE = "http://127.0.0.1:9/published.pth"  # nobody listens there


class Handler(BaseHTTPRequestHandler):
    """Sends the file, or part of it, or another; or nothing for a while."""

    def do_GET(self) -> None:
        if self.path == "/absent":
            self.send_error(404)
            return
        if self.path == "/silent":
            time.sleep(1)
            return
        body = b"<html>please log in</html>" if self.path == "/other" else CONTENT
        self.send_response(200)
        if self.path != "/nolength":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[: len(body) // 2] if self.path == "/short" else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GANVAS_WEIGHTS", raising=False)
    return tmp_path / "cache" / "weights"


@pytest.mark.parametrize("path", ["/whole", "/nolength"])
def test_download_once(server: str, cache: Path, path: str) -> None:
    found = fetch(server + path, NAME, SHA256)
    assert found == cache / NAME
    assert found.read_bytes() == CONTENT
    assert fetch(NOWHERE, NAME, SHA256[:8]) == found  # from the cache now


def test_local_file_and_folder(tmp_path: Path) -> None:
    file = tmp_path / NAME
    file.write_bytes(CONTENT)
    assert fetch(NOWHERE, NAME, SHA256, file) == file
    assert fetch(NOWHERE, NAME, SHA256, tmp_path) == file


def test_folder_of_the_environment(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    monkeypatch.setenv("GANVAS_WEIGHTS", str(folder))
    assert fetch(f"{server}/whole", NAME, SHA256) == cache / NAME  # not in the folder: downloaded
    (folder / NAME).write_bytes(CONTENT)
    assert fetch(NOWHERE, NAME, SHA256) == folder / NAME


def test_no_such_local_file(tmp_path: Path, server: str) -> None:
    with pytest.raises(ConfigError, match=r"no weights at .*absent"):
        fetch(f"{server}/whole", NAME, SHA256, tmp_path / "absent")


def test_wrong_local_file(tmp_path: Path) -> None:
    file = tmp_path / NAME
    file.write_bytes(CONTENT[:-1])
    found = hashlib.sha256(CONTENT[:-1]).hexdigest()
    with pytest.raises(DataError) as caught:
        fetch(NOWHERE, NAME, SHA256, file)
    for part in (str(file), SHA256, found, "Delete it"):
        assert part in str(caught.value)


def test_wrong_download_is_not_kept(server: str, cache: Path) -> None:
    found = hashlib.sha256(b"<html>please log in</html>").hexdigest()
    with pytest.raises(DataError, match=rf"/other sent is not the published.*{found}.*{SHA256}"):
        fetch(f"{server}/other", NAME, SHA256)
    assert not list(cache.iterdir())


@pytest.mark.parametrize("path", ["/short", "/absent", "/silent"])
def test_broken_download(
    server: str, cache: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "TIMEOUT", 0.2)
    with pytest.raises(DataError, match="GANVAS_WEIGHTS") as caught:
        fetch(server + path, NAME, SHA256)
    assert f"{server}{path}" in str(caught.value)
    assert str(cache) in str(caught.value)
    assert not cache.exists() or not list(cache.iterdir())


def test_no_connection(cache: Path) -> None:
    with pytest.raises(DataError, match=r"could not be downloaded .*another machine") as caught:
        fetch(NOWHERE, NAME, SHA256)
    assert NOWHERE in str(caught.value)
    assert not cache.exists()


def test_too_large(server: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MAX_BYTES", 2**20)
    with pytest.raises(DataError, match="larger than 1 MiB"):
        fetch(f"{server}/nolength", NAME, SHA256)
    assert not list(cache.iterdir())


def test_a_cache_that_cannot_be_written(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be kept in .*GANVAS_CACHE"):
        fetch(f"{server}/whole", NAME, SHA256)


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / NAME).write_bytes(CONTENT)
    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as one who may read anything
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        fetch(NOWHERE, NAME, SHA256, tmp_path)
