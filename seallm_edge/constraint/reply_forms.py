"""`ReplyForms`: constraints of replies by the options `schema` and `grammar`. Knows a model's vocabulary only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from ..errors import InvalidOption
from .compiler import GrammarCompiler, Vocabulary
from .matcher import Constraint
from .tool_calls import ToolCalls

Schema = Mapping[str, Any] | bool | str | type
Syntax = str | ToolCalls  # a grammar in GBNF, or the calls of tools


class ReplyForms:
    """Forms of replies for one vocabulary, which is read for the first of them. Any thread may call it."""

    def __init__(self, vocabulary: Callable[[], AbstractContextManager[Vocabulary]]) -> None:
        self._vocabulary = vocabulary
        self._compiler: GrammarCompiler | None = None

    def start(self, schema: Schema | None, grammar: Syntax | None) -> Constraint | None:
        """Start the constraint of a reply; None without a schema and a grammar. Raises InvalidOption for both, and for
        an invalid one.
        """
        if schema is not None and grammar is not None:
            raise InvalidOption("both a schema and a grammar are given", "give one of them")
        if isinstance(grammar, ToolCalls):
            return self._made().tool_calls(grammar).start()
        if grammar is not None:
            return self._made().gbnf(grammar).start()
        return None if schema is None else self._made().schema(schema).start()

    def _made(self) -> GrammarCompiler:
        if self._compiler is None:
            with self._vocabulary() as vocabulary:
                self._compiler = self._compiler or GrammarCompiler(vocabulary)
        return self._compiler
