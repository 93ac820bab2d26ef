"""Control tokens of a rendered prompt, distinguished from the same text in a message. Knows no template language.

Lone surrogates serve as marks: no valid text holds one, so that none can come from a message.
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
    """Encoding of a prompt that distinguishes the template's control tokens from the messages' text."""

    def literal(self, text: str) -> str:
        """Encode a literal text of the template."""

    def content(self, text: str) -> str:
        """Encode a message's content."""

    def split(self, rendered: str) -> list[PromptSegment]:
        """Split rendered text into control tokens and plain text; `rendered` may hold marks around replies."""


class MarkedLiterals:
    """Markup in which control tokens in the template's literals become marks, and messages stay unchanged, so that a
    template can search them. For templates that spell their control tokens whole.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names[:_MAX_NAMES]
        self._pattern = spelling(self._names)
        self._marks = {name: chr(_FIRST_MARK + number) for number, name in enumerate(self._names)}
        self._mark = re.compile(f"[{chr(_FIRST_MARK)}-{chr(_FIRST_MARK + _MAX_NAMES)}]")

    def literal(self, text: str) -> str:
        """Template text with a mark for each control token."""
        return self._pattern.sub(lambda found: self._marks[found[0]], without_surrogates(text))

    def content(self, text: str) -> str:
        """Message content, unchanged."""
        return without_surrogates(text)

    def split(self, rendered: str) -> list[PromptSegment]:
        """Split rendered text into control tokens and plain text."""
        return _split(rendered, self._mark, self._name, lambda text: text)

    def _name(self, mark: str) -> str:
        number = ord(mark) - _FIRST_MARK
        return self._names[number] if number < len(self._names) else ""


class ShieldedContents:
    """Markup in which messages have shields (surrogates) for the characters of control tokens, and the template's text
    stays unchanged. For templates that join control tokens from parts, such as `'<|' + role + '|>'`; they see the
    shielded messages.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._pattern = spelling(names)
        letters = sorted({letter for name in names for letter in name if not letter.isspace()})[:_MAX_NAMES]
        self._shields = {ord(letter): chr(_FIRST_SHIELD + number) for number, letter in enumerate(letters)}
        self._letters = {ord(shield): chr(letter) for letter, shield in self._shields.items()}

    def literal(self, text: str) -> str:
        """Template text, unchanged."""
        return without_surrogates(text)

    def content(self, text: str) -> str:
        """Message content with shields for the characters of control tokens."""
        return without_surrogates(text).translate(self._shields)

    def split(self, rendered: str) -> list[PromptSegment]:
        """Split rendered text into control tokens and plain text."""
        return _split(rendered, self._pattern, lambda name: name, lambda text: text.translate(self._letters))


def spelling(names: Sequence[str]) -> re.Pattern[str]:
    """Pattern of token names, the longest first, as tokenizers match them; without names it never matches."""
    known = sorted(filter(None, names), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, known)) or r"(?!)")


def without_surrogates(text: str) -> str:
    """Text with U+FFFD for lone surrogates."""
    return _SURROGATES.sub("\ufffd", text)


def around_reply(content: str) -> str:
    """Earlier reply between reply marks."""
    return f"{REPLY_STARTS}{content}{REPLY_ENDS}" if content else ""


def around_words(content: str) -> str:
    """Earlier reply with the marks inside its leading and trailing white space, for templates that trim replies."""
    words = content.strip()
    return content.replace(words, around_reply(words), 1) if words else content


def without_reply_marks(rendered: str) -> str:
    """Rendered text without reply marks."""
    return rendered.replace(REPLY_STARTS, "").replace(REPLY_ENDS, "")


def _split(
    rendered: str, pattern: re.Pattern[str], name: Callable[[str], str], plain: Callable[[str], str]
) -> list[PromptSegment]:
    """Segments of a rendered prompt: control tokens where `pattern` matches, else text decoded by `plain`."""
    segments: list[PromptSegment] = []
    start = 0
    for found in pattern.finditer(rendered):
        segments += _texts(rendered[start : found.start()], plain)
        segments.append(PromptSegment(name(found[0]), is_control=True))
        start = found.end()
    segments += _texts(rendered[start:], plain)
    return [segment for segment in segments if segment.text]


def _texts(text: str, plain: Callable[[str], str]) -> Iterator[PromptSegment]:
    """Segments of plain text, with marked replies as separate segments."""
    for number, part in enumerate(_REPLY.split(text)):
        yield PromptSegment(without_surrogates(plain(without_reply_marks(part))), is_reply=number % 2 == 1)
