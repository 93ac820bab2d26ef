"""Runs in a child process: one model loaded, some texts tokenized, a few steps taken.

A request comes on stdin and its answer goes to stdout, both JSON; see `answer`. llama.cpp's warnings go to stderr.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from ..errors import EngineError
from ..text.unicode import normalize
from .child import answer_request
from .context import Context
from .model import Model

_MAX_PROMPT_TOKENS = 32  # a vocabulary of bare bytes takes one for each letter
_THREADS = 2


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `Trial` but for its time, for the fields of `try_model`'s call. Raises EngineError."""
    memory = _Memory()
    model = Model([Path(path) for path in request["paths"]], repack=False)
    try:
        memory.look()
        tokens = [model.vocabulary.tokenize(normalize(text), special=True) for text in request["texts"]]
        decoded = [model.vocabulary.detokenize(ids, special=True).decode("utf-8", "replace") for ids in tokens]
        finite, text = _steps(model, request["prompt"], request["n_words"], memory)
    finally:
        model.close()
    return {
        "tokens": tokens,
        "decoded": decoded,
        "finite": finite,
        "text": text,
        "resident_bytes": memory.resident,
        "anonymous_bytes": memory.anonymous,
        "expected": _expected(request["tokenizer"], request["texts"]),  # last: its memory is not the model's
    }


class _Memory:
    """The most memory that this process was seen to take, in bytes."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.resident = 0
        self.anonymous = 0

    def look(self) -> None:
        found = self._process.memory_info()
        self.resident = max(self.resident, found.rss)
        self.anonymous = max(self.anonymous, found.rss - getattr(found, "shared", 0))  # Linux alone tells them apart


def _steps(model: Model, prompt: str, n_words: int, memory: _Memory) -> tuple[bool, str]:
    """(whether the first step gave numbers only, the text of the `n_words` likeliest tokens, each after the other)."""
    vocabulary = model.vocabulary
    tokens = [vocabulary.bos] if vocabulary.add_bos else []
    tokens = (tokens + vocabulary.tokenize(prompt))[:_MAX_PROMPT_TOKENS]
    threads = min(_THREADS, os.cpu_count() or 1)
    n_ctx = _MAX_PROMPT_TOKENS + n_words
    context = Context(model, n_ctx=n_ctx, n_batch=_MAX_PROMPT_TOKENS, n_threads=threads)
    written: list[int] = []
    try:
        context.decode(tokens, 0)
        memory.look()
        finite = bool(np.isfinite(context.logits()).all())
        while finite and len(written) < n_words:
            token = int(context.logits().argmax())
            if vocabulary.ends_generation(token):
                break
            written.append(token)
            context.decode([token], len(tokens) + len(written) - 1)
            memory.look()
    finally:
        context.close()
    # The last token may end inside a character: what is there of it is left out.
    return finite, codecs.getincrementaldecoder("utf-8")("replace").decode(vocabulary.detokenize(written))


def _expected(tokenizer: str | None, texts: Sequence[str]) -> list[list[int]] | None:
    """The ids that the tokenizers library gives each text; None without a tokenizer.json, or where that library has no
    wheels (Android). Raises EngineError.
    """
    if tokenizer is None:
        return None
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    try:
        judge = Tokenizer.from_str(tokenizer)
    except Exception as error:  # the library raises nothing more precise
        message = f"the tokenizers library cannot read tokenizer.json: {error}"
        raise EngineError(message, "take tokenizer.json from the original checkpoint") from error
    return [judge.encode(normalize(text), add_special_tokens=False).ids for text in texts]


if __name__ == "__main__":
    answer_request(answer)
