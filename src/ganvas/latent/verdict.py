"""Whether a model can make a picture: its inversion beside those of the model's own pictures.

How near an inversion should come is a matter of the model, the space and the steps. So a self-check
first inverts pictures that the model has made itself, which it can make for certain. Two yardsticks
come of it, each of pixels (PSNR) and of features:

- found: what nine in ten of its own pictures reach. A picture that reaches it lies *within* what
  the model can make.
- look-alike: how near the most similar of 512 other pictures of the model comes, without any
  optimisation, to half of its own. A picture that not even its inversion matches that well lies
  *outside*. Pixels alone would not do: any faint picture is near an even grey.

What lies between is *at the edge*: such as pictures of the kind that the model learned from, with
details that it has not learned.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import ValidationError
from torch import Tensor

from ganvas.evaluation.reconstruction import psnr
from ganvas.files import write_text
from ganvas.latent import inversion
from ganvas.latent.inversion import Inversion, Inverter
from ganvas.latent.points import fingerprint
from ganvas.latent.space import SpaceName
from ganvas.settings import Settings

Verdict = Literal["within", "at the edge of", "outside"]

OWN_PICTURES = 16
"""Of the self-check."""

_FIRST_SEED = 30_000_000  # of the self-check's pictures: none of those that starts are chosen from
_FOUND_SHARE = 0.9
_UNSURE_PSNR = 25.0
_UNSEEN_PSNR, _UNSEEN_DISTANCE = 40.0, 0.002  # nobody sees a difference as small


class Yardstick(Settings):
    """What the self-check found; of every picture, PSNR in dB and distance from 0 to 1."""

    key: str
    """Of the model, the space and the settings that it holds for."""
    psnr: tuple[float, ...]
    distance: tuple[float, ...]
    alike_psnr: tuple[float, ...]
    alike_distance: tuple[float, ...]

    @property
    def found(self) -> tuple[float, float]:
        """The PSNR and the distance that nine in ten of the model's own pictures reach.

        No more is asked for than that no difference is seen.
        """
        return (
            min(_quantile(self.psnr, 1 - _FOUND_SHARE), _UNSEEN_PSNR),
            max(_quantile(self.distance, _FOUND_SHARE), _UNSEEN_DISTANCE),
        )

    @property
    def alike(self) -> tuple[float, float]:
        """Those that half of its own pictures reach by their look-alikes, at best `found`."""
        found = self.found
        return (
            min(_quantile(self.alike_psnr, 0.5), found[0]),
            max(_quantile(self.alike_distance, 0.5), found[1]),
        )

    def verdict(self, psnr: float, distance: float) -> Verdict:
        """What an inversion as near as this says of its picture."""
        if psnr >= self.found[0] and distance <= self.found[1]:
            return "within"
        if psnr < self.alike[0] or distance > self.alike[1]:
            return "outside"
        return "at the edge of"

    def text(self) -> str:
        """What the self-check found, and how far to trust it, in a sentence or two."""
        mean = sum(self.psnr) / len(self.psnr)
        reached = sum(value >= _UNSURE_PSNR for value in self.psnr)
        said = (
            f"Self-check: of {len(self.psnr)} pictures that the model made itself, {reached} were "
            f"found to PSNR {_UNSURE_PSNR:g} dB or more (mean {mean:.1f}); within is from "
            f"{self.found[0]:.1f} dB on, outside below {self.alike[0]:.1f}."
        )
        if reached < _FOUND_SHARE * len(self.psnr):
            said += " Many of its own are missed, so verdicts are unsure: try more --steps."
        return said


def verdicts(found: Inversion, yardstick: Yardstick) -> list[Verdict]:
    """What to say of each picture."""
    pairs = zip(found.psnr.tolist(), found.distance.tolist(), strict=True)
    return [yardstick.verdict(*pair) for pair in pairs]


def self_check(
    inverter: Inverter,
    n: int,
    advance: Callable[[float], None] | None = None,
) -> Yardstick:
    """Invert n pictures that the model makes itself.

    Args:
        inverter: As others will be inverted.
        n: How many.
        advance: Called with the share of a picture that was just done.
    """
    images, labels = own_pictures(inverter, n)
    found = inverter.invert(images, labels, advance)
    points, classes = inverter.look_alikes(images, labels)
    alike = inverter.space.draw(points, classes)
    return Yardstick(
        key=key_of(inverter),
        psnr=_values(found.psnr),
        distance=_values(found.distance),
        alike_psnr=_values(psnr(*((x + 1) * 127.5 for x in (alike, images)))),
        alike_distance=_values(inverter.distances(alike, images)),
    )


def own_pictures(inverter: Inverter, n: int) -> tuple[Tensor, Tensor | None]:
    """n pictures (n, C, H, W) of the model itself, and their classes if it has any."""
    model = inverter.space.model
    labels = torch.arange(n, device=model.device) % len(model.classes) if model.classes else None
    return model.sample(n, _FIRST_SEED, labels), labels


def known_yardstick(path: Path, inverter: Inverter) -> Yardstick | None:
    """What an earlier self-check wrote, if it holds for the same model, space and settings."""
    try:
        known = Yardstick.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return known if known.key == key_of(inverter) and known.psnr else None


def save_yardstick(path: Path, yardstick: Yardstick) -> None:
    """Write it, for `known_yardstick`; raises RunError where that cannot be."""
    write_text(path, yardstick.model_dump_json(indent=1) + "\n")


def key_of(inverter: Inverter) -> str:
    """SHA-256 of all that a self-check depends on."""
    space: SpaceName = inverter.space.name
    facts = (fingerprint(inverter.space.model), space, inverter.steps, inversion.METHOD)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _quantile(values: Sequence[float], share: float) -> float:
    return float(torch.tensor(values, dtype=torch.float64).quantile(share))


def _values(numbers: Tensor) -> tuple[float, ...]:
    return tuple(round(number, 6) for number in numbers.tolist())
