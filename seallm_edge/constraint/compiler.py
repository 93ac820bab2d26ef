"""`GrammarCompiler`: schemas and grammars → `Grammar`, which starts a `Constraint` for each reply.

Knows a model's vocabulary only.
"""

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
from .tool_calls import ToolCalls

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_LIMITS: dict[str, Any] = {
    "max_items_in_row": 2_000,  # parser items for one position: grows with ambiguity
    "step_max_items": 500_000,  # the same, summed over one mask; llama.cpp's example grammars need up to 50,000
    "step_lexer_fuel": 2_000_000,  # regular expressions derived for one mask: about 0.15 s
    "max_lexer_states": 50_000,  # 1 to 2 kB each
    "verbose_errors": False,
}
_STACK = 8 << 20  # bytes
_STACK_FOR_A_CHARACTER = 512  # bytes; a chain of $ref takes up to 300, and a stack overflow would kill the process
_N_KEPT = 16


class Vocabulary(Protocol):
    """Vocabulary of a model, read once."""

    n_tokens: int

    def piece(self, token: int) -> bytes:
        """Bytes of a token's text; empty for a control token."""

    def ends_generation(self, token: int) -> bool:
        """Whether the token ends a reply."""


class GrammarCompiler:
    """Compiler of grammars for one vocabulary. Any thread may call it.

    Copies the vocabulary at once, so that the model may be unloaded afterwards. Builds the trie of its tokens for the
    first grammar, and caches the last 16 grammars.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._tokens = _Tokens(vocabulary)
        self._remembered = functools.lru_cache(maxsize=_N_KEPT)(self._tokens.grammar)

    def schema(self, schema_or_class: Mapping[str, Any] | bool | str | type) -> Grammar:
        """Grammar of the JSON texts that satisfy a schema, on one line, with one space or none after `,` and `:`.

        Takes a JSON schema, its text, or a pydantic model class. Raises InvalidOption for anything else, an unsupported
        keyword, or a schema that nothing satisfies.
        """
        return self._remembered(*schema.to_lark(schema_or_class))

    def gbnf(self, text: str) -> Grammar:
        """Grammar of a `text` in llama.cpp's GBNF. Raises InvalidOption that names the line."""
        return self._remembered(lark.to_lark(gbnf.parse(text)), None)

    def tool_calls(self, calls: ToolCalls) -> Grammar:
        """Grammar of replies that call tools. Raises InvalidOption as `schema` does."""
        return self._remembered(*calls.to_lark())


@dataclass(frozen=True)
class Grammar:
    """Compiled grammar. Immutable; starts any number of constraints, on any thread."""

    _tokens: _Tokens
    _lark: str
    _most_digits: int | None  # in each part of a number; None for a GBNF grammar, which need not be JSON

    def start(self) -> Constraint:
        """Start a constraint for one reply. Constraints share no state."""
        matcher, tokens = self._matcher(), self._tokens
        digits = None if self._most_digits is None else DigitLimit(tokens.digits, self._most_digits)
        return Constraint(matcher, tokens.n_tokens, tokens.ends, self._what, digits, tokens.bytes_of)

    @property
    def _what(self) -> Literal["schema", "grammar"]:
        return "grammar" if self._most_digits is None else "schema"

    def try_out(self) -> None:
        """Compute the first token mask. Raises InvalidOption for an unsupported grammar, or one that allows no text."""
        matcher = self._matcher()
        matcher.compute_bitmask()
        if matcher.is_error():
            raise refusal(matcher.get_error(), self._what)

    def _matcher(self) -> LLMatcher:
        n_bytes = _STACK + len(self._lark) * _STACK_FOR_A_CHARACTER
        return call_on_deep_stack(lambda: self._tokens.matcher(self._lark), n_bytes)


class _Tokens:
    """Tokens of a vocabulary, and llguidance's trie of them, built once for the first grammar."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.n_tokens = vocabulary.n_tokens
        self.ends = frozenset(token for token in range(self.n_tokens) if vocabulary.ends_generation(token))
        self._token_bytes = [vocabulary.piece(token) for token in range(self.n_tokens)]
        self._trie: LLTokenizer | None = None
        self.digits = TokenDigits(self._token_bytes)
        self._building = threading.Lock()

    def grammar(self, text: str, most_digits: int | None) -> Grammar:
        """Compile a grammar in llguidance's notation, and try it out. Raises InvalidOption as `try_out` does."""
        grammar = Grammar(self, text, most_digits)
        grammar.try_out()
        return grammar

    def matcher(self, text: str) -> LLMatcher:
        """Matcher at the beginning of a reply; its `is_error()` is True if `text` is no valid grammar."""
        llguidance = _llguidance()
        limits = llguidance.LLParserLimits(**_LIMITS)
        matcher: LLMatcher = llguidance.LLMatcher(self._built(), text, log_level=0, limits=limits)
        return matcher

    def bytes_of(self, token: int) -> bytes:
        """Bytes of a text token."""
        return bytes(self._built().decode_bytes([token]))

    def _built(self) -> LLTokenizer:
        with self._building:
            if self._trie is None:
                self._trie = _trie(self._token_bytes, sorted(self.ends))
                self._token_bytes = []
            return self._trie


def _trie(token_bytes: list[bytes], ends: list[int]) -> LLTokenizer:
    llguidance = _llguidance()
    tokens = token_bytes.copy()
    for token in ends:
        tokens[token] = b"end %d" % token  # a special token, which never matches text
    facts = SimpleNamespace(
        tokens=tokens, special_token_ids=ends, eos_token_id=ends[0] if ends else None, bos_token_id=None
    )
    trie: LLTokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(facts), eos_token=ends or None)
    tokens.clear()  # llguidance keeps the wrapper, but has its own copy of the bytes
    return trie


def _llguidance() -> Any:
    try:
        import llguidance
    except PackageNotFoundError as error:  # llguidance looks up its own version
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
