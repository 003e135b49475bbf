"""Latent arithmetic: "man with glasses - man + woman" (Radford et al. 2015, section 6.3.2).

Each word stands for the average of the latents of pictures that have what it says. The paper took
three of each by hand; here a classifier finds them, and many, because the chance in so few drowns
what they have in common (a mean of n points of D dimensions is off by sqrt(D / n) spreads: 6 of 3
points of DCGAN's z, 0.6 of 256, where glasses are 1.6 long). A word alone is its average less that
of the pictures without.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.latent.attributes import Reader, Term
from ganvas.latent.sheet import blank, parted, with_caption
from ganvas.latent.space import Space
from ganvas.latent.survey import examples_of
from ganvas.pictures import to_uint8

EXAMPLES = 256
"""Pictures whose latents are averaged for each word."""
_SHOWN = 3
"""Of these the figure shows, and averages: the mean of many lies where nothing is ever drawn."""


@dataclass(frozen=True)
class Part:
    """One term of a sum; its sign is 1 or -1."""

    sign: int
    term: Term

    def __str__(self) -> str:
        return f"{'+' if self.sign > 0 else '-'} {self.term.name}"


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """A sum of words, worked out for a model; images are float32 in [-1, 1].

    Attributes:
        parts: The terms.
        wanted: What a picture has after it, by attribute.
        move: (D,), what is added to a point.
        examples: Of each term three pictures that have it, (3, C, H, W).
        averages: The picture at the average of these three, (parts, C, H, W).
        result: Of a difference, the average from which something is taken, with the sum added; of
            any other sum, the sum itself, with what is peculiar to the three pictures of the last
            term that is added: (C, H, W).
    """

    parts: tuple[Part, ...]
    wanted: Mapping[str, frozenset[int]]
    move: Tensor
    examples: tuple[Tensor, ...]
    averages: Tensor
    result: Tensor

    @property
    def name(self) -> str:
        """The sum in words."""
        return " ".join(map(str, self.parts)).removeprefix("+ ")

    def figure(self) -> Image.Image:
        """The paper's figure: a row for each term, its average before, and last the result."""
        result = to_uint8(self.result[None])[0]
        pictures = []
        for average, examples in zip(to_uint8(self.averages), self.examples, strict=True):
            pictures += [average, *to_uint8(examples)]
        pictures += [result, *([blank(result)] * _SHOWN)]
        sheet = parted(pictures, 1 + _SHOWN, first_row=False)
        rows = ", ".join(map(str, self.parts))
        return with_caption(sheet, f"rows: {rows}; left: the average of three; last: the sum")


def parse(text: str, reader: Reader) -> tuple[Part, ...]:
    """The terms of "glasses - no glasses + beard, red hair".

    A plus or minus stands after a blank, so that a name may have one within. "none" is the opposite
    of the word before it.

    Raises:
        ConfigError: A term is missing or not known.
    """
    pieces = re.split(r"(?:^\s*|\s+)([+-])\s*", text)
    pieces = ["+", *pieces] if pieces[0].strip() else pieces[1:]
    signs, words = pieces[::2], pieces[1::2]
    if not words or not all(word.strip(" ,") for word in words):
        raise ConfigError(
            f"--arithmetic {text!r} is no sum of words: write 'glasses - none + beard', with "
            "blanks around + and -, and a comma between what is to hold at once."
        )
    parts: list[Part] = []
    for sign, word in zip(signs, words, strict=True):
        if word.strip().lower() in ("none", "not") and parts:
            word = f"no {parts[-1].term.name}"
        parts.append(Part(1 if sign == "+" else -1, reader.term(word)))
    return tuple(parts)


def wanted_of(parts: Sequence[Part], reader: Reader) -> dict[str, frozenset[int]]:
    """What a picture shall have after a sum: what is added, and of what is taken the opposite.

    Of "beard, glasses - beard + long hair": glasses, no beard, and long hair. What comes later goes
    before what came earlier, where both cannot be.
    """
    wanted: dict[str, frozenset[int]] = {}
    for part in parts:
        state = part.term.state if part.sign > 0 else reader.complement(part.term.state)
        for name, codes in state.items():
            wanted[name] = (wanted.get(name, codes) & codes) or codes
    return wanted


def arithmetic(
    space: Space,
    reader: Reader,
    text: str,
    *,
    examples: int = EXAMPLES,
    advance: Callable[[int], None] = lambda n: None,
) -> Arithmetic:
    """Work out a sum of words.

    Args:
        space: z or w of a model.
        reader: Tells what is in its pictures.
        text: Such as "glasses - none + beard" or "beard, glasses - beard + long hair".
        examples: Pictures to average for each word, found among those of up to 4,096 seeds.
        advance: Called with the pictures that were just read.

    Raises:
        ConfigError: A word is not known, or the model does not draw it; the space is w+.
    """
    if len(space.shape) != 1:
        raise ConfigError("sums are worked out in z or w; points of w+ can be moved by those of w.")
    parts = parse(text, reader)
    summands = _with_opposite(parts, reader)
    asked = [(part.term.name, part.term.state) for part in summands]
    found = examples_of(space, reader, asked, examples, advance=advance)
    rows = [found.has(state).nonzero()[:examples, 0] for _, state in asked]
    means = torch.stack([found.points[chosen].mean(0) for chosen in rows])
    signs = torch.tensor([part.sign for part in summands]).to(means)
    move = signs @ (means - space.mean())
    few = torch.stack([found.points[chosen[:_SHOWN]].mean(0) for chosen in rows])
    difference = float(signs.sum()) <= 0
    start = max(i for i, part in enumerate(summands) if (part.sign < 0) == difference)
    base = few[start] if difference else few[start] - means[start] + space.mean()

    def pictures(points: Tensor, of: Tensor) -> Tensor:
        return space.draw(points, None if found.labels is None else found.labels[of])

    firsts = torch.stack([chosen[0] for chosen in rows])
    return Arithmetic(
        parts=summands,
        wanted=wanted_of(parts, reader),
        move=move,
        examples=tuple(pictures(found.points[r[:_SHOWN]], r[:_SHOWN]) for r in rows),
        averages=pictures(few, firsts),
        result=pictures((base + move)[None], firsts[start : start + 1])[0],
    )


def _with_opposite(parts: tuple[Part, ...], reader: Reader) -> tuple[Part, ...]:
    """A word alone, less its opposite."""
    if len(parts) > 1:
        return parts
    (only,) = parts
    return (only, Part(-only.sign, reader.opposite(only.term)))
