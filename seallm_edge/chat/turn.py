"""`Turn`: one reply under way, written through to the branch that it extends."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .branch import Branch, Mark
from .records import State, StoredMessage

if TYPE_CHECKING:
    from ..reply import Reply
    from ..stream import Stream


@dataclass(frozen=True)
class Setting:
    """Facts of a conversation that its first turn stores: the model's name, the system message and its source."""

    model: str
    system: str | None
    persona: str | None
    title: str | None


@dataclass
class Turn:
    """Turn of a branch: the `stream` of a reply to `text`, or to the last message kept if `text` is None; if that is a
    reply, of its rest.

    The first `n_kept` messages stay before it, and those before `start` have left the context.
    """

    branch: Branch
    stream: Stream
    n_kept: int
    text: str | None
    start: int
    reply: Reply | None = None  # once it has ended with tokens
    continued: StoredMessage | None = None  # reply as it was, whose rest this is

    def deltas(self, setting: Setting) -> Generator[str, None, None]:
        """Text deltas of the reply; each is stored before it is returned. Without any token the branch becomes what it
        was.
        """
        branch = self.branch
        mark = branch.mark()
        try:
            branch.start(setting.model, setting.system, setting.persona, setting.title)
            branch.go_back(self.n_kept)
            if self.text is not None:
                branch.add("user", self.text)
            if self.start != branch.context_start:
                branch.context_start = self.start
            self._open_reply(setting.model)
            for delta in self.stream:
                branch.append(delta)
                yield delta
        finally:
            self.stream.close()
            self._settle(self.stream.reply, mark)

    def _open_reply(self, model: str) -> None:
        last = self.branch.messages[-1]
        if last.role == "assistant":
            self.branch.reopen()
            self.continued = last
        else:
            self.branch.add("assistant", "", state="streaming", model=model)

    @property
    def prompt_share(self) -> float | None:
        """Share of the prompt that is prefilled, None once the reply has text."""
        before = self.continued.content if self.continued else ""
        has_text = self.branch.messages and self.branch.messages[-1].content != before
        return None if has_text else self.stream.prompt_share

    def _settle(self, reply: Reply, mark: Mark) -> None:
        """Store the end of a reply, or remove the turn if it has no token."""
        before = self.continued
        if not reply.usage.reply_tokens:
            if before:
                self.branch.finish(before.content, before.state, before.figures)
            self.branch.restore(mark)
            return
        self.reply = reply
        state: State = "complete" if reply.finish_reason in ("stop", "length") else "cut"
        figures = {name: value for name, value in reply.as_dict().items() if name != "text"}
        self.branch.finish((before.content if before else "") + reply.text, state, figures)
