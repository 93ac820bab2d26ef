"""`special_tokens`: the control tokens of a GGUF's vocabulary, read from its header without llama.cpp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .header import Header
from .parse import Array

_UNKNOWN, _CONTROL = 2, 3  # ref: llama.cpp's enum llama_token_type
_TOKENS, _TYPES = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
_NAMED = {
    "bos_token": "tokenizer.ggml.bos_token_id",
    "eos_token": "tokenizer.ggml.eos_token_id",
    "unk_token": "tokenizer.ggml.unknown_token_id",
    "pad_token": "tokenizer.ggml.padding_token_id",
}


@dataclass(frozen=True)
class SpecialTokens:
    """Spellings of special tokens: all `control` tokens in the order of their ids, and the `named` ones of the file
    among bos_token, eos_token, unk_token and pad_token.
    """

    control: tuple[str, ...]
    named: Mapping[str, str]


def special_tokens(header: Header) -> SpecialTokens:
    """Special tokens of a vocabulary. Raises ModelFileError if the file has changed."""
    control = _control_ids(header)
    ids = {name: header.metadata.get(key) for name, key in _NAMED.items()}
    named = {name: token for name, token in ids.items() if isinstance(token, int)}
    if not isinstance(header.metadata.get(_TOKENS), Array):
        return SpecialTokens((), {})
    texts = header.texts(_TOKENS, {*control, *named.values()})
    return SpecialTokens(
        tuple(texts[token] for token in control if token in texts),
        {name: texts[token] for name, token in named.items() if token in texts},
    )


def _control_ids(header: Header) -> list[int]:
    if not isinstance(header.metadata.get(_TYPES), Array):
        return []
    kinds = header.array(_TYPES)
    return [int(token) for token in ((kinds == _CONTROL) | (kinds == _UNKNOWN)).nonzero()[0]]
