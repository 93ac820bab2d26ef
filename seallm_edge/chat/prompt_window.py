"""`PromptWindow`: the part of a conversation that is in the prompt, in tokens. Knows no history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..prompt.chatml import Message
from .context_budget import ContextBudget
from .records import Role, StoredMessage

if TYPE_CHECKING:
    from ..llm import SeaLLM


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


@dataclass(frozen=True)
class PromptWindow:
    """Prompts of one conversation, with its system message, within its budget. Places are those of messages."""

    llm: SeaLLM
    budget: ContextBudget
    system: str | None

    def prompt(self, messages: Sequence[StoredMessage], start: int) -> list[Message]:
        """Messages of the prompt that begins at the place `start`."""
        opening = [] if self.system is None else [Message("system", self.system)]
        return opening + [Message(one.role, one.content) for one in messages[start:]]

    def fitting(self, messages: Sequence[StoredMessage], start: int) -> int:
        """Place of the first message in the prompt by the budget, `start` or later; a turn leaves as a whole."""
        turns = [place for place, one in enumerate(messages) if place >= start and one.role == "user"]
        if not turns or turns[0] > start:  # replies of a turn whose question has left
            turns = [start, *turns]

        def count(turn: int) -> int:
            return self.llm.count_tokens(self.prompt(messages, turns[turn]))

        return turns[self.budget.first_turn(len(turns), 0, self.llm.n_ctx, count)]

    def fits(self, messages: Sequence[StoredMessage], start: int) -> bool:
        """Whether the prompt leaves the budget's tokens for a reply."""
        return self.space(messages, start) >= 0

    def space(self, messages: Sequence[StoredMessage], start: int) -> int:
        """Tokens that the prompt may still grow by; below 0 it takes too many."""
        return self.budget.prompt_tokens(self.llm.n_ctx) - self.llm.count_tokens(self.prompt(messages, start))

    def report(self, messages: Sequence[StoredMessage], start: int) -> ContextReport:
        """Tokens and characters of each message, and which of them are in the next prompt."""
        start = self.fitting(messages, start) if messages else 0
        entries = [] if self.system is None else [self._entry("system", self.system, True)]
        entries += [self._entry(one.role, one.content, place >= start) for place, one in enumerate(messages)]
        prompt = self.prompt(messages, start)
        return ContextReport(tuple(entries), self.llm.count_tokens(prompt) if prompt else 0, self.llm.n_ctx)

    def _entry(self, role: Role, content: str, is_in_context: bool) -> ContextEntry:
        return ContextEntry(role, content, len(self.llm.tokenize(content)), is_in_context)
