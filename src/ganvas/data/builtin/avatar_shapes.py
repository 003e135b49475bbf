"""The geometry of an avatar: one signed distance per shape, at (x, y) in the frame of its face.

A distance is negative inside, so `np.minimum` of two is their union, `np.maximum` their overlap,
and `-distance` what is outside.
"""

import numpy as np

from ganvas.data.builtin.avatar_canvas import Faces, Floats, bow, box, circle, ellipse, segment

EYE = 0.19  # half the distance between the eyes of a face of width 1
MOUTH = 0.33
HAT_LINE = -0.29  # a hat covers the head above

# --- body -----------------------------------------------------------------------------------


def everywhere(x: Floats, y: Floats, _f: Faces) -> Floats:
    """The whole picture."""
    return np.full(np.broadcast_shapes(x.shape, y.shape), np.float32(-1e3))


def halo(x: Floats, y: Floats, _f: Faces) -> Floats:
    """A disc of light behind the head."""
    return circle(x, y + 0.05, 0.75)


def shirt(x: Floats, y: Floats, _f: Faces) -> Floats:
    """Round shoulders, and down without end."""
    return box(x, y - 40.72, 0.68, 40.0, 0.36)


def neckline(x: Floats, y: Floats, _f: Faces) -> Floats:
    """The opening of the shirt."""
    return ellipse(x, y - 0.72, 0.27, 0.15)


def collar(x: Floats, y: Floats, f: Faces) -> Floats:
    """The ring around the neckline."""
    return np.maximum(np.abs(neckline(x, y, f) - 0.03) - 0.03, shirt(x, y, f))


def throat(x: Floats, y: Floats, f: Faces) -> Floats:
    """The neck, and the skin that the neckline shows."""
    neck = box(x, y - 0.6, 0.19, 0.24, 0.1)
    return np.minimum(neck, np.maximum(neckline(x, y, f), 0.7 - y))


def chin_shadow(x: Floats, y: Floats, f: Faces) -> Floats:
    """What the chin shades of the throat."""
    return np.maximum(ellipse(x, y - 0.5, 0.36, 0.19), throat(x, y, f) + 0.03)


# --- head -----------------------------------------------------------------------------------


def head(x: Floats, y: Floats, f: Faces) -> Floats:
    """An egg, narrower at the chin."""
    narrowing = 1 + 0.2 * np.maximum(y, 0)
    return ellipse(x * narrowing, y - 0.03, 0.46 * f["face_width"], 0.56)


def ear(x: Floats, y: Floats, f: Faces, scale: float = 1.0) -> Floats:
    """Both ears; the far one slips behind a turned head."""
    centre = np.abs(x + 0.03 * f["turn"]) - 0.455 * f["face_width"]
    return ellipse(centre, y - 0.07, 0.085 * scale, 0.12 * scale)


def inner_ear(x: Floats, y: Floats, f: Faces) -> Floats:
    """The hollow of the ears."""
    return ear(x, y, f, scale=0.55)


def earring(x: Floats, y: Floats, f: Faces) -> Floats:
    """A stud on each lobe, or a hoop below it."""
    centre = np.abs(x + 0.03 * f["turn"]) - 0.49 * f["face_width"]
    hoop = np.abs(circle(centre, y - 0.27, 0.075)) - 0.024
    stud = circle(centre, y - 0.2, 0.052)
    return np.where(f.has("earrings", "hoops"), hoop, stud)


def cheek_shade(x: Floats, y: Floats, f: Faces) -> Floats:
    """A crescent of shadow along the right and lower edge."""
    lit = head(x + 0.07, y + 0.05, f)
    return np.maximum(head(x, y, f), -lit)


def blush(x: Floats, y: Floats, f: Faces) -> Floats:
    """Both cheeks."""
    return circle(np.abs(_front(x, f)) - 0.25 * f["face_width"], y - 0.19, 0.06)


def _front(x: Floats, f: Faces, depth: float = 0.08) -> Floats:
    """X on the front of the face, which a turn of the head moves more than its outline."""
    return x - depth * f["turn"]


def eye(x: Floats, y: Floats, f: Faces) -> Floats:
    """The whites."""
    size = f["eye_size"]
    return ellipse(_eye_x(x, f), y + 0.02, 0.088 * size, 0.1 * size)


def _eye_x(x: Floats, f: Faces) -> Floats:
    """X from the centre of the nearer eye, to the right in both."""
    x = _front(x, f)
    return x - np.copysign(EYE * f["face_width"], x)


def iris(x: Floats, y: Floats, f: Faces) -> Floats:
    """The coloured discs."""
    return circle(_eye_x(x, f) - 0.015 * f["turn"], y + 0.012, 0.066 * f["eye_size"])


def pupil(x: Floats, y: Floats, f: Faces) -> Floats:
    """The black discs."""
    return circle(_eye_x(x, f) - 0.015 * f["turn"], y + 0.012, 0.032 * f["eye_size"])


def glint(x: Floats, y: Floats, f: Faces) -> Floats:
    """The light in the eyes, on the same side in both."""
    return circle(_eye_x(x, f) + 0.022, y + 0.04, 0.02 * f["eye_size"])


def lid(x: Floats, y: Floats, f: Faces) -> Floats:
    """The upper edge of the eyes."""
    size = f["eye_size"]
    return bow(_eye_x(x, f), y + 0.02 + 0.1 * size, 3.5 / size, 0.08 * size, 0.014)


def brow(x: Floats, y: Floats, f: Faces) -> Floats:
    """Both eyebrows, clear of eyes of any size."""
    x = np.abs(_front(x, f)) - EYE * f["face_width"]
    height = 0.075 + 0.115 * f["eye_size"]
    return segment(x, y + height, 0.085, -0.042 * f["brow_angle"], 0.03)


def nose(x: Floats, y: Floats, f: Faces) -> Floats:
    """A small curve."""
    return bow(_front(x, f, 0.12), y - 0.15, -6.0, 0.055, 0.017)


# --- mouth and beard ------------------------------------------------------------------------


def mouth_line(x: Floats, y: Floats, f: Faces) -> Floats:
    """A closed mouth: smiling, serious or sad by the bend of a parabola."""
    bend = np.where(f.has("expression", "smiling"), np.float32(-4.0), np.float32(0))
    bend = np.where(f.has("expression", "sad"), np.float32(4.5), bend)
    half = np.where(bend == 0, np.float32(0.11), np.float32(0.15))
    middle = MOUTH - bend * np.float32(0.009)
    return bow(_front(x, f, 0.09), y - middle, bend, half, 0.025)


def round_mouth(x: Floats, y: Floats, f: Faces) -> Floats:
    """A surprised mouth."""
    return ellipse(_front(x, f, 0.09), y - MOUTH - 0.01, 0.075, 0.1)


def laugh(x: Floats, y: Floats, f: Faces) -> Floats:
    """A laughing mouth."""
    return np.maximum(ellipse(_front(x, f, 0.09), y - MOUTH + 0.06, 0.17, 0.18), MOUTH - 0.06 - y)


def teeth(x: Floats, y: Floats, f: Faces) -> Floats:
    """The upper row of a laughing mouth."""
    return np.maximum(laugh(x, y, f) + 0.012, y - MOUTH + 0.005)


def tongue(x: Floats, y: Floats, f: Faces) -> Floats:
    """In a laughing mouth."""
    tongue = ellipse(_front(x, f, 0.09), y - MOUTH - 0.11, 0.1, 0.06)
    return np.maximum(laugh(x, y, f) + 0.012, tongue)


def beard(x: Floats, y: Floats, f: Faces) -> Floats:
    """From ear to ear along the jaw, around a free mouth."""
    jaw = head(x, y, f) - 0.03
    face = ellipse(_front(x, f, 0.06), y + 0.1, 0.41 * f["face_width"], 0.36)
    mouth = ellipse(_front(x, f, 0.09), y - MOUTH - 0.005, 0.205, 0.115)
    return np.maximum(np.maximum(jaw, -mouth), np.maximum(-face, 0.04 - y))


def goatee(x: Floats, y: Floats, f: Faces) -> Floats:
    """On the chin."""
    return box(_front(x, f, 0.07), y - 0.55, 0.12, 0.1, 0.09)


def moustache(x: Floats, y: Floats, f: Faces) -> Floats:
    """Two strokes under the nose."""
    return segment(np.abs(_front(x, f, 0.1)) - 0.085, y - 0.225, 0.07, 0.018, 0.04)


# --- hair -----------------------------------------------------------------------------------


def scalp(x: Floats, y: Floats, f: Faces, spread: float = 0.04) -> Floats:
    """The outline of the head with hair on it."""
    return ellipse(x, y + 0.03, (0.46 + spread) * f["face_width"], 0.56 + spread)


def curtain(x: Floats, y: Floats, f: Faces) -> Floats:
    """Long hair and bob: down both sides, behind the face, over the shoulders."""
    long = f.has("hair_style", "long")
    end = np.where(long, np.float32(0.93), np.float32(0.42))
    half = 0.5 * (end + 0.1)
    strands = box(np.abs(x) - 0.43 * f["face_width"], y - (end - half), 0.185, half, 0.13)
    crown = np.maximum(scalp(x, y, f, spread=0.13), y - 0.1)
    return np.minimum(strands, crown)


def curls(x: Floats, y: Floats, f: Faces) -> Floats:
    """A cloud of curls; a hat hides those above it."""
    hidden = np.where(f.has("hat", "cap", "beanie"), np.float32(9), np.float32(0))
    side, result = np.abs(x) / f["face_width"], np.full_like(x, 9)
    for cx, cy, radius in ((0.0, -0.6, 0.22), (0.26, -0.53, 0.23), (0.46, -0.34, 0.23)):
        above = hidden if cy < HAT_LINE else 0
        result = np.minimum(result, circle(side - cx, y - cy, radius) + above)
    for cx, cy, radius in ((0.54, -0.08, 0.22), (0.53, 0.18, 0.19)):
        result = np.minimum(result, circle(side - cx, y - cy, radius))
    return result


def buns(x: Floats, y: Floats, f: Faces) -> Floats:
    """One at each side, low enough to be seen beside a hat."""
    return circle(np.abs(x) - 0.5 * f["face_width"], y + 0.46, 0.19)


def _sideburn(x: Floats, y: Floats, f: Faces, end: float) -> Floats:
    """Below the slanting end of the hair in front of the ears."""
    slant = 1.2 * np.maximum(np.abs(x) - 0.4 * f["face_width"], 0)
    return y - end + slant


def crop(x: Floats, y: Floats, f: Faces) -> Floats:
    """Short hair, combed to one side."""
    face = ellipse(_front(x, f, 0.05), y + 0.28 * x - 0.15, 0.395 * f["face_width"], 0.43)
    return np.maximum(np.maximum(scalp(x, y, f), -face), _sideburn(x, y, f, 0.08))


def parted(x: Floats, y: Floats, f: Faces) -> Floats:
    """Long hair and buns: parted in the middle."""
    across = _front(x, f, 0.05)
    face = ellipse(across, y - 0.5 * np.abs(across), 0.395 * f["face_width"], 0.42)
    return np.maximum(np.maximum(scalp(x, y, f), -face), _sideburn(x, y, f, 0.12))


def bangs(x: Floats, y: Floats, f: Faces) -> Floats:
    """Bob: a straight fringe."""
    face = box(_front(x, f, 0.05), y - 0.35, 0.39 * f["face_width"], 0.6, 0.06)
    return np.maximum(np.maximum(scalp(x, y, f), -face), y - 0.3)


def curly_fringe(x: Floats, y: Floats, f: Faces) -> Floats:
    """Curls on the forehead."""
    side = np.abs(x) / f["face_width"]
    result = circle(side, y + 0.45, 0.15)
    for cx, cy, radius in ((0.2, -0.41, 0.15), (0.36, -0.29, 0.13), (0.44, -0.12, 0.1)):
        result = np.minimum(result, circle(side - cx, y - cy, radius))
    return result


def shine(x: Floats, y: Floats, f: Faces) -> Floats:
    """Light on the hair."""
    return bow(x + 0.14 * f["face_width"], y + 0.5, 0.9, 0.13, 0.022)


# --- things worn ----------------------------------------------------------------------------


def rim(x: Floats, y: Floats, f: Faces) -> Floats:
    """The edge of one lens."""
    x = _eye_x(x, f)
    round_lens = circle(x, y + 0.01, 0.155)
    square_lens = box(x, y + 0.01, 0.168, 0.115, 0.03)
    return np.where(f.has("glasses", "round"), round_lens, square_lens)


def shade_lens(x: Floats, y: Floats, f: Faces) -> Floats:
    """One lens of the sunglasses, flat at the top."""
    x = _eye_x(x, f)
    return np.maximum(ellipse(x, y + 0.08, 0.168, 0.21), -0.13 - y)


def frame(x: Floats, y: Floats, f: Faces) -> Floats:
    """Round or square glasses."""
    across = np.abs(_front(x, f))
    edge = np.abs(rim(x, y, f)) - 0.021
    return np.minimum(edge, _temples(x, y, f, across, 0.15))


def _temples(x: Floats, y: Floats, f: Faces, across: Floats, lens: float) -> Floats:
    """The bridge over the nose and the arms to the ears."""
    eye = EYE * f["face_width"]
    bridge = np.maximum(np.abs(y + 0.03) - 0.018, across - (eye - lens))
    arm = np.maximum(np.abs(y + 0.04) - 0.018, eye + lens - across)
    return np.minimum(bridge, np.maximum(arm, np.abs(x) - 0.45 * f["face_width"]))


def shade_frame(x: Floats, y: Floats, f: Faces) -> Floats:
    """The rim of the sunglasses."""
    edge = np.abs(shade_lens(x, y, f)) - 0.016
    return np.minimum(edge, _temples(x, y, f, np.abs(_front(x, f)), 0.15))


def lens_shine(x: Floats, y: Floats, f: Faces) -> Floats:
    """A glint on each lens."""
    return segment(_eye_x(x, f) + 0.05, y + 0.05, 0.03, -0.045, 0.014)


def dome(x: Floats, y: Floats, f: Faces) -> Floats:
    """The crown of either hat."""
    crown = ellipse(x, y - HAT_LINE, 0.53 * f["face_width"], 0.47)
    return np.maximum(crown, y - HAT_LINE + 0.02)


def cuff(x: Floats, y: Floats, f: Faces) -> Floats:
    """The turned-up edge of a beanie."""
    return box(x, y - HAT_LINE + 0.05, 0.55 * f["face_width"], 0.085, 0.05)


def pompom(x: Floats, y: Floats, _f: Faces) -> Floats:
    """On a beanie."""
    return circle(x, y + 0.8, 0.12)


def visor(x: Floats, y: Floats, f: Faces) -> Floats:
    """Of a cap; it shows where the head turns."""
    across = _front(x, f, 0.2)
    droop = 0.2 * across * across
    return ellipse(across, y - HAT_LINE + 0.055 + droop, 0.5 * f["face_width"], 0.085)


def badge(x: Floats, y: Floats, f: Faces) -> Floats:
    """On the front of a cap."""
    return circle(_front(x, f, 0.1), y + 0.55, 0.105)


def button(x: Floats, y: Floats, _f: Faces) -> Floats:
    """On top of a cap."""
    return ellipse(x, y + 0.765, 0.06, 0.03)
