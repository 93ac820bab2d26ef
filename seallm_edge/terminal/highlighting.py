"""Highlighting of code, line by line as it comes, by Pygments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .style import Style

if TYPE_CHECKING:
    from pygments.lexer import Lexer

MAX_CONTEXT = 40  # lines above one that may decide its looks
MAX_LINE = 500  # characters; longer lines are not highlighted
_CODES = {  # SGR codes by the first parts of a token type's name, longest first
    "Token.Literal.String": "32",
    "Token.Literal.Number": "36",
    "Token.Name.Function": "34",
    "Token.Name.Class": "34",
    "Token.Name.Tag": "34",
    "Token.Name.Builtin": "36",
    "Token.Keyword": "35",
    "Token.Operator.Word": "35",
    "Token.Comment": "2;3",
}


class Highlighter:
    """Highlighter of code in one language. Without colours, or in an unknown language, code stays as it is.

    A line is read with those above it, back to one that starts after an empty line without an indent.
    """

    def __init__(self, language: str, style: Style) -> None:
        self._style = style
        self._lexer = _lexer(language) if style.colours else None
        self._context: list[str] = []

    def line(self, line: str) -> str:
        """`line` with escape sequences."""
        if self._lexer is None or len(line) > MAX_LINE:
            return line
        above = self._context
        if (above and not above[-1].strip() and not line[:1].isspace()) or len(above) >= MAX_CONTEXT:
            above.clear()
        begin = sum(len(other) + 1 for other in above)
        above.append(line)
        painted = []
        for index, kind, value in self._lexer.get_tokens_unprocessed("\n".join(above)):
            text = value[max(0, begin - index) :]
            if text:
                painted.append(self._style.sgr(text, _codes(str(kind))))
        return "".join(painted)


def _codes(kind: str) -> str:
    return next((codes for name, codes in _CODES.items() if kind.startswith(name)), "")


def _lexer(language: str) -> Lexer | None:
    """Lexer of the language that a fence names first, such as "python title=x.py"."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    names = language.strip("{}.").split()
    try:
        return get_lexer_by_name(names[0]) if names else None
    except ClassNotFound:
        return None
