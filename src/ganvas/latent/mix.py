"""Style mixing: one picture's layers driven by another picture's styles.

Karras et al. 2019, section 3.1 and figure 3: styles at coarse resolutions set pose, shape and the
face's outline, at middle ones its features, at fine ones colours and texture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.latent.points import Points
from ganvas.latent.sheet import blank, parted
from ganvas.latent.space import Space, open_space
from ganvas.latent.styles import styles_of, without_styles
from ganvas.models.base import LatentModel, Styles, class_labels
from ganvas.pictures import to_uint8

_NAMED = {"coarse": (0, 8), "middle": (8, 32), "fine": (32, float("inf"))}
"""Heights in pixels above the first and up to the second: the paper's 4-8, 16-32 and 64-1024."""

_PIXELS = {"coarse": "up to 8 px", "middle": "16 to 32 px", "fine": "64 px and up"}


@dataclass(frozen=True, eq=False)
class Mix:
    """Pictures with the styles of two; images are float32 in [-1, 1].

    Attributes:
        rows: (R, C, H, W), the pictures whose styles stay in the other layers.
        columns: (K, C, H, W), those whose styles are put into the chosen layers.
        cells: (R, K, C, H, W), each row's picture with the chosen layers of each column's.
        layers: The chosen layers, 0 being the coarsest.
    """

    rows: Tensor
    columns: Tensor
    cells: Tensor
    layers: tuple[int, ...]

    def sheet(self) -> Image.Image:
        """The paper's figure: above each column and before each row its source, set apart."""
        columns, rows = to_uint8(self.columns), to_uint8(self.rows)
        pictures = [blank(columns[0]), *columns]
        for row, cells in zip(rows, self.cells, strict=True):
            pictures += [row, *to_uint8(cells)]
        return parted(pictures, 1 + len(columns), first_row=True)


def mix(
    model: LatentModel,
    rows: Sequence[int | Points],
    columns: Sequence[int | Points],
    layers: str | Sequence[int] = "coarse",
    *,
    labels: Sequence[int | str] = (),
    truncation: float | None = None,
) -> Mix:
    """Put styles of the columns' pictures into the rows' pictures.

    Args:
        model: What `ganvas.load` returns, with styles.
        rows: The pictures that are changed: seeds as in `sample`, and points that `invert` found.
        columns: The pictures whose styles they get, likewise.
        layers: Which: coarse (up to 8 px), middle (16 to 32 px), fine (64 px and up), all, or
            numbers such as "0-3" or "2,5".
        labels: For a class-conditional model, classes of the seeds of the rows, then of the
            columns, in turn (default: every class in turn).
        truncation: psi of the seeds, from -2 to 2, as in `sample`.

    Returns:
        The sources and the mixed pictures, float32 in [-1, 1]; `Mix.sheet` lays them out.

    Raises:
        ConfigError: A model without styles, no such layers, no seeds, no such class or truncation.
    """
    if not isinstance(model, Styles):
        raise without_styles("mix them")
    chosen = choose_layers(layers, model.layer_resolutions)
    if not rows or not columns:
        raise ConfigError("a mix needs seeds for its rows and for its columns, e.g. 1,2,3.")
    space = open_space(model, "w+")
    ends = _styles(space, [*rows, *columns], labels, truncation)
    styles, count = torch.cat(ends), sum(len(end) for end in ends[: len(rows)])
    sources = space.draw(styles)
    mixed = mixed_styles(styles[:count], styles[count:], chosen)
    cells = space.draw(mixed.flatten(0, 1)).unflatten(0, mixed.shape[:2])
    return Mix(sources[:count], sources[count:], cells, chosen)


def _styles(
    space: Space,
    ends: Sequence[int | Points],
    labels: Sequence[int | str],
    truncation: float | None,
) -> list[Tensor]:
    """The styles w+ (n, layers, L) of each seed, of which n is 1, or of what was found."""
    model = space.model
    seeds = [end for end in ends if not isinstance(end, Points)]
    drawn = iter(styles_of(model, seeds, labels, truncation) if seeds else ())
    return [
        space.lift(end.values, end.space, class_labels(model, end.labels or (), len(end)))
        if isinstance(end, Points)
        else space.lift(next(drawn)[None], "w")
        for end in ends
    ]


def mixed_styles(rows: Tensor, columns: Tensor, layers: Sequence[int]) -> Tensor:
    """w+ (R, layers, L) with the chosen layers of w+ (K, layers, L): (R, K, layers, L)."""
    replaced = torch.zeros(rows.shape[1], 1, dtype=torch.bool, device=rows.device)
    replaced[list(layers)] = True
    return torch.where(replaced, columns[None], rows[:, None])


def choose_layers(layers: str | Sequence[int], resolutions: Sequence[int]) -> tuple[int, ...]:
    """The numbers of the layers asked for, ascending, for layers at these heights in pixels.

    Raises ConfigError for a name or a number that this model has no layers for.
    """
    asked = layers.strip() if isinstance(layers, str) else ",".join(map(str, layers))
    named = named_layers(resolutions)
    if asked in named:
        return named[asked]
    if asked in _NAMED:
        raise ConfigError(
            f"--layers: this model has no {asked} layers ({_PIXELS[asked]}). {_valid(named)}"
        )
    spans = [_span(part, len(resolutions)) for part in asked.split(",")]
    if not all(spans):
        raise ConfigError(f"--layers {asked!r} names no layers of this model. {_valid(named)}")
    return tuple(sorted({number for span in spans for number in span}))


def named_layers(resolutions: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The layers of each name that has any, for layers at these heights in pixels."""
    found = {
        name: tuple(i for i, height in enumerate(resolutions) if above < height <= up_to)
        for name, (above, up_to) in _NAMED.items()
    }
    found["all"] = tuple(range(len(resolutions)))
    return {name: numbers for name, numbers in found.items() if numbers}


def written(layers: Sequence[int]) -> str:
    """Ascending numbers of layers as --layers takes them: 0-3,5."""
    text = ""
    for i, layer in enumerate(layers):
        follows = i > 0 and layers[i - 1] == layer - 1
        goes_on = i + 1 < len(layers) and layers[i + 1] == layer + 1
        if not follows:
            text += f",{layer}" if text else f"{layer}"
        elif not goes_on:
            text += f"-{layer}"
    return text


def _span(part: str, count: int) -> range:
    """The numbers of "3" or "0-3"; none for what is no number, or no layer of so many."""
    ends = [end.strip() for end in part.split("-")]
    if len(ends) > 2 or not all(end.isascii() and end.isdecimal() for end in ends):
        return range(0)
    first, last = (int(end) if len(end) < 9 else count for end in (ends[0], ends[-1]))
    return range(first, last + 1) if first <= last < count else range(0)


def _valid(named: dict[str, tuple[int, ...]]) -> str:
    """What may be asked for."""
    names = ", ".join(f"{name} ({written(numbers)})" for name, numbers in named.items())
    last = named["all"][-1]
    return f"It has {names}; or give numbers from 0 (coarsest) to {last}, such as 0-2 or 1,3."
