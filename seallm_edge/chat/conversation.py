"""`Conversation`: turns with one model, kept in a history as they happen. Knows nothing of screens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from typing import Any

from ..errors import HistoryError, InvalidOption
from ..llm import SeaLLM
from ..prompt.chatml import Message
from ..reply import Reply
from ..stream import Stream
from .branch import Branch
from .context_budget import ContextBudget
from .history import History
from .notices import Notice, NotSaved, TurnsDropped, Unanswered
from .records import State, StoredMessage
from .report import ContextEntry, ContextReport

_log = logging.getLogger("seallm_edge")


class Conversation:
    """Conversation with one model: the messages so far, and the next turn.

    system      system message in place of the model's own
    sampling    options of every reply, see `Sampling`
    history     `History` that keeps the conversation; by default it is kept in memory
    budget      `ContextBudget`: which turns are in the prompt when the context is full
    persona     name of the source of `system`, kept with the conversation
    title       name in the history; by default the first line of the first message
    on_notice   gets each `Notice`, such as `TurnsDropped`; by default they are logged

    Messages form a tree: `retry`, `edit` and `undo` make branches, and nothing in the history is overwritten. A message
    is stored before its prefill, and each delta of a reply before it is returned. If the history cannot be written, the
    conversation goes on in memory, with a `NotSaved` notice. One thread at a time may use a conversation.
    """

    def __init__(
        self,
        llm: SeaLLM,
        system: str | None = None,
        sampling: Mapping[str, Any] | None = None,
        *,
        history: History | None = None,
        budget: ContextBudget | None = None,
        persona: str | None = None,
        title: str | None = None,
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        self.llm = llm
        self.system = system
        self.persona = persona
        self.title = title
        self.sampling = dict(sampling or {})
        self.budget = budget or ContextBudget()
        self.last_reply: Reply | None = None
        self.on_notice = on_notice or (lambda notice: _log.warning("%s", notice))
        self._branch = Branch(history or History.in_memory(), self._history_failed)

    @classmethod
    def resume(cls, llm: SeaLLM, history: History, conversation_id: str, **options: Any) -> Conversation:
        """Conversation from a history, at the message where it stood; `options` as for a new one, without `system`.

        Another model may continue it. A reply that was under way when its program was killed is kept as cut; a message
        without any reply is taken back, and an `Unanswered` notice has its text. Raises HistoryError.
        """
        self = cls(llm, history=history, **options)
        self.open(conversation_id)
        return self

    def open(self, conversation_id: str) -> None:
        """Continue another conversation of the history; see `resume`."""
        branch = Branch(self._branch.history, self._history_failed)
        stored = branch.open(conversation_id)
        self._branch = branch
        self.system, self.persona, self.title = stored.system, stored.persona, stored.title
        self.last_reply = None
        if unanswered := self._go_back_unanswered():
            self.on_notice(Unanswered(unanswered))
        self._readmit()

    def say(self, text: str) -> Generator[str, None, None]:
        """Stream the reply to `text`. The message and the reply, as far as it was read, are kept if the reply has any
        tokens. Raises the errors of `SeaLLM.stream`, and then keeps neither.
        """
        self._go_back_unanswered()  # of a reply that Ctrl-C ended before it began
        stream, start = self._begin([*self._branch.messages, _unsaved(text)])
        self._branch.start(self.llm.name, self.system, self.persona, self.title)
        self._branch.add("user", text)
        yield from self._answered(stream, start)

    def retry(self) -> Generator[str, None, None]:
        """Stream another reply to the last user message, in a branch of its own. Raises InvalidOption if there is none,
        and the errors of `SeaLLM.stream`; then the branch stays as it is.
        """
        return self._again(None)

    def edit(self, text: str) -> Generator[str, None, None]:
        """Stream the reply to `text` in place of the last user message, in a branch of its own; see `retry`."""
        return self._again(text)

    def undo(self) -> str | None:
        """Go back to before the last turn, and return its user message; None if there was none. The turn stays in the
        history as a branch.
        """
        users = self._user_places()
        if not users:
            return None
        text = self._branch.messages[users[-1]].content
        self._branch.go_back(users[-1])
        self.last_reply = None
        return text

    def clear(self) -> None:
        """Begin a new conversation with the same system message; the old one stays in the history."""
        self._branch = Branch(self._branch.history, self._history_failed)
        self.title = None
        self.last_reply = None

    def rename(self, title: str | None) -> None:
        """Set the title; None for the first line of the first message."""
        self._branch.rename(title)
        self.title = title

    def take_back(self) -> str | None:
        """Alias of `undo`."""
        return self.undo()

    @property
    def id(self) -> str:
        """Id in the history; "" before the first message."""
        return self._branch.id

    @property
    def is_saved(self) -> bool:
        """Whether a file keeps the conversation."""
        return self._branch.history.file is not None

    @property
    def history(self) -> History:
        """The history that keeps the conversation now: one in memory if its file failed."""
        return self._branch.history

    @property
    def messages(self) -> list[Message]:
        """Messages of the branch where the conversation stands, without the system message."""
        return [Message(one.role, one.content) for one in self._branch.messages]

    @property
    def stored_messages(self) -> list[StoredMessage]:
        """Messages as `messages`, with their ids, times and states."""
        return list(self._branch.messages)

    def other_replies(self) -> list[StoredMessage]:
        """Branches at the last reply: itself and its siblings, the oldest first. Raises HistoryError."""
        return self.history.branches(self._branch.messages[-1].id) if self._branch.messages else []

    def go_to(self, message_id: int) -> None:
        """Stand at a message of this conversation, or at the newest message below it. Raises HistoryError."""
        while children := self.history.children(message_id):
            message_id = children[-1].id
        self._branch.stand_at(message_id)
        self.last_reply = None

    def context(self) -> ContextReport:
        """Tokens and characters of each message, and which of them are in the prompt."""
        start = self._branch.context_start
        entries = [] if self.system is None else [ContextEntry("system", self.system, self._count(self.system), True)]
        entries += [
            ContextEntry(one.role, one.content, self._count(one.content), place >= start)
            for place, one in enumerate(self._branch.messages)
        ]
        prompt = self._prompt(self._branch.messages, start)
        return ContextReport(tuple(entries), self.llm.count_tokens(prompt) if prompt else 0, self.llm.n_ctx)

    @property
    def message_space(self) -> int:
        """Tokens that the next message may take, if all turns leave the context for it."""
        empty = self.llm.count_tokens(self._prompt([_unsaved("…")], 0))
        return self.budget.prompt_tokens(self.llm.n_ctx) - empty

    @property
    def space_left(self) -> int:
        """Tokens that the next message may take, if no turn leaves the context."""
        prompt = self._prompt([*self._branch.messages, _unsaved("…")], self._branch.context_start)
        return self.budget.prompt_tokens(self.llm.n_ctx) - self.llm.count_tokens(prompt)

    def prefill(self, typed: str = "") -> Stream | None:
        """Prefill of the conversation and of a message that is being typed, so that its reply begins sooner.

        The `Stream` is done once it ends; cancel it before `say`: what was prefilled until then stays in the KV cache.
        None if the context is too full.
        """
        messages = [*self._branch.messages, _unsaved(typed or "…")]
        prompt = self._prompt(messages, self._branch.context_start)
        if self.llm.count_tokens(prompt) > self.budget.prompt_tokens(self.llm.n_ctx):
            return None
        return self.llm.stream(prompt, max_tokens=1)

    def _again(self, text: str | None) -> Generator[str, None, None]:
        users = self._user_places()
        if not users:
            raise InvalidOption("there is no message to answer yet", "say something")
        before, n_kept = list(self._branch.messages), users[-1]
        asked = before[n_kept] if text is None else _unsaved(text)
        stream, start = self._begin([*before[:n_kept], asked])
        self._branch.go_back(n_kept + (text is None))
        if text is not None:
            self._branch.add("user", text)
        yield from self._answered(stream, start, before, keep_user=text is None)

    def _begin(self, messages: list[StoredMessage]) -> tuple[Stream, int]:
        """(reply under way to the last of `messages`, number of the oldest that have left the context)."""
        start = self._branch.context_start
        fitting = self._fitting(messages, start)
        stream = self.llm.stream(self._prompt(messages, fitting), **self.sampling)
        if fitting > start:
            self.on_notice(TurnsDropped(sum(one.role == "user" for one in messages[start:fitting])))
        return stream, fitting

    def _answered(
        self, stream: Stream, start: int, before: list[StoredMessage] | None = None, keep_user: bool = False
    ) -> Generator[str, None, None]:
        """Deltas of the reply, each stored before it is returned. Without any token the branch becomes `before`."""
        branch = self._branch
        with stream:
            if start != branch.context_start:
                branch.context_start = start
            branch.add("assistant", "", state="streaming", model=self.llm.name)
            try:
                for delta in stream:
                    branch.append(delta)
                    yield delta
            finally:
                stream.close()
                self.last_reply = reply = stream.reply
                if reply.usage.reply_tokens:
                    state: State = "complete" if reply.finish_reason in ("stop", "length") else "cut"
                    figures = {name: value for name, value in reply.as_dict().items() if name != "text"}
                    branch.finish(reply.text, state, figures)
                else:
                    branch.discard()
                    if not keep_user:
                        branch.discard()
                    if before:
                        branch.stand_at(before[-1].id)

    def _fitting(self, messages: list[StoredMessage], start: int) -> int:
        """Place of the first message of `messages` in the prompt, by the budget."""
        turns = [place for place, one in enumerate(messages) if place >= start and one.role == "user"]
        if turns[0] > start:  # replies of a turn whose question has left
            turns = [start, *turns]

        def count(turn: int) -> int:
            return self.llm.count_tokens(self._prompt(messages, turns[turn]))

        return turns[self.budget.first_turn(len(turns), 0, self.llm.n_ctx, count)]

    def _prompt(self, messages: list[StoredMessage], start: int) -> list[Message]:
        opening = [] if self.system is None else [Message("system", self.system)]
        return opening + [Message(one.role, one.content) for one in messages[start:]]

    def _count(self, text: str) -> int:
        return len(self.llm.tokenize(text))

    def _user_places(self) -> list[int]:
        return [place for place, one in enumerate(self._branch.messages) if one.role == "user"]

    def _go_back_unanswered(self) -> str:
        """Go back to the last reply; return the message that has none, or ""."""
        branch, text = self._branch, ""
        while branch.messages and (branch.messages[-1].role == "user" or not branch.messages[-1].content):
            text = branch.messages[-1].content
            branch.go_back(len(branch.messages) - 1)
        return text

    def _readmit(self) -> None:
        """Let the turns that left a smaller context come back, if this one holds them all."""
        branch = self._branch
        if branch.context_start and self.llm.is_chat_model:
            n_tokens = self.llm.count_tokens(self._prompt(branch.messages, 0))
            if n_tokens <= self.budget.prompt_tokens(self.llm.n_ctx):
                branch.context_start = 0

    def _history_failed(self, error: HistoryError) -> None:
        self.on_notice(NotSaved(error))


def _unsaved(text: str) -> StoredMessage:
    return StoredMessage(0, "", None, "user", text, 0.0)
