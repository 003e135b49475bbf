"""What a model that reads captions knows of them, and which ones it refuses."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from ganvas.errors import ConfigError
from ganvas.models.base import Model, ModelSettings
from ganvas.networks.text import MARKS, caption_words, words_of

if TYPE_CHECKING:
    from ganvas.models.latent_diffusion import LatentDiffusion


@dataclass(frozen=True)
class Captions:
    """What a model that learns from captions has to know of them before it is built."""

    vocabulary: tuple[str, ...]
    """The words of the training captions, sorted."""
    longest: int
    """Words of the longest of them, with punctuation, without what marks begin and end."""
    examples: tuple[str, ...]
    """Some of the captions, to draw where no text is asked for."""


def reads_captions(model: Model) -> "TypeGuard[LatentDiffusion]":
    """Whether the model draws what a caption asks for."""
    config = getattr(model, "config", None)
    return isinstance(config, ModelSettings) and config.needs_captions


def what_is_known(condition: str, classes: Sequence[str], captions: Captions | None) -> Captions:
    """The captions of the data, or, where these are not what is asked for, of its classes.

    Raises:
        ConfigError: There are none to learn from; two classes have the same words.
    """
    if condition != "text":
        return captions_of_classes(classes)
    if captions is None:
        raise ConfigError(
            "model.condition=text learns from captions, but the pictures have none. Give each "
            "one, or train without: --set model.condition=none (or class)."
        )
    return captions


def captions_of_classes(classes: Sequence[str]) -> Captions:
    """The names of classes as captions.

    Raises:
        ConfigError: Two names have the same words.
    """
    by_words: dict[tuple[str, ...], str] = {}
    for name in classes:
        words = tuple(caption_words(name))
        if words in by_words:
            raise ConfigError(
                f"the classes {by_words[words]!r} and {name!r} have the same words, by which "
                "condition=class tells them apart: rename one of the folders."
            )
        by_words[words] = name
    return Captions(words_of(classes), max(map(len, by_words), default=0), tuple(classes))


def check_caption(
    caption: str, vocabulary: Collection[str] | None, used: int, limit: int, example: str
) -> None:
    """Refuse a caption that cannot be drawn.

    Args:
        caption: What is asked for.
        vocabulary: All words that the model knows; None for one that knows parts of words.
        used: How many numbers the caption takes, with its marks.
        limit: How many the model reads.
        example: A caption that it can draw.

    Raises:
        ConfigError: It is empty, has words that the model has never seen, or is too long.
    """
    words = caption_words(caption)
    if not words:
        raise ConfigError(
            f"the caption {caption!r} is empty: say what to draw, such as "
            f'--text "{example}", or leave out --text.'
        )
    unknown = [] if vocabulary is None else [w for w in words if w not in vocabulary]
    if unknown:
        named = ", ".join(map(repr, dict.fromkeys(unknown)))
        close = difflib.get_close_matches(unknown[0], vocabulary or (), n=3, cutoff=0.6)
        offer = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ConfigError(
            f"{named}: never in a caption that this model learnt from.{offer} What it can draw is "
            f'described, for example, as "{example}".'
        )
    if used > limit:
        raise ConfigError(
            f'the caption "{" ".join(caption.split())[:60]}..." is too long: it takes '
            f"{used - MARKS} numbers (words and signs), and this model reads {limit - MARKS}. "
            "Shorten it."
        )


def whole_letters(text: str) -> str:
    """With "?" for halves of letters, which no tokeniser takes; a command line may have them."""
    return text.encode("utf-8", "replace").decode()


def without_text(model: Model) -> ConfigError:
    """What to say where text is asked of a model that learnt without captions."""
    if model.classes:
        known = ", ".join(model.classes[:5]) + (", ..." if len(model.classes) > 5 else "")
        instead = f"It takes classes: {known}."
    else:
        instead = "Leave --text out."
    return ConfigError(
        f"this model learnt without captions, so it takes no text. {instead} A latent-diffusion "
        "trained with --set model.condition=text on pictures with captions takes text."
    )
