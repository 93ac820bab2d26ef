"""The demo model's vocabulary, and random replies that a grammar allows."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from seallm_edge.constraint import Grammar, GrammarCompiler
from seallm_edge.native.model import Model


class Demo:
    """The demo model's tokens and a compiler for them; the model itself is unloaded before anything is compiled."""

    def __init__(self, file: Path) -> None:
        model = Model(file, vocabulary_only=True)
        vocabulary = model.vocabulary
        self.n_tokens = vocabulary.n_tokens
        self.pieces = [vocabulary.piece(token) for token in range(self.n_tokens)]
        self.ends = [token for token in range(self.n_tokens) if vocabulary.ends_generation(token)]
        self.compiler = GrammarCompiler(vocabulary)
        model.close()
        self._ids = {piece: token for token, piece in enumerate(self.pieces) if piece}

    def spell(self, text: str) -> list[int]:
        """`text` in tokens, the longest first: parts of characters where there is no token for the whole."""
        data, tokens = text.encode(), []
        while data:
            length = next(n for n in range(min(len(data), 32), 0, -1) if data[:n] in self._ids)
            tokens.append(self._ids[data[:length]])
            data = data[length:]
        return tokens

    def takes(self, grammar: Grammar, text: str) -> bool:
        """Whether `text` is a whole reply that the grammar allows."""
        constraint = grammar.start()
        for token in self.spell(text):
            if not constraint.allows(token):
                return False
            constraint.accept(token)
        return constraint.may_end

    def write(self, grammar: Grammar, seed: int) -> str:
        """A whole reply: tokens at random out of those allowed, and once it is long, rather such as come to an end."""
        chance = random.Random(seed)
        constraint = grammar.start()
        data = b""
        for n in range(400):
            if constraint.is_complete or (constraint.may_end and n > 12):
                return data.decode()
            allowed = np.flatnonzero(constraint.allowed())
            closing = [token for token in allowed if self.pieces[token] in (b'"', b"]", b"}")] if n > 6 else []
            token = chance.choice(closing or [token for token in allowed if token not in self.ends])
            constraint.accept(int(token))
            data += self.pieces[token]
        raise AssertionError(f"no end in 400 tokens: {data!r}")


@pytest.fixture(scope="session")
def demo(demo_file: Path) -> Demo:
    return Demo(demo_file)
