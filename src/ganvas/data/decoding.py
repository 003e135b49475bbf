"""From the bytes of one untrusted file to pixels of the wanted size.

Every way in which a file can be unusable ends in `PictureError`, with the reason in words. The
number of pixels that a header declares is checked before any of them is decoded.
"""

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .binarising import binarise
from .fitting import REDUCING_GAP, fit_deep, fit_image
from .fitting import Geometry as Geometry
from .fitting import Part as Part

MAX_PIXELS = 100_000_000
"""Files that declare more pixels than this are refused undecoded (a decompression bomb)."""

MAX_BYTES = 256 * 2**20
"""Files larger than this are refused unread."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF")
"""What is decoded. Not EPS (runs Ghostscript), nor the rarely fuzzed readers of old formats."""

SUFFIXES = frozenset((
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm",
    ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
))  # fmt: skip
"""What the name of a picture file ends in."""

_MOST = f"{MAX_PIXELS / 1e6:.0f} megapixels"
_ORIENTATION = 0x0112  # EXIF tag; what undoes each of its values:
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"})

ProblemKind = Literal[
    "empty", "truncated", "not an image", "bomb", "too large", "unsupported", "link", "unreadable",
    "odd width", "sizes differ",
]  # fmt: skip
ChangeKind = Literal["animated", "CMYK", "16-bit", "palette", "alpha", "EXIF rotation", "converted"]


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used, and why."""

    name: str
    kind: ProblemKind
    reason: str


@dataclass(frozen=True)
class Change:
    """A file that is used, but not as it is."""

    name: str
    kind: ChangeKind
    action: str


class PictureError(Exception):
    """Raised inside `ganvas.data` for a picture that has to be left out."""

    def __init__(self, kind: ProblemKind, reason: str):
        super().__init__(reason)
        self.kind: ProblemKind = kind
        self.reason = reason

    def named(self, name: str) -> Problem:
        """The same as a value, with the name of the file."""
        return Problem(name, self.kind, self.reason)


class NotGreyError(Exception):
    """Raised by `decode` for a picture in colour where only grey ones were expected."""


@dataclass(frozen=True)
class Facts:
    """What `examine` saw in one picture that decodes."""

    format: str
    mode: str
    size: tuple[int, int]
    """(width, height) as shown, that is after EXIF rotation."""
    grey: bool
    """Stored as grey values."""
    changes: tuple[tuple[ChangeKind, str], ...]


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings about files: what matters in them is reported by name instead."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


@contextlib.contextmanager
def _explain() -> Iterator[None]:
    """Turn whatever Pillow raises on a broken file into `PictureError`."""
    try:
        yield
    except UnidentifiedImageError:
        raise PictureError("not an image", "its bytes are no picture in a known format") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError("bomb", f"it declares more than {_MOST}") from None
    except MemoryError:
        raise PictureError("bomb", "decoding it needs more memory than there is") from None
    except (OSError, EOFError, IndexError, struct.error) as error:
        if isinstance(error, OSError) and "truncated" not in str(error):
            raise PictureError("truncated", f"truncated or damaged ({error})") from None
        raise PictureError("truncated", "the file ends before the picture does") from None
    except (SyntaxError, ValueError, TypeError, KeyError, AttributeError, zlib.error) as error:
        raise PictureError("truncated", f"truncated or damaged ({error})") from None
    except (OverflowError, ZeroDivisionError, NotImplementedError, RuntimeError) as error:
        raise PictureError("unsupported", f"it cannot be decoded ({error})") from None


def open_header(data: bytes) -> Image.Image:
    """Identify a picture and check its declared size; no pixel is decoded.

    Raises:
        PictureError: Empty, not an image, or more than `MAX_PIXELS`.
    """
    if not data:
        raise PictureError("empty", "the file is empty (zero bytes)")
    with _explain():
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PictureError("bomb", f"it declares {width}x{height} pixels, more than {_MOST}")
    return image


def is_grey(image: Image.Image) -> bool:
    """Whether a picture is stored as grey values (its mode says so, not its pixels)."""
    return image.mode in _GREY_MODES


def is_deep(image: Image.Image) -> bool:
    """Whether a picture is stored as grey values of 16 bits."""
    return image.mode.startswith("I;16")


def decode(data: bytes, geometry: Geometry, *, only_grey: bool = False) -> NDArray[Any]:
    """Decode one file and bring it to the form of the pack.

    Args:
        data: The bytes of the file.
        geometry: The form.
        only_grey: Refuse colour rather than convert it to grey.

    Returns:
        uint8 array of shape (height, width, channels), or uint16 as the geometry says.

    Raises:
        PictureError: The file is broken in any way.
        NotGreyError: It is in colour and `only_grey` is set.
    """
    image = open_header(data)
    if only_grey and not is_grey(image):
        raise NotGreyError
    with _explain():
        if geometry.part == "whole":  # else the middle must stay where it is
            longest = int(max(geometry.resolution) * REDUCING_GAP)
            image.draft(None, (longest, longest))  # only JPEG obeys
        image.load()
        orientation = _orientation(image)
        if geometry.bits == 16 and is_grey(image):
            return fit_deep(_cut(_upright(_deep(image), orientation), geometry.part), geometry)
        fitted = fit_image(_cut(_upright(_plain(image), orientation), geometry.part), geometry)
    if geometry.binarised:
        return binarise(fitted)
    return fitted if geometry.bits == 8 else fitted.astype(np.uint16) * 257


def size_of(data: bytes, part: Part = "whole") -> tuple[int, int]:
    """(width, height) of a picture, or of its part, as it is shown; no pixel is decoded.

    Raises:
        PictureError: Its header is broken, or its width is odd so that it has no halves.
    """
    image = open_header(data)
    width, height = image.size if _orientation(image) <= 4 else (image.height, image.width)
    return (width, height) if part == "whole" else (_half(width), height)


def _cut(image: Image.Image, part: Part) -> Image.Image:
    """A part of a picture; PictureError if its width is odd so that it has no halves."""
    if part == "whole":
        return image
    middle = _half(image.width)
    if part == "left":
        return image.crop((0, 0, middle, image.height))
    return image.crop((middle, 0, image.width, image.height))


def _half(width: int) -> int:
    """Half of a width in pixels; PictureError if it is odd."""
    if width % 2:
        raise PictureError(
            "odd width", f"{width} pixels wide, which cannot be cut into two equal halves"
        )
    return width // 2


def examine(data: bytes) -> Facts:
    """Decode one file in full and say what it is.

    Raises:
        PictureError: The file is broken in any way.
    """
    image = open_header(data)
    stored, mode, size, grey = str(image.format), image.mode, image.size, is_grey(image)
    with _explain():
        changes = list(_changes(image))
        image.draft(None, (1, 1))  # reads all of a JPEG, but computes few of its pixels
        image.load()
        _plain(image)
        if _orientation(image) > 1:
            changes.append(("EXIF rotation", "turned upright as its EXIF orientation says"))
        if _orientation(image) > 4:
            size = (size[1], size[0])
    return Facts(stored, mode, size, grey, tuple(changes))


def _changes(image: Image.Image) -> Iterator[tuple[ChangeKind, str]]:
    # MPO is a JPEG photo with previews. n_frames is not asked: it may have to read the whole file.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        yield "animated", "the first of its frames or pages is used"
    if image.mode == "CMYK":
        yield "CMYK", "converted from CMYK to RGB"
    elif image.mode.startswith("I"):
        yield "16-bit", "scaled from 16 to 8 bits (but for models that translate)"
    elif image.mode in ("P", "PA"):
        yield "palette", "its palette is converted to RGB"
    elif image.mode not in ("1", "L", "LA", "RGB", "RGBA"):
        yield "converted", f"converted from {image.mode} to RGB"
    if image.has_transparency_data:
        yield "alpha", "transparent pixels are composited on the background (kept with 4 channels)"


def _plain(image: Image.Image) -> Image.Image:
    """Bring any mode to L, LA, RGB or RGBA without losing grey levels or transparency."""
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.mode == "F":
        raise PictureError(
            "unsupported", "its pixels are floats, whose white is not known: store 8 or 16 bits"
        )
    if image.mode in ("L", "LA", "RGB", "RGBA") and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        return image.convert("LA" if is_grey(image) else "RGBA")
    return image.convert("L" if is_grey(image) else "RGB")


def _deep(image: Image.Image) -> Image.Image:
    """Grey of any depth as floats from 0 to 65535, the only form in which Pillow resizes those."""
    if image.mode.startswith("I"):
        return Image.fromarray(_values(image).astype(np.float32))
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.float32) * 257)


def _values(image: Image.Image) -> NDArray[Any]:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise PictureError(
            "unsupported", "its pixels are 32-bit integers, whose white is not known: store 8 or 16"
        )
    return values


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Scale 0..65535 to 0..255, rounding; Pillow's own conversion clips at 255."""
    values = _values(image)
    scaled = Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    transparent = image.info.get("transparency")  # a PNG's single transparent grey level
    if isinstance(transparent, int):
        alpha = Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))
        scaled = Image.merge("LA", (scaled, alpha))
    return scaled


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8; damaged EXIF counts as none."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
