"""What a model that learns from captions is told of them: its vocabulary, and their numbers."""

import numpy as np
from numpy.typing import NDArray

from ganvas.data.config import DataConfig
from ganvas.data.held_out import training_rows
from ganvas.data.pack import Pack
from ganvas.models.base import Model, Reads
from ganvas.models.reading import Captions
from ganvas.networks.text import caption_words, words_of

_EXAMPLES = 500
_SEED = 0x43415054


def known_captions(pack: Pack, config: DataConfig) -> Captions | None:
    """What is known of the captions to train on, which depends on them alone; None without any."""
    if pack.captions is None:
        return None
    rows = training_rows(pack, config)
    trained = pack.captions if rows is None else [pack.captions[row] for row in rows]
    order = np.random.default_rng(_SEED).permutation(len(trained))[:_EXAMPLES]
    return Captions(
        vocabulary=words_of(trained),
        longest=max(len(caption_words(caption)) for caption in trained),
        examples=tuple(trained[i] for i in order),
    )


def caption_tokens(model: Model, pack: Pack) -> NDArray[np.int64] | None:
    """The captions of a pack as a model reads them, (len(pack), L); None where one of both cannot.

    What is longer than the model reads is cut, and rare words are unknown ones.
    """
    if pack.captions is None or not isinstance(model, Reads):
        return None
    tokens: NDArray[np.int64] = model.tokenise(pack.captions, lenient=True).cpu().numpy()
    return tokens
