"""Starting a training from the weights of another run: transfer learning.

Every network's raw weights come from the source's raw ones and its moving average from the source's
average, as StyleGAN's authors resume G, D and G_ema each from its own (Karras et al. 2020a, code).
The checkpoint `best` holds averages only, so that both begin with those. Optimisers, the strength
of the augmentation and the count of images begin anew.

A tensor is *copied* where the source has one of that name and shape, *adapted* where sizes differ
but have a counterpart (`ganvas.training.adapting`), and *new*, as drawn from the seed, elsewhere.
Blocks are told apart by their names: StyleGANs count theirs from the coarse end in both networks,
so that those of the same resolution meet where the pictures' resolution differs.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ganvas.errors import ConfigError, GanvasError, RunError
from ganvas.models.base import Model
from ganvas.models.reading import Captions
from ganvas.models.stylegan_config import StyleGanConfig
from ganvas.models.translation import TranslationModel
from ganvas.networks.text import UNKNOWN, number_words
from ganvas.training.adapting import Adapter, Layout, learnt
from ganvas.training.checkpoint import (
    TrainingState,
    find_checkpoint,
    read_networks,
    weights_digest,
)
from ganvas.training.config import RunConfig, StartFrom
from ganvas.training.run_folder import RunFolder

ENOUGH = 0.5
"""The share of names in common, of a network's smaller version, that makes it the same network.

The other resolutions, widths and mappings of one family share all, those of two families 0.00 to
0.41 in one network at least (r3gan, resnet, biggan, dcgan, mlp)."""

Origin = Literal["copied", "adapted", "new"]
ORIGINS: tuple[Origin, ...] = ("copied", "adapted", "new")


@dataclass(frozen=True)
class Fate:
    """Where a tensor of the new training comes from."""

    name: str
    origin: Origin
    shape: tuple[int, ...]
    was: tuple[int, ...] | None
    """The shape of the source's tensor of that name, if it has one."""

    @property
    def text(self) -> str:
        """The name, and the shapes where they differ."""
        now, was = ("x".join(map(str, sizes)) for sizes in (self.shape, self.was or ()))
        return self.name if self.was in (None, self.shape) else f"{self.name} {now} from {was}"


@dataclass(frozen=True)
class Transfer:
    """What a training took over from another."""

    source: StartFrom
    fates: tuple[Fate, ...]
    unused: tuple[str, ...]
    """Tensors of the source that have no place here."""

    def count(self, origin: Origin) -> int:
        """How many tensors are of that origin."""
        return sum(fate.origin == origin for fate in self.fates)

    def record(self) -> dict[str, object]:
        """The source and the counts, for the log."""
        counts: dict[str, int] = {origin: self.count(origin) for origin in ORIGINS}
        return {**self.source.model_dump(), **counts, "unused": len(self.unused)}

    def text(self, named: int | None = None) -> str:
        """A table of the blocks of the networks: how many tensors are of which origin.

        Args:
            named: How many tensors of a kind to name in a row (default: all).
        """
        where = f"{self.source.run}, checkpoint {self.source.checkpoint}"
        rows = _rows(self.fates, named)
        wide = max(len(block) for block, *_ in rows)
        lines = [f"Starting from the weights of {where}:",
                 f"  {'':{wide}}  copied  adapted   new"]  # fmt: skip
        for block, counts, names in rows:
            copied, adapted, new = (counts[origin] or "" for origin in ORIGINS)
            lines.append(f"  {block:{wide}}  {copied:>6}  {adapted:>7}  {new:>4}  {names}".rstrip())
        if self.unused:
            lines.append(f"  not used: {len(self.unused)} of the source's own, "
                         f"{_listed(self.unused, named)}")  # fmt: skip
        return "\n".join(lines)


def with_source(config: RunConfig, say: Callable[[str], None]) -> RunConfig:
    """The configuration, in which the run that it starts from, if any, is named for good.

    That is: its folder absolute, its checkpoint by its own name, and the weights' fingerprint.

    Args:
        config: The configuration.
        say: Gets what is odd about the checkpoint, for the user.

    Raises:
        RunError: There is no such run or checkpoint, it is damaged, or its weights are others than
            those noted before.
        ConfigError: There is none, but layers are to stay as they are.
    """
    start = config.training.start_from
    if start is None:
        if _freezes(config):
            raise ConfigError(
                "model.freeze_discriminator keeps blocks of D as they are, which from the start "
                "is random: begin with those of a trained one (--from RUN)."
            )
        return config
    notes: list[str] = []
    path, digest = _find(start, notes)
    for note in notes:
        say(note)
    found = StartFrom(run=str(path.parent.parent), checkpoint=path.name, sha256=digest)
    training = config.training.model_copy(update={"start_from": found})
    return config.model_copy(update={"training": training})


def _find(start: StartFrom, notes: list[str]) -> tuple[Path, str]:
    """The checkpoint and its fingerprint, which is the one noted before."""
    folder = RunFolder(Path(start.run).expanduser().resolve())
    try:
        folder.read()
        path = find_checkpoint(folder.checkpoints, start.checkpoint, notes)
    except GanvasError as error:
        pickled = " A pickle has to become a run first: ganvas import FILE.pkl."
        hint = pickled if start.run.endswith(".pkl") else ""
        raise RunError(f"there are no weights to start from (--from): {error}{hint}") from error
    digest = weights_digest(path)
    if start.sha256 not in (None, digest):
        raise RunError(
            f"the weights in {path} have changed since a training was started from them, so it "
            "cannot be begun again as it was (training.start_from.sha256). Put them back, or start "
            f"a new one from them as they are now: --from {folder.path}:{path.name}"
        )
    return path, digest


def take_over(
    state: TrainingState, config: RunConfig, captions: Captions | None = None
) -> Transfer | None:
    """Fill a fresh state's networks from the run that it starts from, as far as both agree.

    Args:
        state: Gets the weights.
        config: Says which run it is.
        captions: What is known of those to learn from, for a model that does.

    Returns None where it starts from none.

    Raises:
        RunError: The source cannot be read or has changed.
        ConfigError: It holds other networks, or a layer that is to stay as it is would be random.
    """
    source = config.training.start_from
    if source is None:
        return None
    path, _ = _find(source, [])
    folder = RunFolder(path.parent.parent)
    shape, classes = folder.read_data_summary()
    target_shape, read = folder.read_target_shape(), folder.read_captions()
    was = Layout(folder.read().model, shape, classes, target_shape, read)
    raw, averaged = read_networks(path)
    if any(name not in raw or raw[name].shape != place.shape for name, place in was.places.items()):
        raise RunError(f"the checkpoint in {folder.path} does not fit its own config.yaml.")
    now = Layout(
        config.model, state.model.shape, state.model.classes, _target_shape(state.model), captions
    )
    _refuse_strangers(was, now, folder.path)
    _refuse_other_domains(was, now, folder.path)
    for tensors in (raw, averaged):
        _reword(tensors, was, now)
    adapter = Adapter(was, now)
    fates = _fill(learnt(state.model), raw, adapter)
    _fill(state.ema.networks.state_dict(), {**raw, **averaged}, adapter)
    if _freezes(config):
        _refuse_frozen_noise(state.model, raw, adapter)
    unused = tuple(name for name in was.places if name not in now.places)
    return Transfer(source, tuple(fates), unused)


def _reword(tensors: dict[str, Tensor], was: Layout, now: Layout) -> None:
    """Give every word of another vocabulary the row that it had, or that of the unknown word."""
    if was.words == now.words:
        return
    numbers = number_words(was.words)
    rows = [numbers.get(word, numbers[UNKNOWN]) for word in number_words(now.words)]
    for name in [name for name in tensors if name.endswith(".token_embedding.weight")]:
        tensors[name] = tensors[name][rows]
        words, size = was.places[name].axes
        axes = (dataclasses.replace(words, size=len(rows)), size)
        was.places[name] = dataclasses.replace(was.places[name], axes=axes)


@torch.no_grad()
def _fill(
    tensors: Mapping[str, Tensor], source: Mapping[str, Tensor], adapter: Adapter
) -> list[Fate]:
    """Write what the source has for them into the tensors of a model."""
    fates = []
    for name, tensor in tensors.items():
        if bool(tensor.isnan().all()):
            continue  # a statistic that is not known before it is asked for
        was = adapter.source.places.get(name)
        fitted = None if was is None else adapter.fit(name, source[name], tensor.cpu())
        if fitted is not None:
            tensor.copy_(fitted)
        same = fitted is not None and adapter.is_same(name)
        origin: Origin = "new" if fitted is None else "copied" if same else "adapted"
        fates.append(Fate(name, origin, tuple(tensor.shape), None if was is None else was.shape))
    return fates


def _refuse_strangers(was: Layout, now: Layout, run: Path) -> None:
    """ConfigError where the source's networks are others, not the same in other sizes."""
    first, second = _by_network(was), _by_network(now)
    for network in first.keys() & second.keys():
        common = sum(len(was.places[name].axes) == len(now.places[name].axes)
                     for name in first[network] & second[network])  # fmt: skip
        smaller = min(len(first[network]), len(second[network]))
        if common < ENOUGH * smaller:
            raise ConfigError(
                f"{run} holds networks of another family: of the {smaller} tensors of a {network} "
                f"only {common} have a counterpart in the other one. Start from a run with the "
                f"same model.networks, or train a model of its kind: --config {run}/config.yaml"
            )
    if not first.keys() & second.keys():
        raise ConfigError(
            f"{run} holds other networks ({', '.join(first)}) than those that are to be trained "
            f"({', '.join(second)}), so there is nothing to start from. Choose a run of the same "
            f"kind, or train one of its kind: --config {run}/config.yaml"
        )


def _target_shape(model: Model) -> tuple[int, ...] | None:
    return model.target_shape if isinstance(model, TranslationModel) else None


def _refuse_other_domains(was: Layout, now: Layout, run: Path) -> None:
    """ConfigError where the layers of models that translate mean other things by the same names.

    A discriminator of pairs sees the colours of both domains as one picture, and the layers of a
    U-Net's decoder are counted from the middle, which another depth puts elsewhere.
    """
    if was.target_shape is None or now.target_shape is None:
        return
    there, here = (f"{x.shape[0]} to {x.target_shape[0]}" for x in (was, now) if x.target_shape)
    if there != here:
        raise ConfigError(
            f"{run} translates pictures of {there} channels, this training {here}. Start from a "
            "run with the same, or set data.channels and data.target_channels as that run has them."
        )
    if was.multiple != now.multiple:
        raise ConfigError(
            f"{run} has a U-Net that brings its pictures down to 1/{was.multiple} of their sides, "
            f"this training one to 1/{now.multiple}, so their layers do not correspond. Train at a "
            "resolution like that run's, or start from a run at one like this one's."
        )


def _by_network(layout: Layout) -> dict[str, set[str]]:
    """The names of the places by the network that they are in."""
    return {
        network: set(names)
        for network, names in groupby(layout.places, key=lambda name: name.partition(".")[0])
    }


def _freezes(config: RunConfig) -> bool:
    """Whether a part of the discriminator is not to be trained."""
    return isinstance(config.model, StyleGanConfig) and config.model.freeze_discriminator > 0


def _refuse_frozen_noise(model: Model, source: Mapping[str, Tensor], adapter: Adapter) -> None:
    """ConfigError where a weight that training never changes would stay as it was drawn."""
    random = []
    for name, parameter in model.get_submodule("discriminator").named_parameters(
        prefix="discriminator"
    ):
        if not parameter.requires_grad:
            unknown = torch.full(parameter.shape, torch.nan)
            fitted = adapter.fit(name, source[name], unknown) if name in source else None
            if fitted is None or bool(fitted.isnan().any()):
                random.append(name)
    if random:
        raise ConfigError(
            f"{len(random)} tensors of D are to stay as they are (model.freeze_discriminator), but "
            f"the source cannot fill them ({_listed(random, 3)}), so they would stay random. "
            "Freeze fewer blocks, or start from a run of the same resolution and widths."
        )


def _rows(fates: Sequence[Fate], named: int | None) -> list[tuple[str, Counter[Origin], str]]:
    """Rows of the table: a block, how many tensors are of which origin, and which are not copied.

    Neighbouring blocks of one list that are copied, or new, as a whole share a row.
    """
    blocks = [(block, list(inside)) for block, inside in groupby(fates, key=_block)]
    rows = []
    for _, group in groupby(blocks, key=_alike):
        members = list(group)
        (first, _), (last, _) = members[0], members[-1]
        block = first if len(members) == 1 else f"{first}-{last.rpartition('.')[2]}"
        inside = [fate for _, fates in members for fate in fates]
        counts = Counter(fate.origin for fate in inside)
        rows.append((block, counts, "" if len(counts) == 1 and not counts["adapted"] else
                     _not_copied(inside, len(first) + 1, named)))  # fmt: skip
    return rows


def _block(fate: Fate) -> str:
    """The block that a tensor belongs to: a number in a list, or else a part of a network."""
    numbered = re.match(r".*?\.\d+(?=\.)", fate.name)
    return numbered[0] if numbered else ".".join(fate.name.split(".")[:2])


def _alike(block: tuple[str, list[Fate]]) -> tuple[str, ...]:
    """What neighbouring blocks in one row have in common."""
    name, inside = block
    around, _, number = name.rpartition(".")
    origins = {fate.origin for fate in inside}
    if number.isdecimal() and len(origins) == 1 and "adapted" not in origins:
        return around, *origins
    return (name,)


def _not_copied(fates: Sequence[Fate], skip: int, named: int | None) -> str:
    """The tensors that are adapted or new, without so many letters of their names."""
    of = {kind: [fate.text[skip:] for fate in fates if fate.origin == kind] for kind in ORIGINS[1:]}
    return "; ".join(f"{kind}: {_listed(names, named)}" for kind, names in of.items() if names)


def _listed(names: Sequence[str], named: int | None) -> str:
    """The first of the names, and how many more there are."""
    more = 0 if named is None else max(0, len(names) - named)
    return ", ".join(names[: len(names) - more]) + (f" and {more} more" if more else "")
