"""Printing beside the conversation: lines on stderr, and rows of a list that fit the terminal."""

from __future__ import annotations

import sys

from ..chat.records import ConversationSummary
from ..text.lines import local_minute
from ..text.width import cells, one_row
from .size import terminal_size

PROMPT = "› "
_WIDE = 72  # columns from which a list of conversations has their ids and times
_DAY = len("2026-01-31")


def tell(text: str) -> None:
    """Print a line beside the conversation, on stderr if that is open."""
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")  # at once: Ctrl-C between a text and its line feed would join two lines
        sys.stderr.flush()


def n_columns() -> int:
    """Columns that a line may take: all but the last, where some terminals break a line at once."""
    return max(20, terminal_size().columns - 1)


def row(start: str, text: str) -> str:
    """Row of a list: `start`, then `text` on one line, cut to the terminal's width."""
    return start + one_row(text, n_columns() - cells(start))


def conversation_row(number: int, one: ConversationSummary, is_current: bool) -> str:
    """Row of a conversation in a numbered list, with a star for the current one."""
    start = f"{number:>2}{'*' if is_current else ' '} "
    minute = local_minute(one.updated)
    if n_columns() < _WIDE - 1:
        return row(f"{start}{minute[:_DAY]}  ", one.title)
    return row(f"{start}{one.id}  {minute}  ", one.title)


def number_in(text: str, n: int) -> int | None:
    """Index for a number from 1 to `n` that a user typed; None for anything else."""
    is_number = text.isascii() and text.isdecimal() and len(text) < 9
    return int(text) - 1 if is_number and 1 <= int(text) <= n else None
