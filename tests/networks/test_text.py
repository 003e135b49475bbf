import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganvas.errors import ConfigError
from ganvas.networks.text import (
    MOST_WORDS,
    caption_words,
    length_for,
    make_text_encoder,
    make_tokenizer,
    open_text_encoder,
    states_width,
    text_states,
    words_of,
)

CAPTIONS = ("A smiling person, with round glasses!", "a sad person on a red background")


def tokenizer(length: int = 16) -> Any:
    return make_tokenizer(words_of(CAPTIONS), length)


def test_words_are_lower_case_and_punctuation_is_a_word() -> None:
    assert caption_words(" A man,  SMILING (again)... ") == [
        *("a", "man", ",", "smiling", "(", "again", ")..."),
    ]
    assert caption_words("\n ") == []
    assert caption_words("cafe\u0301 naïve_2 हिन्दी") == ["café", "naïve_2", "हिन्दी"]


@settings(deadline=None)  # the first example imports transformers
@given(st.text(st.characters(codec="utf-8", max_codepoint=0x2FFF, exclude_categories=["Cn"])))
def test_tokeniser_finds_the_same_words(text: str) -> None:
    backend = make_tokenizer((), 8).backend_tokenizer
    pieces = backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text))
    assert [piece for piece, _ in pieces] == caption_words(text)


def test_vocabulary_is_sorted_and_the_rarest_words_are_left_out() -> None:
    assert words_of(["b a", "c b"]) == ("a", "b", "c")
    many = words_of(["again " + " ".join(f"w{i:05}" for i in range(MOST_WORDS)), "again"])
    assert len(many) == MOST_WORDS
    assert "again" in many
    assert f"w{MOST_WORDS - 1:05}" not in many  # the last of those that occur once


def test_round_trip() -> None:
    read = tokenizer()(CAPTIONS[1], padding="max_length", truncation=True, max_length=16)
    numbers = read["input_ids"]
    assert len(numbers) == 16
    assert numbers[0] == 2
    assert numbers[8:] == [3] + [0] * 7  # seven words, the end, the filling
    assert tokenizer().decode(numbers, skip_special_tokens=True) == CAPTIONS[1]
    assert tokenizer()("a monocle")["input_ids"][2] == 1


def test_same_words_give_the_same_numbers_whatever_their_order_was() -> None:
    other = make_tokenizer(words_of(CAPTIONS[::-1]), 16)
    assert other(CAPTIONS[0])["input_ids"] == tokenizer()(CAPTIONS[0])["input_ids"]


@pytest.mark.parametrize(("longest", "length"), [(1, 8), (6, 8), (7, 16), (60, 64), (500, 77)])
def test_length_holds_the_longest_caption_with_its_marks(longest: int, length: int) -> None:
    assert length_for(longest) == length


def test_encoder_tells_words_apart_and_does_not_look_ahead() -> None:
    encoder = make_text_encoder(tokenizer(8), width=32, layers=2).eval()
    tokens = torch.tensor([[2, 5, 6, 3, 0, 0, 0, 0], [2, 5, 7, 3, 0, 0, 0, 0]])
    states = text_states(encoder, tokens)
    assert states.shape == (2, 8, 32)
    assert states_width(encoder) == 32
    torch.testing.assert_close(states[0, :2], states[1, :2])
    assert (states[0, 2:] - states[1, 2:]).abs().amin(0).max() > 1e-3


def saved(folder: Path, encoder: Any) -> Path:
    encoder.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def tiny_t5() -> Any:
    from transformers import T5Config, T5EncoderModel

    sizes = {"d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    return T5EncoderModel(T5Config(vocab_size=40, pad_token_id=0, **sizes))


@pytest.mark.parametrize("kind", ["clip", "t5"])
def test_encoders_of_a_folder_are_frozen(kind: str, tmp_path: Path) -> None:
    made = make_text_encoder(tokenizer(), 16, 1) if kind == "clip" else tiny_t5()
    found, encoder = open_text_encoder(saved(tmp_path, made))
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not encoder.training
    tokens = torch.tensor([found("a sad person")["input_ids"]])
    torch.testing.assert_close(text_states(encoder, tokens), text_states(made.eval(), tokens))


def test_t5_does_not_look_at_the_filling(tmp_path: Path) -> None:
    _, encoder = open_text_encoder(saved(tmp_path, tiny_t5()))
    short, filled = torch.tensor([[2, 5, 3]]), torch.tensor([[2, 5, 3, 0, 0, 0]])
    torch.testing.assert_close(text_states(encoder, filled)[:, :3], text_states(encoder, short))


def test_folders_that_hold_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        open_text_encoder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ConfigError, match="of the kind 'bert'"):
        open_text_encoder(tmp_path)
    folder = saved(tmp_path / "pickled", make_text_encoder(tokenizer(), 16, 1))
    weights = folder / "model.safetensors"
    torch.save({}, folder / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(ConfigError, match="in safetensors"):
        open_text_encoder(folder)
    weights.write_bytes(b"\xff" * 99)
    with pytest.raises(ConfigError, match="no whole CLIP"):
        open_text_encoder(folder)


def test_damaged_and_foreign_tokenisers(tmp_path: Path) -> None:
    folder = saved(tmp_path, make_text_encoder(tokenizer(), 16, 1))
    make_tokenizer([f"word{i}" for i in range(99)], 16).save_pretrained(folder)
    with pytest.raises(ConfigError, match="does not go with the encoder: it has 103 tokens"):
        open_text_encoder(folder)
    (folder / "tokenizer.json").write_text('{"model": 1}')
    with pytest.raises(ConfigError, match="no whole CLIP"):
        open_text_encoder(folder)


def test_no_more_is_read_than_an_encoder_has_places_for(tmp_path: Path) -> None:
    folder = saved(tmp_path, make_text_encoder(tokenizer(8), 16, 1))
    tokenizer(64).save_pretrained(folder)
    assert open_text_encoder(folder)[0].model_max_length == 8


def test_code_in_a_folder_is_neither_run_nor_asked_for(tmp_path: Path) -> None:
    code = {"model_type": "mine", "auto_map": {"AutoConfig": "evil.Mine"}}
    (tmp_path / "config.json").write_text(json.dumps(code))
    (tmp_path / "evil.py").write_text("raise SystemExit")
    with pytest.raises(ConfigError, match="no whole CLIP"):
        open_text_encoder(tmp_path)
