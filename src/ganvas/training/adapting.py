"""A tensor of one model made to fit the same place in a model of other sizes.

Sizes differ for four reasons, and each has its own answer:

- **Channels or units.** They have no order, so the first of them are as good as any others; and as
  every layer keeps its first ones, what one passes to the next still fits. The others stay as they
  were drawn.
- **Colours.** A picture is grey where its red, green and blue are equal. So the sum over the three
  of what looks at a picture treats a grey one exactly as before (and a third of it, three times,
  a grey one that became RGB), while what draws a picture draws the mean of the three (or the same
  thing three times). Alpha has no counterpart.
- **Classes** belong together by their names; a class of another name stays as it was drawn.
- **Pixels**: kernels, grids and flattened pictures of another size have no counterpart.

What a size counts is not guessed from the number: the model is built once more with other colours
and once more with one more class, on the meta device, and the sizes that change tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.models import ModelConfig, build_model
from ganvas.models.base import Model
from ganvas.models.latent_diffusion import LatentDiffusion
from ganvas.models.reading import Captions
from ganvas.models.translation import TranslationModel
from ganvas.networks.dcgan import base_grid
from ganvas.networks.layers.equalised import EqualisedConv2d, EqualisedLinear

_CHANNEL_AXES = {3: 1, 4: 2}
"""How many axes of a tensor with so many, from the first, count channels; the rest is pixels."""


@dataclass(frozen=True)
class Axis:
    """What one axis of a tensor counts, in this order: colours, units, classes."""

    size: int
    colours: int = 0
    """How many of the size are there for the colours of a picture."""
    classes: int = 0
    """How many are there for the classes, one for each."""

    @property
    def units(self) -> int:
        """The rest."""
        return self.size - self.colours - self.classes


@dataclass(frozen=True)
class Place:
    """A tensor's place in a model: what its axes count, and how the layer uses it."""

    axes: tuple[Axis, ...]
    output: int = 0
    """The axis of the layer's outputs."""
    gain: float = 1.0
    """What the layer multiplies it by."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes."""
        return tuple(axis.size for axis in self.axes)


class Layout:
    """The places in a model of what it learns, by the names in its state_dict.

    Args:
        config: The model's.
        shape: Of its pictures (C, H, W), or of points (2,).
        classes: Of its data.
        target_shape: Of the pictures of its second domain, where there is one. Between models that
            translate channels must agree, so those tell nothing of colours.
        captions: What is known of those it learnt from, where it did.
    """

    def __init__(
        self,
        config: ModelConfig,
        shape: tuple[int, ...],
        classes: tuple[str, ...],
        target_shape: tuple[int, ...] | None = None,
        captions: Captions | None = None,
    ) -> None:
        self.shape = shape
        self.target_shape = target_shape
        with torch.device("meta"):
            model = build_model(config, shape, classes, target_shape, captions)
            self.words = model.vocabulary if isinstance(model, LatentDiffusion) else ()
            self.multiple = model.multiple if isinstance(model, TranslationModel) else None
            shapes = [_shapes(model)] * 3
            other = 1 if shape[0] == 3 else 3
            diffuses = isinstance(model, LatentDiffusion)  # without seeing colours or classes
            if len(shape) == 3 and self.multiple is None and not diffuses:
                shapes[1] = _shapes(build_model(config, (other, *shape[1:]), classes))
            if model.classes and not diffuses:
                shapes[2] = _shapes(build_model(config, shape, (*classes, "one more")))
        self.classes = model.classes
        self.places: dict[str, Place] = {}
        for name, sizes in shapes[0].items():
            axes = tuple(
                Axis(a, shape[0] * ((b - a) // (other - shape[0])), len(classes) * (c - a))
                for a, b, c in zip(sizes, shapes[1][name], shapes[2][name], strict=True)
            )
            owner = model.get_submodule(name.rpartition(".")[0])
            self.places[name] = Place(axes, _output_axis(owner), _gain(owner))


class Adapter:
    """Fits tensors of one model into another."""

    def __init__(self, source: Layout, target: Layout) -> None:
        self.source, self.target = source, target
        self._same_grid = _grid(source.shape) == _grid(target.shape)

    def fit(self, name: str, tensor: Tensor, fresh: Tensor) -> Tensor | None:
        """The source's tensor in the target's place, or None where it has no meaning there.

        Args:
            name: Of both.
            tensor: The source's.
            fresh: The target's as it was drawn, which stays where the source has nothing to give.
        """
        was, now = self.source.places[name], self.target.places[name]
        if self.is_same(name):
            return tensor
        if len(was.axes) != len(now.axes):
            return None
        pairs: list[tuple[list[int], list[int]]] = []
        for i, (a, b) in enumerate(zip(was.axes, now.axes, strict=True)):
            if not self._can_fit(a, b, i, len(was.axes)):
                return None
            if a.colours and self._changes_colour():
                gain = 1.0 if i == was.output else was.gain / now.gain
                tensor = _recoloured(tensor, i, a.colours // self.source.shape[0],
                                     self.target.shape[0], i == was.output) * gain  # fmt: skip
            pairs.append(self._pairs(a, b, tensor.shape[i] - a.units - a.classes))
        if not all(taken for taken, _ in pairs):
            return None
        result = fresh.clone()
        result[_open_mesh([into for _, into in pairs])] = tensor[
            _open_mesh([taken for taken, _ in pairs])
        ].to(fresh)
        return result

    def is_same(self, name: str) -> bool:
        """Whether the two places are of one shape, and every number in it has one meaning."""
        was, now = self.source.places[name].axes, self.target.places[name].axes
        by_class = any(axis.classes for axis in was)
        return was == now and not (by_class and self.source.classes != self.target.classes)

    def _changes_colour(self) -> bool:
        """Whether one of the two is grey and the other is not."""
        return (self.source.shape[0] == 1) != (self.target.shape[0] == 1)

    def _can_fit(self, was: Axis, now: Axis, i: int, axes: int) -> bool:
        """Whether axis i of so many counts the same kind of thing in both."""
        if was.colours // self.source.shape[0] != now.colours // self.target.shape[0]:
            return False  # flattened pictures of another size
        if was.size == now.size:
            return True
        if i >= _CHANNEL_AXES.get(axes, axes):
            return False
        return self._same_grid or was.units == now.units or not self._may_be_flat(was, now)

    def _may_be_flat(self, was: Axis, now: Axis) -> bool:
        """Whether both sizes could be those of the flattened first grid of pixels."""
        grids = _grid(self.source.shape), _grid(self.target.shape)
        return not any(
            axis.units % prod(grid) for axis, grid in zip((was, now), grids, strict=True)
        )

    def _pairs(self, was: Axis, now: Axis, colours: int) -> tuple[list[int], list[int]]:
        """Which places along an axis are taken, and where they go.

        Args:
            was: The source's axis.
            now: The target's.
            colours: What `was.colours` has become.
        """
        same = range(min(colours, now.colours))
        units = range(min(was.units, now.units))
        names = [(i, self.target.classes.index(name))
                 for i, name in enumerate(self.source.classes)
                 if was.classes and now.classes and name in self.target.classes]  # fmt: skip
        taken = [*same, *(colours + i for i in units)]
        into = [*same, *(now.colours + i for i in units)]
        taken += [colours + was.units + i for i, _ in names]
        into += [now.colours + now.units + j for _, j in names]
        return taken, into


def learnt(model: Model) -> dict[str, Tensor]:
    """What a model knows after its training, by the names in its state_dict.

    That is all of the parts that have weights to train (but not, say, an augmentation and its
    strength, or a first stage), and weights of its own.
    """
    parts = {
        name
        for name, part in model.named_children()
        if any(parameter.requires_grad for parameter in part.parameters())
    }
    own = {name for name, p in model.named_parameters(recurse=False) if p.requires_grad}
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name.partition(".")[0] in parts | own
    }


def _shapes(model: Model) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in learnt(model).items()}


def _output_axis(layer: nn.Module) -> int:
    return 1 if isinstance(layer, nn.ConvTranspose2d) else 0


def _gain(layer: nn.Module) -> float:
    """What a layer multiplies its weights by when it runs."""
    return layer.weight_gain if isinstance(layer, EqualisedConv2d | EqualisedLinear) else 1.0


def _grid(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The smallest map of pixels in networks for pictures of a shape, (1,) where there is none."""
    if len(shape) != 3:
        return (1,)
    try:
        return base_grid(*shape[1:])[:2]
    except ConfigError:
        return (1,)


def _recoloured(tensor: Tensor, axis: int, each: int, colours: int, output: bool) -> Tensor:
    """The tensor of a grey model for RGB, or the other way round; see above.

    Args:
        tensor: The first part of its axis counts the colours of the pictures that it was made for.
        axis: Which axis.
        each: Numbers for each colour.
        colours: Of the pictures that it shall be for: 1, or more for RGB.
        output: Whether it draws pictures, rather than looks at them.
    """
    if colours == 1:
        rgb = tensor.narrow(axis, 0, 3 * each).unflatten(axis, (3, each))
        mixed = rgb.mean(axis) if output else rgb.sum(axis)
        rest = tensor.narrow(axis, 3 * each, tensor.shape[axis] - 3 * each)
    else:
        grey = tensor.narrow(axis, 0, each)
        mixed = torch.cat([grey if output else grey / 3] * 3, axis)
        rest = tensor.narrow(axis, each, tensor.shape[axis] - each)
    return torch.cat([mixed, rest], axis)


def _open_mesh(places: Sequence[Sequence[int]]) -> tuple[Tensor, ...]:
    """Indices of all combinations of places along each axis."""
    return tuple(
        torch.tensor(list(along)).view([-1 if i == axis else 1 for i in range(len(places))])
        for axis, along in enumerate(places)
    )
