"""Highlighting of code, line by line as it comes, by Pygments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .style import Style

if TYPE_CHECKING:
    from pygments.lexer import Lexer

MAX_LINE = 500  # characters; a longer line is not highlighted
_COMMENT = "Token.Comment"
_CODES = {  # SGR codes by the beginning of a token type's name
    "Token.Literal.String": "32",
    "Token.Literal.Number": "36",
    "Token.Name.Function": "34",
    "Token.Name.Class": "34",
    "Token.Name.Tag": "34",
    "Token.Name.Builtin": "36",
    "Token.Keyword": "35",
    "Token.Operator.Word": "35",
    _COMMENT: "2;3",
}


class Highlighter:
    """Highlighter of code in one language. Without colours, or in an unknown language, code stays as it is.

    The state of the lexer passes from line to line. Most lexers read a comment between `/*` and `*/` by one rule, which
    needs the whole comment: such lines are found here.
    """

    def __init__(self, language: str, style: Style) -> None:
        self._style = style
        self._lexer = _lexer(language) if style.colours else None
        self._state = ["root"]
        self._is_in_comment = False
        self._has_block_comments = self._lexer is not None and any(
            str(kind).startswith(_COMMENT) for _, kind, _ in self._lexer.get_tokens_unprocessed("/* */")
        )

    def line(self, line: str) -> str:
        """`line` with escape sequences."""
        if self._lexer is None or len(line) > MAX_LINE:
            return line
        if self._is_in_comment or (self._has_block_comments and line.lstrip().startswith("/*") and "*/" not in line):
            self._is_in_comment = "*/" not in line
            return self._style.sgr(line, _CODES[_COMMENT]) if line else ""
        try:
            tokens = self._tokens(self._lexer, line + "\n")
        except Exception:  # noqa: BLE001  any of 600 lexers; code without colours is better than no code
            self._lexer = None
            return line
        shown = ((kind, text.removesuffix("\n")) for kind, text in tokens)
        return "".join(self._style.sgr(text, _codes(kind)) for kind, text in shown if text)

    def _tokens(self, lexer: Lexer, line: str) -> list[tuple[str, str]]:
        """Names of token types, and their texts."""
        from pygments.lexer import ExtendedRegexLexer, LexerContext, RegexLexer

        if not isinstance(lexer, RegexLexer) or isinstance(lexer, ExtendedRegexLexer):
            return [(str(kind), text) for _, kind, text in lexer.get_tokens_unprocessed(line)]
        context = LexerContext(line, 0, self._state)
        tokens = [
            (str(kind), text) for _, kind, text in ExtendedRegexLexer.get_tokens_unprocessed(lexer, context=context)
        ]
        self._state = context.stack
        return tokens


def _codes(kind: str) -> str:
    return next((codes for name, codes in _CODES.items() if kind.startswith(name)), "")


def _lexer(language: str) -> Lexer | None:
    """Lexer of the language that the line of a fence names first, as in "python title=x.py"."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    names = language.strip("{}.").split()
    try:
        return get_lexer_by_name(names[0]) if names else None
    except ClassNotFound:
        return None
