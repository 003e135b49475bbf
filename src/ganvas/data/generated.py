"""The built-in data sets as sources: what the package draws, samples or carries itself."""

import io
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganvas.errors import DataError
from ganvas.settings import nearest

from .builtin import avatars, digits, toys
from .source_types import DrawnSource, Encoded, Listing, PictureSource, PointSource, Source, digest

BUILTIN = ("avatars", "ring", "grid", "swiss-roll", "digits")
"""Names that need no file."""

DEFAULT_COUNT = 20_000
"""How many avatars or points are drawn unless `images` says otherwise."""

AVATAR_RESOLUTION = (48, 48)
"""(height, width) at which avatars are drawn unless `resolution` says otherwise."""

AVATAR_CLASSES = "hair_style"
"""The attribute whose values are the classes of plain `avatars`."""

_SEED = 0
_SEARCHED_AT_ONCE = 50_000  # faces, when those of one kind are looked for


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
    """Cartoon faces, with one of their attributes as the class.

    Args:
        name: As the user wrote it.
        attribute: What gives the classes.
        view: What is drawn of each face.
    """

    def __init__(self, name: str, attribute: str, view: avatars.View = "image"):
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
            **({} if view == "image" else {"view": view}),
        }
        channels: Literal[1, 3] = 1 if view == "lines" else 3
        super().__init__(name, identity, discrete[attribute], AVATAR_RESOLUTION, channels)
        self.attribute = attribute
        self._view = view

    def of_view(self, view: avatars.View) -> "AvatarSource":
        """The same faces, drawn otherwise."""
        return AvatarSource(f"{self.name} ({view})", self.attribute, view)

    def draw(self, indices: range, resolution: tuple[int, int]) -> NDArray[np.uint8]:
        """Draw these faces: uint8 (N, H, W, channels)."""
        return avatars.render(self.attributes(indices), resolution, self._view)

    def labels(self, indices: range) -> NDArray[np.int64] | None:
        """The code of the attribute for each of these faces, int64 (N,)."""
        return np.asarray(self.attributes(indices)[self.attribute], np.int64)

    def captions(self, indices: range) -> list[str] | None:
        """A sentence on each of these faces."""
        return avatars.captions(self.attributes(indices))

    def attributes(self, indices: range) -> dict[str, NDArray[Any]]:
        """The truth: every attribute of these faces, (N,) each."""
        return avatars.draw_attributes(indices, _SEED)


class AlikeAvatarSource(AvatarSource):
    """Only those faces of which the attribute has one value; without classes."""

    def __init__(self, name: str, attribute: str, value: str):
        super().__init__(f"{name} ({value})", attribute)
        self._code = self.classes.index(value)
        self.identity = digest([self.identity, value])
        self.classes = ()
        self._faces: NDArray[np.int64] = np.empty(0, np.int64)
        self._searched = 0

    def labels(self, indices: range) -> NDArray[np.int64] | None:
        """None: they are all alike."""
        return None

    def attributes(self, indices: range) -> dict[str, NDArray[Any]]:
        """Every attribute of these faces, the first being the first with that value."""
        if not indices:
            return super().attributes(range(0))
        faces = self._find(indices.stop)[indices.start : indices.stop]
        around = super().attributes(range(int(faces[0]), int(faces[-1]) + 1))
        return {name: values[faces - faces[0]] for name, values in around.items()}

    def _find(self, count: int) -> NDArray[np.int64]:
        """The places of the first `count` such faces among all avatars, ascending, or of more."""
        while len(self._faces) < count:
            part = range(self._searched, self._searched + _SEARCHED_AT_ONCE)
            alike = np.flatnonzero(super().attributes(part)[self.attribute] == self._code)
            self._faces = np.concatenate([self._faces, alike + part.start])
            self._searched = part.stop
        return self._faces


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
