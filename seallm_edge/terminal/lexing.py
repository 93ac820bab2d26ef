"""Tokens of Markdown's inline markup, read from text that may not be complete.

A function raises `Undecided` where the token depends on text to come. Each looks at a bounded number of characters, so
that its result does not depend on how much text has come.
"""

from __future__ import annotations

import re
import unicodedata
from html.entities import html5

from ..text.unicode import visible
from ..text.words import has_no_spaces

MAX_HELD = 400  # characters of text that an open mark holds back
MAX_URL = 1_000
_MAX_PARENTHESES = 4  # in one another, in the address of a link
MAX_RUN = 64  # asterisks or underscores in a row; more are text
ESCAPABLE = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\n")
PLAIN = re.compile(r"[^\\`*_~\[\]!<&h]+(?:(?<=[A-Za-z0-9])h+[^\\`*_~\[\]!<&h]*)*")
_TICKS = re.compile("`+")
_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));")
_BEGINS_ENTITY = re.compile(r"&(?:#(?:[xX]?[0-9a-fA-F]{0,7})|[A-Za-z0-9]{0,32})")
_AUTOLINK = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*|[A-Za-z0-9][\w.+-]*@[\w-]+(?:\.[\w-]+)+)>")
_BEGINS_AUTOLINK = re.compile(r"<(?:[A-Za-z0-9][^\s<>]*)?")
_URL = re.compile(r"https?://[^\s<>*`\"\[\]|\\^{}\x7f-\U0010ffff]+")
_SCHEMES = ("https://", "http://")
_DESTINATION = re.compile(r"""\(\s*(?:<([^<>]*)>|(\S*?))(?:\s+(?:"[^"]*"|'[^']*'|\([^()]*\)))?\s*\)""")
_PARENTHESES = re.compile(r"\\.|[()\n]")


class Undecided(Exception):
    """Token that depends on text to come."""


def character_at(text: str, index: int, final: bool) -> str:
    """Character at `index`; nothing after the end of a final text."""
    if index >= len(text) and not final:
        raise Undecided
    return text[index : index + 1]


def code_span(text: str, index: int, final: bool) -> tuple[str | None, int]:
    """Content of the code span at `index`, None where no such run of backticks ends it; and the end of the token."""
    run = _TICKS.match(text, index, index + MAX_HELD)
    length = len(run[0]) if run else 0
    begin = index + length
    if length < MAX_HELD:
        character_at(text, begin, final)
        limit = begin + MAX_HELD
        for closing in _TICKS.finditer(text, begin, limit + 1):
            if len(closing[0]) == length and closing.end() <= limit:
                character_at(text, closing.end(), final)
                return _code(text[begin : closing.start()]), closing.end()
        character_at(text, limit, final)
    return None, begin


def _code(content: str) -> str:
    content = content.replace("\n", " ")
    return content[1:-1] if content.strip() and content[0] == content[-1] == " " else content


def entity(text: str, index: int, final: bool) -> tuple[str, int]:
    """Characters of the entity at `index`, an ampersand where there is none; and the end of the token."""
    found = _ENTITY.match(text, index)
    if found:
        decimal, hexadecimal, name = found.groups()
        characters = (
            html5.get(f"{name};", "") if name else _character(int(decimal or hexadecimal, 10 if decimal else 16))
        )
        if characters:
            return visible(characters).replace("\n", " "), found.end()
    elif not final and (begun := _BEGINS_ENTITY.match(text, index)) and begun.end() == len(text) < index + 34:
        raise Undecided
    return "&", index + 1


def _character(code: int) -> str:
    return "\ufffd" if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000 else chr(code)


def autolink(text: str, index: int, final: bool) -> tuple[str, int, str]:
    """Address in the angle brackets at `index`, or nothing; the end of the token; its text otherwise."""
    window = text[index : index + MAX_URL]
    found = _AUTOLINK.match(window)
    if found:
        return found[1], index + found.end(), ""
    begun = _BEGINS_AUTOLINK.match(window)
    if not final and begun and begun.end() == len(window) < MAX_URL:
        raise Undecided
    return "", index + 1, "<"


def bare_url(text: str, index: int, final: bool) -> tuple[str, int, str]:
    """URL at `index` without the punctuation after it, or nothing; the end of the token; its text otherwise."""
    window = text[index : index + MAX_URL]
    if not final and any(scheme.startswith(window) for scheme in _SCHEMES):
        raise Undecided
    found = _URL.match(window)
    if not found:
        return "", index + 1, "h"
    if not final and found.end() == len(window) < MAX_URL:
        raise Undecided
    url = found[0].rstrip("?!.,:;~'_")
    while url.endswith(")") and url.count(")") > url.count("("):
        url = url[:-1].rstrip("?!.,:;~'_")
    return url, index + len(url), ""


def destination(text: str, index: int, final: bool) -> tuple[str | None, int]:
    """Address in the parentheses at `index`, or None; and the end of the token."""
    depth = 0
    for found in _PARENTHESES.finditer(text, index, index + MAX_URL):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if found[0] == "\n" or depth > _MAX_PARENTHESES:
            return None, index
        if depth == 0:
            link = _DESTINATION.fullmatch(text, index, found.end())
            return (link[1] or link[2] or "" if link else None), found.end() if link else index
    character_at(text, index + MAX_URL, final)
    return None, index


def delimiter_run(text: str, index: int, final: bool) -> tuple[str, str]:
    """Run of one character at `index`, cut after `MAX_RUN`, and the character after it."""
    end = index
    while end < index + MAX_RUN and text[end : end + 1] == text[index]:
        end += 1
    return text[index:end], character_at(text, end, final)


def flanks(mark: str, before: str, after: str) -> tuple[bool, bool]:
    """Whether a run of `mark` between two characters can begin and can end emphasis. ref: CommonMark 6.2"""
    begins = not _is_space(after) and (not _is_punctuation(after) or _is_loose(before))
    ends = not _is_space(before) and (not _is_punctuation(before) or _is_loose(after))
    if mark == "_":
        return begins and (not ends or _is_punctuation(before)), ends and (not begins or _is_punctuation(after))
    return begins, ends


def _is_space(char: str) -> bool:
    return not char or char.isspace()


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char)[0] in "PS"


def _is_loose(char: str) -> bool:
    """Whether emphasis may begin or end at punctuation beside `char`: no letter, or one of a script without spaces."""
    if _is_space(char) or _is_punctuation(char):
        return True
    return has_no_spaces(char) or unicodedata.east_asian_width(char) in "WF"
