"""Control tokens of a rendered prompt, told apart from the same spelling in a message. Knows no template language.

Lone surrogates do the marking: no valid text holds one, so none can come from a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from .chatml import PromptSegment

REPLY_STARTS, REPLY_ENDS = "\udbfe", "\udbff"
_FIRST_MARK, _FIRST_SHIELD = 0xD800, 0xDC00
_MAX_NAMES = 1000
_SURROGATES = re.compile("[\ud800-\udfff]")
_REPLY = re.compile(f"{REPLY_STARTS}(.*?){REPLY_ENDS}", re.DOTALL)


class Markup(Protocol):
    """A way to know which characters of a rendered prompt are the template's own."""

    def literal(self, text: str) -> str:
        """A text of the template as it is rendered."""

    def content(self, text: str) -> str:
        """A message's content as it is rendered."""

    def split(self, rendered: str) -> list[PromptSegment]:
        """Rendered text as control tokens and plain text; `rendered` may hold the two marks around replies."""


class MarkedLiterals:
    """Control tokens in the template's literals become marks; messages stay as they are, so that a template can look
    into them. For templates that spell their control tokens whole.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names[:_MAX_NAMES]
        self._pattern = spelling(self._names)
        self._marks = {name: chr(_FIRST_MARK + number) for number, name in enumerate(self._names)}
        self._mark = re.compile(f"[{chr(_FIRST_MARK)}-{chr(_FIRST_MARK + _MAX_NAMES)}]")

    def literal(self, text: str) -> str:
        """`text` with a mark for each control token."""
        return self._pattern.sub(lambda found: self._marks[found[0]], without_surrogates(text))

    def content(self, text: str) -> str:
        """`text` itself."""
        return without_surrogates(text)

    def split(self, rendered: str) -> list[PromptSegment]:
        """Rendered text as control tokens and plain text."""
        return _split(rendered, self._mark, self._name, lambda text: text)

    def _name(self, mark: str) -> str:
        number = ord(mark) - _FIRST_MARK
        return self._names[number] if number < len(self._names) else ""


class ShieldedContents:
    """Characters of control tokens become shields where a message has them, and the template's own stay. For templates
    that put control tokens together from parts, such as `'<|' + role + '|>'`; they see shielded messages.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._pattern = spelling(names)
        letters = sorted({letter for name in names for letter in name if not letter.isspace()})[:_MAX_NAMES]
        self._shields = {ord(letter): chr(_FIRST_SHIELD + number) for number, letter in enumerate(letters)}
        self._letters = {ord(shield): chr(letter) for letter, shield in self._shields.items()}

    def literal(self, text: str) -> str:
        """`text` itself."""
        return without_surrogates(text)

    def content(self, text: str) -> str:
        """`text` with shields for the characters of control tokens."""
        return without_surrogates(text).translate(self._shields)

    def split(self, rendered: str) -> list[PromptSegment]:
        """Rendered text as control tokens and plain text."""
        return _split(rendered, self._pattern, lambda name: name, lambda text: text.translate(self._letters))


def spelling(names: Sequence[str]) -> re.Pattern[str]:
    """A pattern of the names, the longest first, as tokenizers match them; of none, one that never matches."""
    known = sorted(filter(None, names), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, known)) or r"(?!)")


def without_surrogates(text: str) -> str:
    """`text` with U+FFFD for what is no character."""
    return _SURROGATES.sub("\ufffd", text)


def around_reply(content: str) -> str:
    """An earlier reply between its marks."""
    return f"{REPLY_STARTS}{content}{REPLY_ENDS}" if content else ""


def around_words(content: str) -> str:
    """An earlier reply with its marks inside the white space at its ends, for templates that trim replies."""
    words = content.strip()
    return content.replace(words, around_reply(words), 1) if words else content


def without_reply_marks(rendered: str) -> str:
    """Rendered text as it is without marks around replies."""
    return rendered.replace(REPLY_STARTS, "").replace(REPLY_ENDS, "")


def _split(
    rendered: str, pattern: re.Pattern[str], name: Callable[[str], str], plain: Callable[[str], str]
) -> list[PromptSegment]:
    """Segments of a rendered prompt: control tokens where `pattern` matches, else text, as `plain` spells it."""
    segments: list[PromptSegment] = []
    start = 0
    for found in pattern.finditer(rendered):
        segments += _texts(rendered[start : found.start()], plain)
        segments.append(PromptSegment(name(found[0]), is_control=True))
        start = found.end()
    segments += _texts(rendered[start:], plain)
    return [segment for segment in segments if segment.text]


def _texts(text: str, plain: Callable[[str], str]) -> Iterator[PromptSegment]:
    """Plain text, the replies between marks apart from the rest."""
    for number, part in enumerate(_REPLY.split(text)):
        yield PromptSegment(without_surrogates(plain(without_reply_marks(part))), is_reply=number % 2 == 1)
