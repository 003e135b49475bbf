import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from ganvas.errors import ConfigError, RunError
from ganvas.latent.film import Film
from ganvas.pictures import Bytes


def moving(frames: int, shape: tuple[int, int, int] = (16, 20, 3)) -> Bytes:
    """Frames in which a dark bar wanders over a gradient."""
    height, width, _ = shape
    ramp = np.linspace(40, 250, width).astype(np.uint8)
    film = np.broadcast_to(ramp[None, None, :, None], (frames, *shape)).copy()
    for i in range(frames):
        film[i, :, i % width, :3] = 5
    if shape[2] == 4:
        film[..., 3] = 255
        film[:, : height // 2, :, 3] = 0
    return film


def batches(film: Bytes) -> Iterator[Bytes]:
    yield from (film[start : start + 4] for start in range(0, len(film), 4))


def write(out: Path, film: Bytes, fps: int = 25) -> str:
    return Film(out, fps).write(batches(film), len(film), film)


def read_gif(path: Path) -> tuple[Bytes, list[int]]:
    with Image.open(path) as gif:
        frames = [
            (np.asarray(f.convert("RGB")), f.info["duration"]) for f in ImageSequence.Iterator(gif)
        ]
    return np.stack([frame for frame, _ in frames]), [duration for _, duration in frames]


def read_mp4(path: Path, height: int, width: int) -> Bytes:
    from imageio_ffmpeg import get_ffmpeg_exe

    command = [get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    raw = subprocess.run(
        [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True
    ).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def local_palettes(data: bytes) -> list[bool]:
    """Whether each frame of a GIF has a palette of its own."""

    def after_blocks(at: int) -> int:
        while data[at]:
            at += data[at] + 1
        return at + 1

    def palette(flags: int) -> int:
        return 3 * 2 ** ((flags & 7) + 1) if flags & 128 else 0

    at, found = 13 + palette(data[10]), []
    while data[at] != 0x3B:
        if data[at] == 0x21:
            at = after_blocks(at + 2)
        else:
            flags = data[at + 9]
            found.append(bool(flags & 128))
            at = after_blocks(at + 11 + palette(flags))
    return found


def enlarged(film: Bytes, factor: int) -> Bytes:
    return film.repeat(factor, 1).repeat(factor, 2)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_gif_shows_the_frames(channels: int, tmp_path: Path) -> None:
    film = moving(9, (16, 20, channels))
    said = write(tmp_path / "a.gif", film)
    assert said == f"9 frames, 0.36 s at 25 a second: {tmp_path / 'a.gif'}"
    frames, durations = read_gif(tmp_path / "a.gif")
    expected = np.broadcast_to(film[..., :3], (9, 16, 20, 3)).copy()
    if channels == 4:
        expected[:, :8] = 255  # transparent, on white
    assert frames.shape == (9, 256, 320, 3)
    assert np.abs(frames.astype(int) - enlarged(expected, 16)).max() <= 12
    assert durations == [40] * 9


def test_a_gif_has_one_palette(tmp_path: Path) -> None:
    write(tmp_path / "a.gif", moving(9))
    assert local_palettes((tmp_path / "a.gif").read_bytes()) == [False] * 9


def test_a_gif_runs_at_the_rate_on_the_whole(tmp_path: Path) -> None:
    write(tmp_path / "a.gif", moving(12), fps=24)
    _, durations = read_gif(tmp_path / "a.gif")
    assert {*durations} == {40, 50}
    assert sum(durations) == 500


def test_what_stands_still_does_not_flicker(tmp_path: Path) -> None:
    film = moving(10)
    film[:, 8:] = film[0, 8:]
    write(tmp_path / "a.gif", film)
    frames, _ = read_gif(tmp_path / "a.gif")
    assert (frames[:, 128:] == frames[0, 128:]).all()


@pytest.mark.parametrize("shape", [(16, 20, 3), (16, 20, 1), (301, 299, 3)])
def test_an_mp4_shows_the_frames(shape: tuple[int, int, int], tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    film = moving(11, shape)
    write(tmp_path / "a.mp4", film, fps=30)
    factor = 16 if shape[0] == 16 else 1
    expected = enlarged(np.broadcast_to(film, (11, *shape[:2], 3)), factor)
    height, width = expected.shape[1:3]
    frames = read_mp4(tmp_path / "a.mp4", height + height % 2, width + width % 2)
    assert len(frames) == 11
    seen = frames[:, :height, :width].astype(int)
    assert np.abs(seen - expected).mean() < 4
    assert [*tmp_path.iterdir()] == [tmp_path / "a.mp4"]


def test_frames_in_a_folder(tmp_path: Path) -> None:
    for channels in (1, 3, 4):
        film = moving(5, (16, 20, channels))
        folder = tmp_path / str(channels)
        assert write(folder, film) == f"5 frames in {folder}/"
        for i, frame in enumerate(film):
            with Image.open(folder / f"frame-{i:04d}.png") as picture:
                assert (np.asarray(picture).reshape(frame.shape) == frame).all()


def test_a_folder_with_frames_of_a_longer_film_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", moving(5))
    write(tmp_path / "a", moving(5))
    with pytest.raises(RunError, match=r"2 frames more of a longer film, such as frame-0003\.png"):
        write(tmp_path / "a", moving(3))


def test_a_wrong_name_or_rate_is_refused(tmp_path: Path) -> None:
    for name in ("a.avi", "a.jpg"):
        with pytest.raises(ConfigError, match=r"\.gif or \.mp4"):
            Film(tmp_path / name, 24)
    for name, fps in (("a.gif", 51), ("a.gif", 0), ("a", 121)):
        with pytest.raises(ConfigError, match=f"--fps {fps}"):
            Film(tmp_path / name, fps)


def test_mp4_without_ffmpeg_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganvas.latent.film.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'ganvas\[video\]'"):
        Film(tmp_path / "a.mp4", 24)
    Film(tmp_path / "a.gif", 24)


def test_an_ffmpeg_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imageio_ffmpeg")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "false")  # a program that ends at once
    with pytest.raises(RunError, match=r"a\.mp4 cannot be written: ffmpeg"):
        write(tmp_path / "a.mp4", moving(200, (128, 128, 3)))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["a.gif", "a.mp4", "a"])
def test_a_place_that_cannot_be_written(name: str, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        write(tmp_path / "file" / name, moving(2))


def test_a_film_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[Bytes]:
        yield moving(4)
        raise RunError("the weights have diverged")

    for name in ("a.gif", "a.mp4"):
        with pytest.raises(RunError, match="diverged"):
            Film(tmp_path / name, 24).write(broken(), 8, moving(4))
    assert not [*tmp_path.iterdir()]
