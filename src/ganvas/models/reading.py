"""What a model that reads captions knows of them, and which ones it refuses."""

import difflib
from collections.abc import Collection, Sequence

from ganvas.errors import ConfigError
from ganvas.models.base import Captions
from ganvas.networks.text import MARKS, caption_words, words_of


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
