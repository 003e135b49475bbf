"""What the user says about the pictures: the `data` section of a configuration."""

import re
from typing import Annotated, Any, Literal, Self

from PIL import ImageColor
from pydantic import BeforeValidator, Field, NonNegativeInt, field_validator, model_validator

from ganvas.settings import Settings

MAX_SIDE = 4096
"""Longest side in pixels that a pack may have: beyond it a typing error is likelier than a wish."""

Fit = Literal["crop", "pad", "stretch"]


def parse_resolution(value: Any) -> Any:
    """Read `64`, `"64"` (a square) or `"64x96"` (HEIGHTxWIDTH) as `(height, width)`.

    Anything else is returned as it is, for pydantic to judge.

    Raises:
        ValueError: A string that is neither.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d{1,6})\s*(?:[x×]\s*(\d{1,6})\s*)?", value)
        if match is None:
            raise ValueError("write one number (64) or HEIGHTxWIDTH (64x96)")
        return (int(match[1]), int(match[2] or match[1]))
    return value


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _two_names(value: Any) -> Any:
    """Read "segmentation,image" as two names.

    Raises:
        ValueError: A string that is not two names.
    """
    if not isinstance(value, str):
        return value
    names = tuple(part.strip() for part in value.split(","))
    if len(names) != 2 or not all(names):
        raise ValueError("write two names with a comma between them (cat,dog)")
    return names


Side = Annotated[int, Field(ge=4, le=MAX_SIDE)]
Resolution = Annotated[
    tuple[Side, Side],
    BeforeValidator(parse_resolution, json_schema_input_type=int | str | tuple[Side, Side]),
]


class DataConfig(Settings):
    """Which pictures to use and how to bring them to one size."""

    source: str = "avatars"
    """A folder, a ZIP, a Parquet file or a folder of them, `hf:owner/name[:split]`, or a built-in
    name: `avatars` (`avatars:glasses`: that attribute gives the classes), `ring`, `grid`,
    `swiss-roll`, `digits`. `stacked:SOURCE` puts three random digits of a source such as `mnist`
    into the three channels of one picture: 1,000 modes."""

    resolution: Resolution | None = None
    """`64` (square) or `64x96`: HEIGHT x WIDTH in pixels. Without it, the largest usual size that
    the median picture fills (at most 64)."""

    channels: Annotated[Literal["auto", 1, 3, 4], BeforeValidator(_number)] = "auto"
    """1 grey, 3 colour, 4 colour and alpha; `auto` is 1 if all pictures are stored as grey, else 3
    (alpha is then composited on `background`)."""

    images: int | None = Field(default=None, ge=2)
    """Use at most so many: a random subset that is always the same, so that classes keep their
    shares. For pictures that are drawn (`avatars`, the 2-D toys, `stacked:SOURCE`): how many
    (default 20,000)."""

    fit: Fit = "crop"
    """How a picture of another shape is made to fit: `crop` its centre, `pad` it with `background`,
    or `stretch` it."""

    background: str = "white"
    """Colour (a name or `#rrggbb[aa]`) under transparent pixels and around padded pictures."""

    binarise: bool = False
    """Make every value black or white, drawn once with its grey level as the probability of
    white: MNIST as VAEs are compared on in nats (fixed binarisation). One picture always gives
    the same."""

    flip: bool = False
    """Show every picture mirrored left to right half of the time. Only for subjects that may be
    mirrored: not for text, and not for faces if the side of the parting matters."""

    held_out: Literal["auto"] | NonNegativeInt = "auto"
    """How many pictures are never trained on but judged by. `auto`: a tenth, at most 6,000, and
    none of fewer than 200. Drawn pictures (`avatars`, the 2-D toys) need none: more are drawn. Of
    two domains so many each."""

    target: str | None = None
    """For models that translate: a second source, of the pictures to translate into, where
    `source` has those to translate. Pictures of equal names are pairs."""

    pair: Literal["AB", "BA"] | None = None
    """Every picture of `source` holds two, side by side: the one to translate on the left and what
    it should become on the right (`AB`), or the other way round (`BA`)."""

    domains: Annotated[tuple[str, str] | None, BeforeValidator(_two_names)] = None
    """Two of what `source` holds: two of its classes (`none,round` of `avatars:glasses`), or, as
    pairs, two image columns of a Parquet file, or two views of `avatars` (`image`, `lines`,
    `segmentation`)."""

    target_channels: Annotated[Literal["auto", 1, 3, 4], BeforeValidator(_number)] = "auto"
    """Channels of the pictures to translate into; `channels` is about those to translate."""

    jitter: float = Field(default=0.0, ge=0.0, le=0.5)
    """While a model that translates trains, show a random window of each picture, a share of
    1 / (1 + jitter) of its sides, enlarged to full size; of a pair the same window. 0.1171875 is
    what Pix2Pix and CycleGAN did (256 pixels enlarged to 286, of which 256 were shown)."""

    @model_validator(mode="after")
    def _has_one_second_domain(self) -> Self:
        given = {"target": self.target, "pair": self.pair, "domains": self.domains}
        named = [name for name, value in given.items() if value is not None]
        if len(named) > 1:
            raise ValueError(
                f"{' and '.join(named)} each say where the second domain is: give one of them"
            )
        if named and self.binarise:
            raise ValueError("binarise is for pictures of one domain, not for those of pairs")
        return self

    @property
    def has_target(self) -> bool:
        """Whether there is a second domain, to translate into."""
        return any(value is not None for value in (self.target, self.pair, self.domains))

    @field_validator("background")
    @classmethod
    def _is_a_colour(cls, value: str) -> str:
        try:
            ImageColor.getcolor(value, "RGBA")
        except ValueError:
            raise ValueError("not a colour: write a name (white) or #rrggbb") from None
        return value
