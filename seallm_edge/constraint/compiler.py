"""Schemas and grammars → `Grammar`, which starts a `Constraint` a reply. Knows of a model its vocabulary only."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..errors import InvalidOption
from . import gbnf, lark, schema
from .deep_stack import call_on_deep_stack
from .digits import DigitLimit, TokenDigits
from .matcher import Constraint
from .refusals import refusal

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_LIMITS: dict[str, Any] = {
    "max_items_in_row": 2_000,  # readings of the same text that are followed at once
    "step_max_items": 500_000,  # the same, summed over one mask; llama.cpp's example grammars need up to 50,000
    "step_lexer_fuel": 2_000_000,  # regular expressions derived for one mask: about 0.15 s
    "max_lexer_states": 50_000,  # 1 to 2 kB each
    "verbose_errors": False,
}
_STACK = 8 << 20  # bytes
_STACK_FOR_A_CHARACTER = 512  # bytes; a chain of $ref takes up to 300, and without them the process would end
_N_KEPT = 16


class Vocabulary(Protocol):
    """What is asked of a model's vocabulary, once."""

    n_tokens: int

    def piece(self, token: int) -> bytes:
        """The bytes of a token's text; empty for a token that is no text."""

    def ends_generation(self, token: int) -> bool:
        """Whether the token ends a reply."""


class GrammarCompiler:
    """Makes grammars for the tokens of one model, on any thread.

    The vocabulary is copied here and now, so the model may be unloaded afterwards. The trie of its tokens is built
    for the first grammar. The last 16 grammars are remembered.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._tokens = _Tokens(vocabulary)
        self._remembered = functools.lru_cache(maxsize=_N_KEPT)(self._tokens.grammar)

    def schema(self, schema_or_class: Mapping[str, Any] | bool | str | type) -> Grammar:
        """The grammar of all JSON texts that satisfy a schema, in one line, with a space after `,` and `:` or none.

        Takes a JSON schema, its text, or a pydantic model class. Raises InvalidOption if it is none, asks for what
        cannot be followed, or if nothing satisfies it.
        """
        return self._remembered(*schema.to_lark(schema_or_class))

    def gbnf(self, text: str) -> Grammar:
        """The grammar of all texts that `text` allows, in llama.cpp's GBNF. Raises InvalidOption, naming the line."""
        return self._remembered(lark.to_lark(gbnf.parse(text)), None)


@dataclass(frozen=True)
class Grammar:
    """What replies may say. Immutable; starts as many constraints as are wanted, on any thread."""

    _tokens: _Tokens
    _lark: str
    _most_digits: int | None  # of a part of a number; None for a grammar, which need not be JSON

    def start(self) -> Constraint:
        """A constraint at the beginning of a reply: it shares nothing with others."""
        matcher, tokens = self._matcher(), self._tokens
        digits = None if self._most_digits is None else DigitLimit(tokens.digits, self._most_digits)
        return Constraint(matcher, tokens.n_tokens, tokens.ends, self._what, digits, tokens.bytes_of)

    @property
    def _what(self) -> Literal["schema", "grammar"]:
        return "grammar" if self._most_digits is None else "schema"

    def try_out(self) -> None:
        """Raise InvalidOption if it cannot be followed, or if nothing may be said first."""
        matcher = self._matcher()
        matcher.compute_bitmask()
        if matcher.is_error():
            raise refusal(matcher.get_error(), self._what)

    def _matcher(self) -> LLMatcher:
        n_bytes = _STACK + len(self._lark) * _STACK_FOR_A_CHARACTER
        return call_on_deep_stack(lambda: self._tokens.matcher(self._lark), n_bytes)


class _Tokens:
    """The tokens of a vocabulary, and the trie that llguidance makes of them, once, for the first grammar."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.n_tokens = vocabulary.n_tokens
        self.ends = frozenset(token for token in range(self.n_tokens) if vocabulary.ends_generation(token))
        self._pieces = [vocabulary.piece(token) for token in range(self.n_tokens)]
        self._trie: LLTokenizer | None = None
        self.digits = TokenDigits(self._pieces)
        self._building = threading.Lock()

    def grammar(self, text: str, most_digits: int | None) -> Grammar:
        """`text` as a Grammar, tried out once. Raises InvalidOption if it cannot be followed or allows nothing."""
        grammar = Grammar(self, text, most_digits)
        grammar.try_out()
        return grammar

    def matcher(self, text: str) -> LLMatcher:
        """A matcher at the beginning of a reply, or one whose `is_error()` says that `text` is no grammar."""
        llguidance = _llguidance()
        limits = llguidance.LLParserLimits(**_LIMITS)
        matcher: LLMatcher = llguidance.LLMatcher(self._built(), text, log_level=0, limits=limits)
        return matcher

    def bytes_of(self, token: int) -> bytes:
        """The bytes of a token that is text."""
        return bytes(self._built().decode_bytes([token]))

    def _built(self) -> LLTokenizer:
        with self._building:
            if self._trie is None:
                self._trie = _trie(self._pieces, sorted(self.ends))
                self._pieces = []
            return self._trie


def _trie(pieces: list[bytes], ends: list[int]) -> LLTokenizer:
    llguidance = _llguidance()
    tokens = pieces.copy()
    for token in ends:
        tokens[token] = b"end %d" % token  # among special_token_ids, so never taken for text
    facts = SimpleNamespace(
        tokens=tokens, special_token_ids=ends, eos_token_id=ends[0] if ends else None, bos_token_id=None
    )
    trie: LLTokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(facts), eos_token=ends or None)
    tokens.clear()  # llguidance keeps the wrapper, and has its own copy of these
    return trie


def _llguidance() -> Any:
    try:
        import llguidance
    except PackageNotFoundError as error:  # it looks its own version up
        raise InvalidOption(
            "schemas and grammars need the metadata of llguidance, which this program was packed without",
            "pack it as well: pyinstaller --copy-metadata llguidance",
        ) from error
    except ImportError as error:
        raise InvalidOption(
            "schemas and grammars need the package llguidance",
            "pip install llguidance (without a wheel, it needs Rust)",
        ) from error
    return llguidance
