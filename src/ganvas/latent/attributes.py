"""What can be asked of a picture in words, such as "glasses" or "red hair", and who tells it.

The words are the values of the data's attributes, where these are known (`avatars`), or its
classes. Whether a picture has what they say is read off it by the `classifier` features, which know
both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganvas.data.builtin.avatars import ATTRIBUTES, Attribute
from ganvas.data.pack import open_pack
from ganvas.errors import ConfigError
from ganvas.evaluation.features.classifier import ClassifierFeatures, train_or_load_classifier
from ganvas.settings import nearest
from ganvas.training.precision import resolve_device
from ganvas.training.run_folder import RunFolder

State = Mapping[str, frozenset[int]]
"""By the name of an attribute the codes that are asked for, any of which will do."""

_PHRASES = {
    "hair_style": "{} hair", "hair_colour": "{} hair", "eye_colour": "{} eyes",
    "hat_colour": "{} hat", "shirt_colour": "{} shirt", "background": "{} background",
    "skin": "{} skin", "glasses": "{} glasses", "beard": "{} beard",
}  # fmt: skip
_WHOLE = frozenset({"bald", "bob", "buns", "sunglasses", "moustache", "goatee"})
"""Values that are words by themselves."""


@dataclass(frozen=True)
class Term:
    """Something that a picture has or has not.

    Attributes:
        name: In words, as it is asked for.
        state: What that means; all of it must hold.
    """

    name: str
    state: State

    def holds(self, codes: Mapping[str, Tensor]) -> Tensor:
        """Where it holds, bool (N,), of pictures whose attributes have these codes (N,)."""
        return satisfied(self.state, codes)


class Reader:
    """Tells what is in a picture, in the words of a data set.

    Args:
        features: A classifier of the data.
        classes: The names of the data's classes.

    Attributes:
        terms: Everything that can be asked for alone, by its words.
        sizes: By the name of an attribute, how many values it has; 0 for a number.
    """

    def __init__(self, features: ClassifierFeatures, classes: tuple[str, ...]) -> None:
        self.features = features
        self.sizes = {head.name: head.values for head in features.heads}
        if features.knows_attributes:
            self.terms = _avatar_terms()
        else:
            self.terms = {
                name: Term(name, {"class": frozenset({code})}) for code, name in enumerate(classes)
            }

    @torch.no_grad()
    def read(self, images: Tensor) -> dict[str, Tensor]:
        """The codes (N,) of every discrete attribute of images (N, C, H, W) in [-1, 1]."""
        parts = [self.outputs(part) for part in images.split(64)]
        return {
            name: torch.cat([part[name] for part in parts]).argmax(1)
            for name, size in self.sizes.items()
            if size
        }

    def outputs(self, images: Tensor) -> dict[str, Tensor]:
        """What the classifier says of images in [-1, 1], differentiable.

        Logits (N, values) of each discrete attribute, and (N, 1) for a number, of variance 1.
        """
        return self.features.outputs((images + 1) * 127.5)

    def term(self, words: str) -> Term:
        """What the words mean; "beard, glasses" asks for both.

        Raises:
            ConfigError: Nothing is known by that name; the message lists what is.
        """
        parts = [self._single(part) for part in words.split(",")]
        state: dict[str, frozenset[int]] = {}
        for part in parts:
            for name, codes in part.state.items():
                state[name] = state.get(name, codes) & codes
                if not state[name]:
                    raise ConfigError(f"{words.strip()!r}: no picture can have both at once.")
        return Term(", ".join(part.name for part in parts), state)

    def _single(self, words: str) -> Term:
        asked = " ".join(words.lower().split())
        for article in ("a ", "an "):
            asked = asked.removeprefix(article)
        known = {name.lower(): term for name, term in self.terms.items()}
        negative = next((n for n in ("no ", "not ", "without ") if asked.startswith(n)), None)
        if asked not in known and negative is not None:
            return self.opposite(self._single(asked.removeprefix(negative)))
        if asked not in known:
            raise self._unknown(asked, list(known))
        return known[asked]

    def opposite(self, term: Term) -> Term:
        """What holds where none of a term does."""
        name = term.name.removeprefix("no ")
        return Term(name if name != term.name else f"no {name}", self.complement(term.state))

    def complement(self, state: State) -> dict[str, frozenset[int]]:
        """What is asked for where none of a state may hold."""
        return {name: frozenset(range(self.sizes[name])) - codes for name, codes in state.items()}

    def _unknown(self, asked: str, known: list[str]) -> ConfigError:
        hint = nearest(asked, known)
        offer = hint if "Did you mean" in hint else ""
        return ConfigError(
            f"nothing is known of {asked!r} in these pictures.{offer} Known are "
            f"{', '.join(known)}; with 'no' before, the opposite; with a comma between, both."
        )


def satisfied(state: State, codes: Mapping[str, Tensor]) -> Tensor:
    """Where a state holds, bool (N,), for codes (N,) by the names of attributes."""
    parts = [
        torch.isin(codes[name], torch.tensor(sorted(wanted), device=codes[name].device))
        for name, wanted in state.items()
    ]
    return torch.stack(parts).all(0)


def _avatar_terms() -> dict[str, Term]:
    """The words for every value of every discrete attribute of avatars."""
    terms: dict[str, Term] = {}
    for attribute in ATTRIBUTES:
        if attribute.kind != "discrete":
            continue
        if "none" in attribute.values:  # glasses, beard, hat, earrings: any of them
            some = frozenset(range(len(attribute.values))) - {attribute.values.index("none")}
            words = attribute.name
            terms[words] = Term(words, {attribute.name: some})
        for code, value in enumerate(attribute.values):
            words = _words(attribute, value)
            if value != "none":
                terms[words] = Term(words, {attribute.name: frozenset({code})})
    return terms


def _words(attribute: Attribute, value: str) -> str:
    phrase = "{}" if value in _WHOLE else _PHRASES.get(attribute.name, "{}")
    return phrase.format(value)


def open_reader(
    run: str | Path,
    device: torch.device | None = None,
    *,
    say: Callable[[str], None] | None = None,
) -> Reader:
    """What tells the attributes, or the classes, of the data of a run.

    The classifier is trained when it is first needed, and kept.

    Args:
        run: The run folder.
        device: Where to compute (default: where `ganvas.load` puts a model).
        say: Told when a classifier has to be trained.

    Raises:
        ConfigError: Nothing is known about the data.
        GanvasError: The run or its data cannot be read.
    """
    config = RunFolder(Path(run)).read().data
    pack = open_pack(config)
    if len(pack.shape) == 1 or len(pack.classes) < 2:
        raise ConfigError(
            f"nothing is known about the pictures of {config.source}: words need attributes "
            "(avatars) or classes (one sub-folder each). Directions that need none: "
            "ganvas directions RUN --find pca."
        )
    place = device or resolve_device("auto")
    return Reader(train_or_load_classifier(pack, config, place, say=say), pack.classes)
