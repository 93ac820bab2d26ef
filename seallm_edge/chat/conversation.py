"""`Conversation`: turns with one model, kept in memory. Knows nothing of screens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..llm import SeaLLM
from ..prompt.chatml import Message
from ..reply import Reply


class Conversation:
    """Messages so far, and the next turn. `system` replaces the model's own system message; `sampling` applies to every
    turn. `last_reply` is the last `Reply`.
    """

    def __init__(self, llm: SeaLLM, system: str | None = None, sampling: Mapping[str, Any] | None = None) -> None:
        self.llm = llm
        self.system = system
        self.sampling = dict(sampling or {})
        self.messages: list[Message] = []
        self.last_reply: Reply | None = None

    def say(self, text: str) -> Iterator[str]:
        """Stream the reply to `text`. The message and the reply, as far as it was read, are kept if the reply has any
        tokens. Raises the errors of `SeaLLM.stream`, and then keeps neither.
        """
        turn = [*self.messages, Message("user", text)]
        opening = [] if self.system is None else [Message("system", self.system)]
        with self.llm.stream(opening + turn, **self.sampling) as stream:
            try:
                yield from stream
            finally:
                stream.close()
                self.last_reply = stream.reply
                if stream.reply.usage.reply_tokens:
                    self.messages = [*turn, Message("assistant", stream.reply.text)]

    def clear(self) -> None:
        """Forget all messages; the system message stays."""
        self.messages = []
        self.last_reply = None

    def take_back(self) -> str | None:
        """Forget the last turn, and return its user message; None if there was none."""
        if not self.messages:
            return None
        said = self.messages[-2].content
        self.messages = self.messages[:-2]
        return said
