"""Vocabulary of a GGUF from `tokenizer.json`: tokens, their types, merges, and the ids of special tokens.

Only Qwen2's byte-level BPE: `tokenizer.ggml.pre` names a pre-tokenizer built into llama.cpp, so a tokenizer with
another one is refused rather than converted wrongly.
ref: llama.cpp `conversion/base.py` (`get_vocab_base`) and `gguf-py/gguf/vocab.py` (`SpecialVocab`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from seallm_edge.errors import CheckpointError
from seallm_edge.gguf_file import encode

from ..sources.checkpoint import Checkpoint

END_OF_TURN, END_OF_TEXT = "<|im_end|>", "<|endoftext|>"
# ref: llama.cpp `llama_token_type`
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
_PATTERNS = {
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+",
}
_ORIGINAL = "take tokenizer.json from the original checkpoint"


@dataclass(frozen=True)
class Vocabulary:
    """Vocabulary: `tokens[i]` is token i, `kinds[i]` its llama.cpp token type; the others are ids of special tokens."""

    tokens: Collection[str]
    kinds: tuple[int, ...]
    merges: Collection[str]
    eos: int
    bos: int
    padding: int

    def metadata(self, pre_tokenizer: str, chat_template: str | None) -> Mapping[str, bytes]:
        """The GGUF keys of the tokenizer."""
        values = {
            "tokenizer.ggml.model": encode.text("gpt2"),
            "tokenizer.ggml.pre": encode.text(pre_tokenizer),
            "tokenizer.ggml.tokens": encode.texts(self.tokens),
            "tokenizer.ggml.token_type": encode.i32s(self.kinds),
            "tokenizer.ggml.merges": encode.texts(self.merges),
            "tokenizer.ggml.eos_token_id": encode.u32(self.eos),
            "tokenizer.ggml.padding_token_id": encode.u32(self.padding),
            "tokenizer.ggml.bos_token_id": encode.u32(self.bos),
            "tokenizer.ggml.add_bos_token": encode.flag(False),
            "tokenizer.ggml.add_eos_token": encode.flag(False),
        }
        if chat_template:
            values["tokenizer.chat_template"] = encode.text(chat_template)
        return values


def read_vocabulary(checkpoint: Checkpoint, pre_tokenizer: str, n_rows: int, chat: bool) -> Vocabulary:
    """Vocabulary of a checkpoint, padded with unused tokens to `n_rows`. Raises CheckpointError.

    A chat model ends its turn with `<|im_end|>`, whatever `config.json` says; llama.cpp knows `<|endoftext|>` by
    its name and ends a reply there as well.
    """
    file = _TokenizerFile(checkpoint.folder / "tokenizer.json", checkpoint.tokenizer())
    file.check_splitting(pre_tokenizer)
    tokens, kinds = file.tokens(n_rows)
    ids = {token: i for i, (token, kind) in enumerate(zip(tokens, kinds, strict=True)) if kind == _CONTROL}
    end = END_OF_TURN if chat else END_OF_TEXT
    if end not in ids:
        raise file.error(f"has no {end}, which ends the text of this model")
    bos, padding = checkpoint.tokenizer_config.get("bos_token"), checkpoint.tokenizer_config.get("pad_token")
    end_of_text = ids.get(END_OF_TEXT, ids[end])
    return Vocabulary(
        tokens=tokens,
        kinds=kinds,
        merges=file.merges(),
        eos=ids[end],
        bos=ids.get(_content(bos), end_of_text),
        padding=ids.get(_content(padding), end_of_text),
    )


def ends_turns(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint's own files have `<|im_end|>` as end-of-text token: a chat model."""
    if _content(checkpoint.tokenizer_config.get("eos_token")) == END_OF_TURN:
        return True
    eos = checkpoint.generation_config.get("eos_token_id")
    ends = eos if isinstance(eos, list) else [eos]
    added = checkpoint.tokenizer().get("added_tokens")
    return any(isinstance(t, dict) and t.get("content") == END_OF_TURN and t.get("id") in ends for t in added or ())


def _content(token: Any) -> str:
    """A special token of tokenizer_config.json: plain, or an object with its text in `content`."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


@dataclass(frozen=True)
class _TokenizerFile:
    path: PurePath
    content: Mapping[str, Any]

    def error(self, problem: str) -> CheckpointError:
        return CheckpointError(self.path, problem, _ORIGINAL)

    def check_splitting(self, pre_tokenizer: str) -> None:
        model, normalizer = self.content.get("model"), self.content.get("normalizer")
        if not isinstance(model, dict) or model.get("type") != "BPE":
            raise self.error("is no byte-level BPE tokenizer")
        if normalizer is not None and (not isinstance(normalizer, dict) or normalizer.get("type") != "NFC"):
            raise self.error("normalizes text otherwise than by NFC")
        if _patterns(self.content.get("pre_tokenizer")) != [_PATTERNS[pre_tokenizer]]:
            raise self.error(f"splits text otherwise than {pre_tokenizer} does")

    def tokens(self, n_rows: int) -> tuple[list[str], tuple[int, ...]]:
        tokens: list[str | None] = [None] * n_rows
        kinds = [_UNUSED] * n_rows
        for token, token_id in self._vocab().items():
            self._place(tokens, token_id, token)
            kinds[token_id] = _NORMAL
        for token_id, token, special in self._added():
            self._place(tokens, token_id, token)
            is_control = special or (token.startswith("<|") and token.endswith("|>"))
            kinds[token_id] = _CONTROL if is_control else _USER_DEFINED
        filled = [f"[PAD{i}]" if token is None else token for i, token in enumerate(tokens)]
        if len(set(filled)) < n_rows:
            raise self.error("gives two tokens the same text")
        return filled, tuple(kinds)

    def _place(self, tokens: list[str | None], token_id: Any, token: str) -> None:
        if type(token_id) is not int or not 0 <= token_id < len(tokens):
            raise self.error(f"gives {token!r} the id {token_id!r}, but the model has {len(tokens):,} rows")
        if tokens[token_id] not in (None, token):
            raise self.error(f"gives the id {token_id} to {tokens[token_id]!r} and to {token!r}")
        tokens[token_id] = token

    def _vocab(self) -> Mapping[str, Any]:
        vocab = self.content["model"].get("vocab")
        if not isinstance(vocab, dict) or not vocab:
            raise self.error("has no vocabulary")
        return vocab

    def _added(self) -> list[tuple[Any, str, bool]]:
        added = self.content.get("added_tokens") or []
        try:
            return [(entry["id"], str(entry["content"]), entry.get("special") is True) for entry in added]
        except (TypeError, KeyError, AttributeError) as error:
            raise self.error("has an added token without id or content") from error

    def merges(self) -> list[str]:
        merges = self.content["model"].get("merges")
        if not isinstance(merges, list) or not merges:
            raise self.error("has no merges")
        # Newer files hold pairs, older ones the two joined by a space.
        joined = [" ".join(merge) if isinstance(merge, list) and _all_text(merge) else merge for merge in merges]
        for merge in joined:
            if not isinstance(merge, str) or merge.count(" ") != 1:
                raise self.error(f"has a merge that is no pair: {merge!r}")
        return joined


def _all_text(parts: list[Any]) -> bool:
    return all(isinstance(part, str) for part in parts)


def _patterns(pre_tokenizer: Any) -> list[str]:
    """Regular expressions of the pre-tokenizer."""
    if not isinstance(pre_tokenizer, dict):
        return []
    parts = pre_tokenizer.get("pretokenizers")
    if isinstance(parts, list):
        return [pattern for part in parts for pattern in _patterns(part)]
    pattern = pre_tokenizer.get("pattern")
    regex = pattern.get("Regex") if isinstance(pattern, dict) else None
    return [regex] if isinstance(regex, str) else []
