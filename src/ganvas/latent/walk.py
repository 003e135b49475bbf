"""Walks through a latent space: from one picture to another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from ganvas.data.progress import progress_bar
from ganvas.errors import ConfigError
from ganvas.latent.drawing import one_condition, shown_drawing
from ganvas.latent.film import Film
from ganvas.latent.points import Points
from ganvas.latent.space import Latents, Space, SpaceName, default_space, open_space
from ganvas.models.base import Diffuses, Encodes, LatentModel, Truncates
from ganvas.pictures import grid, save_png, scatter, to_uint8

Mode = Literal["lerp", "slerp"]

FPS = 24
STEPS = 8
"""Pictures from one keyframe to the next on a sheet."""
SECONDS = 2
"""From one keyframe to the next in a film."""
_COLOURS_OF = 16
"""Frames that a film's palette is made from."""


def lerp(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Points on straight lines: (T, ...), (T, ...), (T,) -> (T, ...)."""
    return torch.lerp(start, end, t.view(-1, *[1] * (start.ndim - 1)))


def slerp(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Points on great arcs: (T, D), (T, D), (T,) -> (T, D) (Shoemake 1985; White 2016).

    Gaussian latents of D dimensions lie near a sphere of radius sqrt(D); a straight line between
    two of them passes through the inside, where the model was never trained.
    """
    cosine = torch.nn.functional.cosine_similarity(start, end).clamp(-1, 1)
    angle, share = cosine.acos()[:, None], t[:, None]
    arc = (((1 - share) * angle).sin() * start + (share * angle).sin() * end) / angle.sin()
    # Same or opposite directions: no arc is singled out.
    return torch.where(angle.sin() < 1e-4, lerp(start, end, t), arc)


def along(keyframes: Tensor, at: Tensor, mode: Mode) -> Tensor:
    """Points on the way through keyframes.

    Args:
        keyframes: (K, ...), at least two.
        at: (T,) places in [0, K - 1]: 0 is the first keyframe, 1.5 half way from second to third.
        mode: On straight lines or great arcs.

    Returns:
        (T, ...).
    """
    first = at.floor().long().clamp(max=len(keyframes) - 2)
    way = {"lerp": lerp, "slerp": slerp}[mode]
    return way(keyframes[first], keyframes[first + 1], (at - first).to(keyframes.dtype))


def in_rows(legs: int, steps: int) -> Tensor:
    """Places of `steps` pictures for each leg of a walk, both ends included: (legs * steps,)."""
    row = torch.linspace(0, 1, steps, dtype=torch.float64)
    return (torch.arange(legs)[:, None] + row).flatten()


def evenly(legs: int, frames: int, loop: bool) -> Tensor:
    """Places of so many frames from the first to the last, or, of a loop, to just before it."""
    places = torch.linspace(0, legs, frames + loop, dtype=torch.float64)
    return places[:frames]


@dataclass(frozen=True, eq=False)
class Walk:
    """A walk that is planned, and drawn when it is looked at.

    Attributes:
        space: Where it is.
        points: (T, *shape of the space), each picture's.
        condition: The class (1,) or caption (1, L) of all of them, for a model that takes one.
        steps: Of rows, each of which begins where the one before ended; None: there are none.
        loop: Whether it ends where it began.
    """

    space: Space
    points: Tensor
    condition: Tensor | None
    steps: int | None
    loop: bool

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def pictures(self) -> Tensor:
        """All pictures, (T, C, H, W) float32 in [-1, 1], or points of a plane (T, 2)."""
        return torch.cat([*self._stream(self.points)])

    def sheet(self) -> Image.Image:
        """A row from each keyframe to the next, or one sheet of all frames."""
        if self.pictures.ndim == 2:
            return scatter(self.pictures)
        return grid(to_uint8(self.pictures), columns=self.steps)

    def save(self, out: str | Path, fps: int = FPS) -> str:
        """Save it, by the suffix: a sheet (.png), a film (.gif, .mp4) or frames in a folder.

        A film passes each keyframe once, and a loop does not repeat its first one.

        Args:
            out: Where to.
            fps: Frames a second of a film.

        Returns:
            A sentence about what was written.

        Raises:
            ConfigError: Another suffix or rate, an MP4 without ffmpeg, or a film of 2-D points.
            RunError: The place cannot be written.
        """
        out = Path(out)
        if out.suffix.lower() == ".png":
            save_png(self.sheet(), out)
            return f"{len(self)} pictures on {out}"
        film = Film(out, fps)
        if len(self.space.model.shape) != 3:
            raise ConfigError(f"--out {out}: points in a plane are drawn on a sheet, a .png.")
        points = self._passed_once()
        some = points[:: -(-len(points) // _COLOURS_OF)] if film.kind == "gif" else points[:1]
        colours = to_uint8(self.space.draw(some, self._conditions(len(some))))
        return film.write(map(to_uint8, self._stream(points)), len(points), colours)

    def _passed_once(self) -> Tensor:
        """The points without those that a row repeats of the one before."""
        if self.steps is None:
            return self.points
        later = self.points.unflatten(0, (-1, self.steps))[:, 1:].flatten(0, 1)
        once = torch.cat([self.points[:1], later])
        return once[:-1] if self.loop else once

    def _stream(self, points: Tensor) -> Iterator[Tensor]:
        """Pictures a batch at a time, with a bar where that takes long."""
        model, conditions = self.space.model, self._conditions(len(points))
        if isinstance(model, Diffuses):  # which has a bar of its own
            with shown_drawing(model, len(points)):
                yield from self.space.stream(points, conditions)
            return
        with progress_bar("Drawing", len(points)) as advance:
            for batch in self.space.stream(points, conditions):
                advance(len(batch))
                yield batch

    def _conditions(self, n: int) -> Tensor | None:
        """The condition, for n pictures."""
        return (
            None if self.condition is None else self.condition.expand(n, *self.condition.shape[1:])
        )


def interpolate(
    model: LatentModel,
    seeds: Sequence[int | Points] = (),
    *,
    images: Tensor | None = None,
    steps: int | None = None,
    frames: int | None = None,
    loop: bool = False,
    mode: Mode | None = None,
    label: int | str | None = None,
    text: str | None = None,
    space: SpaceName | None = None,
    truncation: float | None = None,
) -> Walk:
    """Plan a walk from seed to seed, from image to image, or through points that were found.

    The noise of a StyleGAN is constant, so that nothing flickers.

    Args:
        model: What `ganvas.load` returns.
        seeds: Where to pass: seeds as in `sample`, and points that `invert` found, in any order.
        images: Instead of them, images (K, C, H, W) in [-1, 1] for a model that encodes.
        steps: Pictures from one keyframe to the next, both included (default: 8).
        frames: Pictures of the whole walk; `steps` then say nothing.
        loop: Walk back to the first keyframe.
        mode: On straight lines or great arcs (default: arcs in z, lines in w and w+).
        label: The class of the whole walk, for a class-conditional model (default: the first, or
            that of the points).
        text: The caption of the whole walk, for a model that takes text (default: one of its
            training).
        space: z, or for a model with styles w or w+, where the same step changes a picture more
            evenly (Karras et al. 2019, section 4.1). No sphere holds the styles, so walks there
            are on straight lines. Default: w of a StyleGAN (w+ where points are of it), else z.
        truncation: psi of the seeds of a walk in w or w+, from -2 to 2.

    Returns:
        The walk; `Walk.pictures` draws it, `Walk.save` makes a sheet or a film of it.

    Raises:
        ConfigError: Fewer than two keyframes or steps, or the model has no such points.
    """
    name = _space_for(model, seeds, images, space)
    if mode == "slerp" and name != "z":
        raise ConfigError(
            f"a walk in {name} is straight: leave out --mode slerp, or --space {name}."
        )
    place = open_space(model, name)
    if label is None and text is None:
        label = _class_of(model, seeds)
    condition = one_condition(model, label, text, 1)
    if images is None:
        found = [_keyframes(place, end, condition, truncation) for end in seeds]
        keyframes = torch.cat(found) if found else torch.empty(0, *place.shape)
    else:
        with _truncated(place, truncation):  # which is of seeds only
            keyframes = _encoded(place, images, condition)
    pictures = frames or steps or STEPS
    if len(keyframes) < 2 or pictures < 2:
        raise ConfigError("a walk needs at least two ends and two steps, e.g. --seeds 1,2,3.")
    if loop:
        keyframes = torch.cat([keyframes, keyframes[:1]])
    legs = len(keyframes) - 1
    at = in_rows(legs, pictures) if frames is None else evenly(legs, pictures, loop)
    points = along(keyframes, at.to(keyframes.device), mode or ("slerp" if name == "z" else "lerp"))
    return Walk(place, points, condition, pictures if frames is None else None, loop)


def check_images(model: LatentModel) -> None:
    """Refuse to walk between pictures with a model that has no encoder to find their latents."""
    if not isinstance(model, Encodes):
        raise ConfigError(
            "this model has no encoder to find the latents of pictures; walk between seeds "
            "instead, --seeds 1,2,3, or have them found first, `ganvas invert RUN FOLDER`, and "
            "give the file of points: --points FILE."
        )


def check_space_of_images(space: SpaceName | None) -> None:
    """Refuse to walk between pictures in w, where no model encodes them."""
    if space in ("w", "w+"):
        raise ConfigError(
            f"a walk in {space} goes between seeds, or points that ganvas invert has found: give "
            "these (--seeds, --points) instead of --images."
        )


def _space_for(
    model: LatentModel,
    seeds: Sequence[int | Points],
    images: Tensor | None,
    asked: SpaceName | None,
) -> SpaceName:
    """Where to walk: as asked, or where the model is best explored and all points are."""
    if images is not None:
        check_space_of_images(asked)
        check_images(model)
        return "z"
    if asked is not None:
        return asked
    given = {end.space for end in seeds if isinstance(end, Points)}
    return "w+" if "w+" in given else default_space(model)


def _class_of(model: LatentModel, seeds: Sequence[int | Points]) -> str | None:
    """The class of the first point that has one."""
    labels = [end.labels[0] for end in seeds if isinstance(end, Points) and end.labels]
    return model.classes[labels[0]] if labels else None


def _keyframes(
    space: Space, end: int | Points, condition: Tensor | None, truncation: float | None
) -> Tensor:
    """The points (K, *shape) of a seed, or of what was found."""
    if isinstance(end, Points):
        classes = None if condition is None else condition.expand(len(end), *condition.shape[1:])
        return space.lift(end.values, end.space, classes)
    with _truncated(space, truncation):
        return space.points([end], condition)


@contextmanager
def _truncated(space: Space, truncation: float | None) -> Iterator[None]:
    """Within, seeds have truncated styles."""
    if truncation is None:
        yield
    elif isinstance(space, Latents) or not isinstance(space.model, Truncates):
        raise ConfigError(
            "a walk is truncated in w, which pulls the styles of its seeds towards their mean: "
            "leave out --truncation, or walk in w of a StyleGAN (--space w)."
        )
    else:
        with space.model.truncated(truncation):
            yield


def _encoded(space: Space, images: Tensor, condition: Tensor | None) -> Tensor:
    """The points of images, as of one class."""
    points = space.encode(images, None if condition is None else condition.expand(len(images)))
    assert points is not None
    return points
