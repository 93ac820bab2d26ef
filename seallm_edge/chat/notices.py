"""Notices of a conversation: facts that its user should see, as data that each face words; `str()` is plain English."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import HistoryError


@dataclass(frozen=True)
class Notice:
    """Base of all notices."""


@dataclass(frozen=True)
class TurnsDropped(Notice):
    """Turns that left the context: the `n_turns` oldest ones. The history keeps them."""

    n_turns: int

    def __str__(self) -> str:
        turns = "oldest turn" if self.n_turns == 1 else f"{self.n_turns} oldest turns"
        return f"the {turns} left the context"


@dataclass(frozen=True)
class NotSaved(Notice):
    """History file that cannot be written: the conversation continues in memory, and returns to the file if it can."""

    error: HistoryError

    def __str__(self) -> str:
        return f"this conversation is not saved for now: {self.error.message}"


@dataclass(frozen=True)
class Unanswered(Notice):
    """Last message that has no reply, because its program was ended during the prefill: `retry` answers it."""

    text: str

    def __str__(self) -> str:
        return f"the last message has no answer yet: {self.text}"
