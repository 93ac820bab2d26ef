"""Context report of a conversation: messages with their tokens and characters, and which are in the prompt."""

from __future__ import annotations

from dataclasses import dataclass

from .records import Role


@dataclass(frozen=True)
class ContextEntry:
    """Message in a context report: `n_tokens` of its content, without chat markup."""

    role: Role
    content: str
    n_tokens: int
    is_in_context: bool

    @property
    def n_characters(self) -> int:
        """Code points of the content."""
        return len(self.content)


@dataclass(frozen=True)
class ContextReport:
    """Messages of a conversation, and the prompt that they make: `n_tokens` with chat markup, of `n_ctx`."""

    entries: tuple[ContextEntry, ...]
    n_tokens: int
    n_ctx: int
