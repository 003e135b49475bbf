"""Captions of avatars: what a person would say of the picture, always in the same words."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from ganvas.data.builtin.avatar_attributes import ATTRIBUTES, checked

_HAIR = {
    "bald": "",
    "short": "short {colour} hair",
    "bob": "a {colour} bob",
    "long": "long {colour} hair",
    "curly": "curly {colour} hair",
    "buns": "{colour} hair in two buns",
}
_GLASSES = {
    "none": "",
    "round": "round glasses",
    "square": "square glasses",
    "sunglasses": "sunglasses",
}
_BEARD = {
    "none": "",
    "moustache": "a {colour}moustache",
    "goatee": "a {colour}goatee",
    "full": "a full {colour}beard",
}
_EARRINGS = {"none": "", "studs": "ear studs", "hoops": "hoop earrings"}


def captions(attributes: Mapping[str, NDArray[Any]]) -> list[str]:
    """A sentence per face that names all that is worn, the hair, the beard and the expression.

    "a smiling person with long red hair, round glasses and a full beard, wearing a blue cap and a
    white shirt, on a green background". Skin, eyes and pose are not mentioned, nor is hair colour
    where only the eyebrows show it.

    Args:
        attributes: All of `ATTRIBUTES`, as for `render`.

    Raises:
        ConfigError: For attributes that `render` would refuse.
    """
    values = checked(attributes)
    words = {
        attribute.name: [attribute.values[int(code)] for code in values[attribute.name]]
        for attribute in ATTRIBUTES
        if attribute.kind == "discrete"
    }
    faces = zip(*words.values(), strict=True)
    return [_caption(dict(zip(words, face, strict=True))) for face in faces]


def _caption(face: dict[str, str]) -> str:
    bald = face["hair_style"] == "bald"
    beard_colour = f"{face['hair_colour']} " if bald else ""
    features = [
        _HAIR[face["hair_style"]].format(colour=face["hair_colour"]),
        _GLASSES[face["glasses"]],
        _BEARD[face["beard"]].format(colour=beard_colour),
        _EARRINGS[face["earrings"]],
    ]
    worn = [f"a {face['shirt_colour']} shirt"]
    if face["hat"] != "none":
        worn.insert(0, f"a {face['hat_colour']} {face['hat']}")
    person = f"a {face['expression']} {'bald ' if bald else ''}person"
    described = _listed([feature for feature in features if feature])
    return (
        person
        + (f" with {described}" if described else "")
        + f", wearing {_listed(worn)}, on a {face['background']} background"
    )


def _listed(things: list[str]) -> str:
    """Join as in English: a; a and b; a, b and c."""
    return " and ".join(filter(None, [", ".join(things[:-1]), *things[-1:]]))
