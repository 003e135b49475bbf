"""Films: frames as an animated GIF, an MP4, or numbered pictures in a folder.

Frames come a batch at a time, so that a film may be longer than the memory. Small pictures are
enlarged, every pixel becoming a block, as on a contact sheet; those in a folder stay as they are.
"""

import contextlib
import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain, pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from ganvas.errors import ConfigError, RunError
from ganvas.files import atomic_write, explain_disk_errors
from ganvas.pictures import Bytes, save_png

Kind = Literal["gif", "mp4", "frames"]

LONGEST_GIF_RATE, LONGEST_RATE = 50, 120
"""Frames a second; faster GIFs are slowed down by browsers."""

_SIDE = 256
"""Pixels that the shorter side of a film is enlarged to, about."""

_COLOURS, _PIXELS = 256, 2**18
"""Of a GIF's palette, and about how many pixels it is made from."""


_H264 = ["-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]


@dataclass(frozen=True)
class Film:
    """Where a film goes and how fast it runs.

    Args:
        out: A .gif, an .mp4, or a folder (no suffix).
        fps: Frames a second; says nothing of a folder.

    Raises:
        ConfigError: Another suffix or rate, or an MP4 without the library that writes it.
    """

    out: Path
    fps: int

    def __post_init__(self) -> None:
        if self.kind == "mp4" and find_spec("imageio_ffmpeg") is None:
            raise ConfigError(
                f"{self.out}: writing an MP4 needs ffmpeg: pip install 'ganvas[video]'. A .gif, or "
                "a folder of frames (no suffix), needs nothing."
            )
        most = LONGEST_GIF_RATE if self.kind == "gif" else LONGEST_RATE
        if not 1 <= self.fps <= most:
            raise ConfigError(
                f"--fps {self.fps}: a {self.kind} runs at 1 to {most} frames a second; 24 is usual."
            )

    @property
    def kind(self) -> Kind:
        """What its name asks for."""
        match self.out.suffix.lower():
            case ".gif":
                return "gif"
            case ".mp4":
                return "mp4"
            case "":
                return "frames"
        raise ConfigError(
            f"--out {self.out}: a walk is saved as a sheet (.png), as a film (.gif or .mp4), or as "
            "frames in a folder (no suffix)."
        )

    def write(self, batches: Iterable[Bytes], count: int, colours: Bytes) -> str:
        """Write the frames, and say what was written.

        Args:
            batches: (N, H, W, C) uint8 with 1, 3 or 4 channels, one after the other.
            count: Frames in all of them.
            colours: Some of the frames, (M, H, W, C), from which a GIF takes its one palette.

        Returns:
            A sentence for the user.

        Raises:
            RunError: The place cannot be written, or ffmpeg failed.
        """
        if self.kind == "frames":
            _write_frames(batches, count, self.out)
            return f"{count} frames in {self.out}/"
        frames = (_opaque(frame) for batch in batches for frame in batch)
        if self.kind == "gif":
            _write_gif(frames, count, colours, self)
        else:
            _write_mp4(frames, self)
        return f"{count} frames, {count / self.fps:.3g} s at {self.fps} a second: {self.out}"


def _opaque(frame: Bytes) -> Bytes:
    """(H, W, C) as RGB (H, W, 3), what is transparent on white; films have no transparency."""
    if frame.shape[2] == 4:
        alpha = frame[..., 3:].astype(np.float32) / 255
        return np.rint(frame[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return np.broadcast_to(frame, (*frame.shape[:2], 3))


def _enlarged(frame: Bytes) -> Bytes:
    """Every pixel as a block, so that the shorter side is nearest to that of films."""
    factor = max(1, round(_SIDE / min(frame.shape[:2])))
    return frame.repeat(factor, 0).repeat(factor, 1)


def _write_frames(batches: Iterable[Bytes], count: int, folder: Path) -> None:
    """frame-0000.png, frame-0001.png, ...: what ffmpeg -i frame-%04d.png takes."""
    names = [f"frame-{i:04d}.png" for i in range(count)]
    left_over = {path.name for path in folder.glob("frame-*.png")} - {*names}
    if left_over:
        raise RunError(
            f"{folder} holds {len(left_over)} frames more of a longer film, such as "
            f"{min(left_over)}, which would be taken for frames of this one. Delete them, or "
            "choose another folder with --out."
        )
    frames = (frame for batch in batches for frame in batch)
    for name, frame in zip(names, frames, strict=True):
        save_png(Image.fromarray(frame[..., 0] if frame.shape[2] == 1 else frame), folder / name)


def _write_gif(frames: Iterator[Bytes], count: int, colours: Bytes, film: Film) -> None:
    """One palette for all frames, without dithering: nothing that stands still flickers.

    Where frames in a row are the same, the file has one, shown for as long.
    """
    palette = _palette(np.concatenate([_opaque(frame) for frame in colours]))
    pictures = (
        Image.fromarray(_enlarged(frame)).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    )
    with atomic_write(film.out) as stream:
        next(pictures).save(
            stream, "GIF", save_all=True, append_images=pictures, loop=0, optimize=False,
            duration=_durations(count, film.fps), palette=bytes(palette.getpalette() or ()),
        )  # fmt: skip


def _palette(pixels: Bytes) -> Image.Image:
    """A picture with the palette that suits pixels (H, W, 3)."""
    step = math.ceil(math.sqrt(pixels.shape[0] * pixels.shape[1] / _PIXELS))
    some = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    found = some.quantize(_COLOURS, Image.Quantize.MEDIANCUT, kmeans=1).getpalette()
    colours = np.array(found, np.uint8).reshape(-1, 3)
    once = dict.fromkeys(map(tuple, colours.tolist()))  # Pillow looks them up
    picture = Image.new("P", (1, 1))
    picture.putpalette([*chain.from_iterable(once)])
    return picture


def _durations(count: int, fps: int) -> list[int]:
    """Milliseconds that each frame is shown: in whole hundredths, as GIF has it, right in sum."""
    ends = [round(100 * i / fps) for i in range(count + 1)]
    return [10 * (end - start) for start, end in pairwise(ends)]


def _write_mp4(frames: Iterator[Bytes], film: Film) -> None:
    """H.264 in the one form that every player knows, which has even sides."""
    first = _even(next(frames))
    with tempfile.TemporaryDirectory(prefix="ganvas-") as folder, explain_disk_errors(film.out):
        made = Path(folder) / "film.mp4"  # ffmpeg wants a file of its own
        _encode(chain([first], map(_even, frames)), first.shape, made, film)
        with made.open("rb") as source, atomic_write(film.out) as stream:
            shutil.copyfileobj(source, stream)


def _encode(frames: Iterator[Bytes], shape: tuple[int, ...], made: Path, film: Film) -> None:
    """Send frames of one shape (H, W, 3) to ffmpeg."""
    from imageio_ffmpeg import get_ffmpeg_exe

    size = f"{shape[1]}x{shape[0]}"
    incoming = f"-f rawvideo -pix_fmt rgb24 -s {size} -r {film.fps} -i -".split()
    command = [get_ffmpeg_exe(), "-v", "error", *incoming, *_H264, str(made)]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said) as ffmpeg:
            assert ffmpeg.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it has ended, and said why
                for frame in frames:
                    ffmpeg.stdin.write(frame.tobytes())
                ffmpeg.stdin.close()
        said.seek(0)
        reason = said.read().decode(errors="replace").strip().rpartition("\n")[2]
    if ffmpeg.returncode:
        raise RunError(
            f"{film.out} cannot be written: ffmpeg ended with the code {ffmpeg.returncode} "
            f"({reason or 'and no word of why'}). Try a .gif, or a folder of frames (no suffix)."
        )


def _even(frame: Bytes) -> Bytes:
    """Enlarged, and with the last row or column doubled where their number is odd."""
    frame = _enlarged(frame)
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
