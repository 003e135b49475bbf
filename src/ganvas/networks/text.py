"""Captions as numbers: words, a tokeniser of words, and the transformer that reads them.

Tokeniser and transformer are those of `transformers`, so that every tool reads what was trained
here. Words are runs of letters, digits and underscores, and runs of other signs, in lower case.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganvas.errors import ConfigError

PAD, UNKNOWN, BEGIN, END = "<pad>", "<unknown>", "<begin>", "<end>"
"""What fills up, stands for any other word, and marks both ends; they are the first numbers."""

MARKS = 2
"""How many of the numbers of a caption are no words of it: its begin and its end."""

MOST_WORDS = 20_000
"""The size of the largest vocabulary; rarer words are read as unknown."""

_LONGEST, _MULTIPLE = 77, 8
_WORD = r"[\p{L}\p{M}\p{N}_]+|[^\p{L}\p{M}\p{N}_\p{Cc}\s]+"
"""What `caption_words` finds, as a regular expression for the tokeniser."""


def caption_words(text: str) -> list[str]:
    """The words of a caption, with its punctuation: "A man, smiling" -> [a, man, ",", smiling]."""
    small = "".join(letter.lower() for letter in unicodedata.normalize("NFC", text))
    runs = (("".join(run), kind) for kind, run in groupby(small, _kind))
    return [run for run, kind in runs if kind]


def _kind(letter: str) -> str:
    """Of which kind of words a letter is; "" between words."""
    category = unicodedata.category(letter)
    if letter == "_" or category[0] in "LMN":
        return "word"
    return "" if letter.isspace() or category == "Cc" else "signs"


def words_of(captions: Iterable[str]) -> tuple[str, ...]:
    """The vocabulary of captions, sorted: their most frequent words, at most `MOST_WORDS`."""
    counts = Counter(word for caption in captions for word in caption_words(caption))
    frequent = sorted(counts, key=lambda word: (-counts[word], word))
    return tuple(sorted(frequent[:MOST_WORDS]))


def number_words(vocabulary: Sequence[str]) -> dict[str, int]:
    """The number of every word of a vocabulary; the marks come first."""
    return {word: i for i, word in enumerate((PAD, UNKNOWN, BEGIN, END, *vocabulary))}


def length_for(longest: int) -> int:
    """How many numbers to read where the longest caption has so many words."""
    return min(-(-(longest + MARKS) // _MULTIPLE) * _MULTIPLE, _LONGEST)


def make_tokenizer(vocabulary: Sequence[str], length: int) -> Any:
    """A `PreTrainedTokenizerFast` that gives every word of a vocabulary its number.

    Args:
        vocabulary: Words as `caption_words` gives them.
        length: How many numbers a caption has, with its marks, when it is filled up.
    """
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    numbers = number_words(vocabulary)
    tokenizer = Tokenizer(WordLevel(numbers, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), "removed", invert=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}", special_tokens=[(m, numbers[m]) for m in (BEGIN, END)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=length,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
    )


def make_text_encoder(tokenizer: Any, width: int, layers: int) -> nn.Module:
    """A small transformer of CLIP's kind (Radford et al. 2021) to be trained.

    Args:
        tokenizer: Gives it its words and its length.
        width: Numbers for each word; in heads of 64, where they divide it.
        layers: Of attention and two linear maps each.
    """
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64 if width % 64 == 0 else 1,
        max_position_embeddings=tokenizer.model_max_length,
        hidden_act="gelu",
        attn_implementation="eager",  # quicker than the fused one for so few words on a CPU
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    encoder: nn.Module = CLIPTextModel(config)
    return encoder


def open_text_encoder(folder: Path) -> tuple[Any, nn.Module]:
    """Tokeniser and encoder of a CLIP or a T5 in a folder, frozen; no code of it is executed.

    Raises:
        ConfigError: There is no such model in safetensors.
    """
    from transformers import AutoConfig, AutoTokenizer, CLIPTextModel, T5EncoderModel

    classes = {"clip": CLIPTextModel, "clip_text_model": CLIPTextModel, "t5": T5EncoderModel}
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"model.text_encoder: {folder} has no config.json. Give the folder of a CLIP or T5 "
            "encoder as `transformers` saves it, with its tokeniser."
        )
    try:
        local = {"local_files_only": True, "trust_remote_code": False}
        kind = AutoConfig.from_pretrained(folder, **local).model_type
        if kind not in classes:
            raise ConfigError(
                f"model.text_encoder: {folder} holds a model of the kind {kind!r}, but only CLIP "
                "and T5 can be used. Leave it out, and a small one is trained on the captions."
            )
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        encoder = classes[kind].from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
    except ConfigError:
        raise
    except Exception as error:  # of damaged files, each of three libraries raises its own kinds
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"model.text_encoder: {folder} holds no whole CLIP or T5 encoder with its tokeniser in "
            f"safetensors ({reason}). Save both there with save_pretrained of `transformers`."
        ) from None
    if tokenizer.pad_token_id is None or len(tokenizer) > encoder.config.vocab_size:
        raise ConfigError(
            f"model.text_encoder: the tokeniser in {folder} does not go with the encoder: it has "
            f"{len(tokenizer):,} tokens for the encoder's {encoder.config.vocab_size:,}, and must "
            "have one that fills up short captions. Save both of the same model there."
        )
    places = getattr(encoder.config, "max_position_embeddings", _LONGEST)  # a T5 has no such limit
    tokenizer.model_max_length = min(tokenizer.model_max_length, places, _LONGEST)
    return tokenizer, encoder.eval().requires_grad_(False)


def text_states(encoder: nn.Module, tokens: Tensor) -> Tensor:
    """What an encoder says of each word: tokens (N, L) -> (N, L, width).

    A T5 is kept from looking at the filling; a CLIP never looks ahead, so that it cannot.
    """
    config: Any = encoder.config
    mask = tokens != config.pad_token_id if config.model_type == "t5" else None
    states: Tensor = encoder(tokens, attention_mask=mask).last_hidden_state
    return states


def states_width(encoder: nn.Module) -> int:
    """Numbers in which an encoder tells a word."""
    config: Any = encoder.config
    return int(config.hidden_size)
