"""How an avatar is put together: its palette and its layers of paint, from back to front."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ganvas.data.builtin import avatar_shapes as shapes
from ganvas.data.builtin.avatar_canvas import Faces, Floats, Shape

# The colours of the coloured attributes; an attribute's values are the keys of its table.
PALETTE: dict[str, dict[str, str]] = {
    "background": {
        "blue": "#a5cff0",
        "green": "#b2dfc0",
        "purple": "#c9baec",
        "coral": "#f5a99c",
        "yellow": "#f7dd91",
        "grey": "#8f9bab",
    },
    "skin": {
        "pale": "#fde3d3",
        "light": "#f4c7a4",
        "tan": "#dca577",
        "brown": "#b67c54",
        "dark": "#87573f",
    },
    "hair_colour": {
        "black": "#1f1d28",
        "brown": "#4e2c1c",
        "blonde": "#f2cf63",
        "red": "#c9502b",
        "grey": "#bcc0cd",
        "pink": "#ee86b7",
    },
    "eye_colour": {"brown": "#5b3417", "blue": "#2f7fd6", "green": "#3f9a4c"},
    "hat_colour": {"red": "#d8433f", "blue": "#2f62b8", "green": "#2f8f5f", "yellow": "#f4b92f"},
    "shirt_colour": {
        "white": "#f6f4ef",
        "red": "#c93f4a",
        "blue": "#3c6cb4",
        "green": "#3a8a62",
        "black": "#34333f",
    },
}

# The parts that a segmentation map tells apart, in the order of their indices. The eyes are white,
# iris and pupil; the lenses of sunglasses belong to the glasses, clear ones do not.
CLASSES: dict[str, str] = {
    "background": "#000000",
    "skin": "#f2b58c",
    "hair": "#8a4b2a",
    "shirt": "#3a6fc4",
    "eyes": "#ffffff",
    "brows": "#4b2a63",
    "nose": "#d98555",
    "mouth": "#d8274c",
    "beard": "#c9962b",
    "glasses": "#19c3c9",
    "hat": "#3fae49",
    "earrings": "#ffe11a",
}

Colour: TypeAlias = Callable[[Faces], Floats]


def rgb(colours: list[str]) -> Floats:
    """(N, 3) RGB in 0..255 of `#rrggbb` codes."""
    return np.array([list(bytes.fromhex(code[1:])) for code in colours], np.float32)


def _of(name: str, light: float = 1.0) -> Colour:
    """The palette's colour of an attribute, darkened by a factor < 1 or mixed with white by > 1."""
    table = rgb(list(PALETTE[name].values()))
    table = table * min(light, 1) + (255 - table) * max(light - 1, 0)
    return lambda f: table[f.code(name)].T


def _plain(code: str) -> Colour:
    value = rgb([code])
    return lambda f: np.repeat(value, len(f), axis=0).T


def _if(name: str, *values: str) -> Callable[[Faces], NDArray[np.bool_]]:
    return lambda f: f.has(name, *values)


def _shining(f: Faces) -> NDArray[np.bool_]:
    return f.has("hat", "none") & ~f.has("hair_style", "bald")


_ANYWHERE = (-99.0, -99.0, 99.0, 99.0)
_FACE = (-0.62, -0.68, 0.62, 0.72)
_EYES = (-0.48, -0.24, 0.48, 0.2)
_LENSES = (-0.6, -0.24, 0.6, 0.22)
_MOUTHS = (-0.36, 0.15, 0.36, 0.5)
_HEAD_TOP = (-0.66, -0.72, 0.66, 0.4)
_SIDES = (-0.8, -0.85, 0.8, 1.0)
_HATS = (-0.68, -1.0, 0.68, -0.05)

_HAIR = _of("hair_colour")
_HAIR_BACK = _of("hair_colour", 0.82)
_HAIR_LIGHT = _of("hair_colour", 1.3)
_SKIN = _of("skin")
_SKIN_SHADE = _of("skin", 0.86)
_HAT = _of("hat_colour")
_HAT_DARK = _of("hat_colour", 0.8)
_MAROON = _plain("#4a0d1a")
_DARK = _plain("#2a2531")
_GLASSES = _plain("#3a2f38")
_GOLD = _plain("#f2b632")
_WHITE = _plain("#ffffff")

LAYERS: tuple[Shape, ...] = (
    # behind the head
    Shape("background", _of("background"), shapes.everywhere, _ANYWHERE, body=True, line="none"),
    Shape(None, _of("background", 1.25), shapes.halo, (-0.8, -0.9, 0.8, 0.8), body=True, edge=0.1),
    Shape("hair", _HAIR_BACK, shapes.curls, _SIDES, _if("hair_style", "curly")),
    Shape("shirt", _of("shirt_colour"), shapes.shirt, (-0.7, 0.68, 0.7, 99.0), body=True),
    Shape("skin", _of("skin", 0.92), shapes.throat, (-0.3, 0.3, 0.3, 0.9), body=True),
    Shape("shirt", _of("shirt_colour", 0.85), shapes.collar, (-0.4, 0.6, 0.4, 1.0), body=True),
    Shape(None, _of("skin", 0.7), shapes.chin_shadow, (-0.4, 0.3, 0.4, 0.9), body=True, edge=0.06),
    Shape("hair", _HAIR_BACK, shapes.curtain, _SIDES, _if("hair_style", "long", "bob")),
    Shape("hair", _HAIR_BACK, shapes.buns, _SIDES, _if("hair_style", "buns")),
    Shape("skin", _SKIN, shapes.ear, (-0.66, -0.1, 0.66, 0.25)),
    Shape(None, _SKIN_SHADE, shapes.inner_ear, (-0.66, -0.1, 0.66, 0.25)),
    # the face
    Shape("skin", _SKIN, shapes.head, _FACE),
    Shape(None, _SKIN_SHADE, shapes.cheek_shade, _FACE, edge=0.02, opacity=0.6),
    Shape(None, _plain("#f0666a"), shapes.blush, (-0.5, 0.0, 0.5, 0.4), edge=0.12, opacity=0.35),
    Shape("beard", _HAIR, shapes.beard, _FACE, _if("beard", "full")),
    Shape("beard", _HAIR, shapes.goatee, (-0.3, 0.4, 0.3, 0.7), _if("beard", "goatee")),
    Shape("beard", _HAIR, shapes.moustache, _MOUTHS, _if("beard", "moustache", "full")),
    Shape("nose", _of("skin", 0.75), shapes.nose, (-0.3, 0.0, 0.3, 0.25), line="solid"),
    Shape("mouth", _MAROON, shapes.mouth_line, _MOUTHS,
          _if("expression", "smiling", "serious", "sad"), line="solid"),
    Shape("mouth", _MAROON, shapes.round_mouth, _MOUTHS, _if("expression", "surprised")),
    Shape("mouth", _MAROON, shapes.laugh, _MOUTHS, _if("expression", "laughing")),
    Shape(None, _WHITE, shapes.teeth, _MOUTHS, _if("expression", "laughing")),
    Shape(None, _plain("#e2606c"), shapes.tongue, _MOUTHS, _if("expression", "laughing")),
    Shape("eyes", _WHITE, shapes.eye, _EYES),
    Shape("eyes", _of("eye_colour"), shapes.iris, _EYES, line="none"),
    Shape("eyes", _plain("#15121a"), shapes.pupil, _EYES, line="solid"),
    Shape(None, _WHITE, shapes.glint, _EYES),
    Shape("eyes", _DARK, shapes.lid, _EYES, line="none"),
    Shape("brows", _of("hair_colour", 0.8), shapes.brow, (-0.45, -0.34, 0.45, -0.05), line="solid"),
    # hair on the forehead
    Shape("hair", _HAIR, shapes.crop, _HEAD_TOP, _if("hair_style", "short")),
    Shape("hair", _HAIR, shapes.parted, _HEAD_TOP, _if("hair_style", "long", "buns")),
    Shape("hair", _HAIR, shapes.bangs, _HEAD_TOP, _if("hair_style", "bob")),
    Shape("hair", _HAIR, shapes.curly_fringe, _HEAD_TOP, _if("hair_style", "curly")),
    Shape(None, _HAIR_LIGHT, shapes.shine, _HEAD_TOP, _shining, edge=0.03, opacity=0.8),
    # things worn
    Shape("earrings", _GOLD, shapes.earring, (-0.7, 0.1, 0.7, 0.42),
          _if("earrings", "studs", "hoops"), line="solid"),
    Shape(None, _WHITE, shapes.rim, _LENSES, _if("glasses", "round", "square"), opacity=0.22),
    Shape("glasses", _GLASSES, shapes.frame, _LENSES, _if("glasses", "round", "square"),
          line="solid"),
    Shape("glasses", _plain("#23202c"), shapes.shade_lens, _LENSES, _if("glasses", "sunglasses"),
          opacity=0.8, line="solid"),
    Shape("glasses", _plain("#15131b"), shapes.shade_frame, _LENSES, _if("glasses", "sunglasses"),
          line="solid"),
    Shape(None, _WHITE, shapes.lens_shine, _LENSES, _if("glasses", "round", "square", "sunglasses"),
          opacity=0.45),
    Shape("hat", _of("hat_colour", 1.25), shapes.pompom, _HATS, _if("hat", "beanie")),
    Shape("hat", _HAT, shapes.dome, _HATS, _if("hat", "cap", "beanie")),
    Shape("hat", _HAT_DARK, shapes.cuff, _HATS, _if("hat", "beanie")),
    Shape("hat", _HAT_DARK, shapes.button, _HATS, _if("hat", "cap")),
    Shape("hat", _plain("#fbf7ee"), shapes.badge, _HATS, _if("hat", "cap")),
    Shape("hat", _HAT_DARK, shapes.visor, _HATS, _if("hat", "cap")),
)  # fmt: skip
