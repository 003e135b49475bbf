"""The built-in data sets as sources: what the package draws, samples or carries itself."""

import io
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganvas.errors import DataError
from ganvas.settings import nearest

from .builtin import avatars, digits, toys
from .source_types import DrawnSource, Encoded, Listing, PictureSource, PointSource, Source

BUILTIN = ("avatars", "ring", "grid", "swiss-roll", "digits")
"""Names that need no file."""

DEFAULT_COUNT = 20_000
"""How many avatars or points are drawn unless `images` says otherwise."""

AVATAR_RESOLUTION = (48, 48)
"""(height, width) at which avatars are drawn unless `resolution` says otherwise."""

AVATAR_CLASSES = "hair_style"
"""The attribute whose values are the classes of plain `avatars`."""

_SEED = 0


def open_builtin(name: str) -> Source:
    """Open a built-in data set by its name, for avatars with an attribute: `avatars:glasses`.

    Raises:
        DataError: An attribute that does not exist, or one given to something else than avatars.
    """
    base, _, attribute = name.partition(":")
    if attribute and base != "avatars":
        raise DataError(
            f"There is no data source {name!r}: only avatars take an attribute after a colon, such "
            f"as avatars:glasses. Write {base!r}."
        )
    if base == "avatars":
        return AvatarSource(name, attribute or AVATAR_CLASSES)
    return DigitSource() if base == "digits" else ToySource(base)


@cache
def _drawing_code() -> str:
    """A hash of the code that draws: a pack made by another version of it is stale."""
    total = sha256()
    for path in sorted((Path(__file__).parent / "builtin").glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()


class AvatarSource(DrawnSource):
    """Cartoon faces, with one of their attributes as the class."""

    def __init__(self, name: str, attribute: str):
        discrete = {a.name: a.values for a in avatars.ATTRIBUTES if a.kind == "discrete"}
        if attribute not in discrete:
            raise DataError(
                f"Avatars have no attribute {attribute!r} that could give classes."
                f"{nearest(attribute, list(discrete))}"
            )
        identity = {
            "avatars": attribute,
            "seed": _SEED,
            "code": _drawing_code(),
            "resolution": AVATAR_RESOLUTION,
        }
        super().__init__(name, identity, discrete[attribute], AVATAR_RESOLUTION)
        self._attribute = attribute

    def draw(self, indices: range, resolution: tuple[int, int]) -> NDArray[np.uint8]:
        """Draw these faces: uint8 (N, H, W, 3)."""
        return avatars.generate(indices, resolution, seed=_SEED)

    def labels(self, indices: range) -> NDArray[np.int64]:
        """The code of the attribute for each of these faces, int64 (N,)."""
        return np.asarray(avatars.draw_attributes(indices, _SEED)[self._attribute], np.int64)


class ToySource(PointSource):
    """Points around modes on a ring or a grid, or along a spiral."""

    def __init__(self, name: str):
        super().__init__(name, {"toy": name, "seed": _SEED, "code": _drawing_code()})

    def sample(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Points, float32 (count, 2), and the index of their mode, int64 (count,)."""
        return toys.sample_points(self.name, count, _SEED)


class DigitSource(PictureSource):
    """scikit-learn's digits, each as a small PNG, so that they take the path of any picture."""

    def __init__(self) -> None:
        self._images, labels = digits.load_digits()
        names = tuple(f"digit {index}" for index in range(len(labels)))
        listing = Listing(names, labels, tuple("0123456789"))
        super().__init__("digits", {"digits": _drawing_code()}, listing)

    def read(self, indices: NDArray[np.int64]) -> Iterator[Encoded]:
        """Encode these digits."""
        for index in indices.tolist():
            stream = io.BytesIO()
            Image.fromarray(self._images[index, :, :, 0]).save(stream, "PNG", compress_level=0)
            yield Encoded(index, self.listing.names[index], stream.getvalue())
