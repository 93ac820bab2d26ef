"""`Conversation`: turns with one model, kept in a history as they happen. Knows nothing of screens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import HistoryError, InvalidOption
from ..prompt.chatml import Message
from . import places
from .background_load import BackgroundLoad
from .branch import Branch
from .context_budget import ContextBudget
from .history import History
from .notices import Notice, NotSaved, TurnsDropped, Unanswered
from .places import Place
from .prompt_window import ContextReport, PromptWindow
from .records import ConversationTree, StoredMessage, unsaved
from .turn import Setting, Turn

if TYPE_CHECKING:
    from ..llm import SeaLLM
    from ..reply import Reply
    from ..stream import Stream

_log = logging.getLogger("seallm_edge")


class Conversation:
    """Conversation with one model: the messages so far, and the next turn.

    llm         `SeaLLM`, or a `BackgroundLoad` of one: what needs the model waits for it
    system      system message in place of the model's own
    sampling    options of every reply, see `Sampling`
    history     `History` that keeps the conversation; by default it is kept in memory
    budget      `ContextBudget`: which turns are in the prompt when the context is full
    persona     name of the source of `system`, kept with the conversation
    title       name in the history; by default the first line of the first message
    on_notice   gets each `Notice`, such as `TurnsDropped`; by default they are logged

    Messages form a tree: `retry`, `edit` and `undo` make branches, and nothing in the history is overwritten. A message
    is stored when its prefill begins, and each delta of a reply before it is returned. While the history file cannot be
    written, the conversation goes on in memory, with a `NotSaved` notice. A reply must be read to its end, or closed,
    before the next call; one thread at a time may use a conversation.
    """

    def __init__(
        self,
        llm: SeaLLM | BackgroundLoad,
        system: str | None = None,
        sampling: Mapping[str, Any] | None = None,
        *,
        history: History | None = None,
        budget: ContextBudget | None = None,
        persona: str | None = None,
        title: str | None = None,
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        self._model = llm
        self.system = system
        self.persona = persona
        self.title = title
        self.sampling = dict(sampling or {})
        self.budget = budget or ContextBudget()
        self.last_reply: Reply | None = None
        self.on_notice = on_notice or (lambda notice: _log.warning("%s", notice))
        self.history = history or History.in_memory()
        self._branch = Branch(self.history, self._history_failed)
        self._unsaved: list[Branch] = []  # of conversations left before, whose file failed
        self._turn: Turn | None = None  # under way
        self._is_cancelled = self._may_readmit = False
        self._lock = threading.Lock()

    @classmethod
    def resume(
        cls, llm: SeaLLM | BackgroundLoad, history: History, conversation_id: str, **options: Any
    ) -> Conversation:
        """Conversation from a history, at the message where it stood; `options` as for a new one, without `system`.

        Another model may continue it. A reply that was under way when its program was killed is kept as cut; a message
        without any reply is taken back, and an `Unanswered` notice has its text. Raises HistoryError.
        """
        self = cls(llm, history=history, **options)
        self.open(conversation_id)
        return self

    def open(self, conversation_id: str) -> None:
        """Continue another conversation of the history; see `resume`."""
        self._require_no_reply()
        branch = Branch(self.history, self._history_failed)
        stored = branch.open(conversation_id)
        self._leave_for(branch)
        self.system, self.persona, self.title = stored.system, stored.persona, stored.title
        self.last_reply = None
        self._may_readmit = True
        if (unanswered := branch.settle_end()) is not None:
            self.on_notice(Unanswered(unanswered))

    def say(self, text: str) -> Generator[str, None, None]:
        """Stream the reply to `text`. The message and the reply, as far as it was read, are kept if the reply has any
        tokens. Raises the errors of `SeaLLM.stream`, and then keeps neither.
        """
        return self._begin(places.of_next, text)

    def retry(self) -> Generator[str, None, None]:
        """Stream another reply to the last user message, in a branch of its own. Raises InvalidOption if there is none,
        and the errors of `SeaLLM.stream`; then the branch stays as it is.
        """
        return self._begin(places.behind_last_user, None)

    def edit(self, text: str) -> Generator[str, None, None]:
        """Stream the reply to `text` in place of the last user message, in a branch of its own; see `retry`."""
        return self._begin(places.of_last_user, text)

    def go_on(self) -> Generator[str, None, None]:
        """Stream the rest of the last reply, behind its text: one that was cut, or ended by `max_tokens`. Raises
        InvalidOption if the conversation does not end with a reply, and the errors of `SeaLLM.stream`.
        """
        return self._begin(places.behind_reply, None)

    def cancel(self) -> None:
        """End the reply begun last, from any thread; one that waits for the model's load ends after that."""
        self._is_cancelled = True
        if turn := self._turn:
            turn.stream.cancel()

    def undo(self) -> str | None:
        """Go back to before the last turn, and return its user message; None if there was none. The turn stays in the
        history as a branch.
        """
        self._require_no_reply()
        if not any(one.role == "user" for one in self._branch.messages):
            return None
        place = places.of_last_user(self._branch.messages)
        text = self._branch.messages[place].content
        self._branch.go_back(place)
        self.last_reply = None
        return text

    def clear(self) -> None:
        """Begin a new conversation with the same system message; the old one stays in the history."""
        self._require_no_reply()
        self._leave_for(Branch(self.history, self._history_failed))
        self.title = None
        self.last_reply = None

    def rename(self, title: str | None) -> None:
        """Set the title; None for the first line of the first message."""
        self._branch.rename(title)
        self.title = title

    def save(self) -> bool:
        """Store what is only in memory since the history file failed, also of conversations that were left for this
        one: whether nothing is left to store.
        """
        self._unsaved = [branch for branch in self._unsaved if not branch.save()]
        return self._branch.save() and not self._unsaved

    @property
    def llm(self) -> SeaLLM:
        """The model, once it is loaded. Raises what its load raised."""
        return self._model.wait() if isinstance(self._model, BackgroundLoad) else self._model

    @property
    def load(self) -> BackgroundLoad | None:
        """Load that the conversation was given in place of a model; None for a model."""
        return self._model if isinstance(self._model, BackgroundLoad) else None

    def change_model(self, llm: SeaLLM | BackgroundLoad) -> None:
        """Continue with another model, which prefills the conversation before its first reply."""
        self._require_no_reply()
        self._model = llm
        self._may_readmit = True

    @property
    def prompt_share(self) -> float | None:
        """Share of the prompt that is prefilled for the reply under way; None without one, or once it has text."""
        turn = self._turn
        return turn.prompt_share if turn else None

    @property
    def id(self) -> str:
        """Id in the history; "" before the first message."""
        return self._branch.id

    @property
    def is_saved(self) -> bool:
        """Whether a file keeps the conversation."""
        return self._branch.history.file is not None

    @property
    def messages(self) -> list[Message]:
        """Messages of the branch where the conversation stands, without the system message."""
        return [Message(one.role, one.content) for one in self._branch.messages]

    @property
    def stored_messages(self) -> list[StoredMessage]:
        """Messages as `messages`, with their ids, times and states."""
        return list(self._branch.messages)

    def tree(self) -> ConversationTree:
        """All messages of the conversation, for an export. Raises HistoryError, also before the first message."""
        return self._branch.history.tree(self.id)

    def branches(self) -> list[StoredMessage]:
        """Last messages of all branches, the oldest first. Raises HistoryError."""
        return list(self.tree().ends) if self.id else []

    def go_to(self, message_id: int) -> None:
        """Stand at a message of this conversation, or at the newest message below it. Raises HistoryError."""
        self._require_no_reply()
        self._branch.stand_at_newest(message_id)
        self.last_reply = None

    def stand_at(self, message_id: int | None) -> None:
        """Stand at a message of this conversation, so that the next one follows it; None is before the first. Raises
        HistoryError.
        """
        self._require_no_reply()
        self._branch.stand_at(message_id)
        self.last_reply = None

    def context(self) -> ContextReport:
        """Tokens and characters of each message, and which of them are in the prompt."""
        return self._window.report(self._branch.messages, self._branch.context_start)

    @property
    def message_space(self) -> int:
        """Tokens that the next message may take, if all turns leave the context for it."""
        return self._window.space([unsaved("…")], 0)

    @property
    def space_left(self) -> int:
        """Tokens that the next message may take, if no turn leaves the context."""
        return self._window.space([*self._branch.messages, unsaved("…")], self._branch.context_start)

    def prefill(self, typed: str = "") -> Stream | None:
        """Prefill of the conversation and of a message that is being typed, for a shorter time to first token.

        The `Stream` is done once it ends; cancel it before `say`: what was prefilled until then stays in the KV cache.
        None if the context is too full.
        """
        window = self._window
        messages, start = [*self._branch.messages, unsaved(typed or "…")], self._branch.context_start
        if not window.fits(messages, start):
            return None
        # The reply's own options: a reproducible one reuses only what a reproducible request has prefilled.
        return self.llm.stream(window.prompt(messages, start), **{**self.sampling, "max_tokens": 1})

    @property
    def _window(self) -> PromptWindow:
        window, branch = PromptWindow(self.llm, self.budget, self.system), self._branch
        with self._lock:  # a prefill may run beside
            if self._may_readmit:  # turns that left a smaller context come back, if this one holds them all
                self._may_readmit = False
                if branch.context_start and self.llm.is_chat_model and window.fits(branch.messages, 0):
                    branch.context_start = 0
        return window

    def _begin(self, place: Place, text: str | None) -> Generator[str, None, None]:
        """Deltas of the reply to `text`, or to the last message, behind `place`; `cancel` ends them from now on."""
        self._is_cancelled = False
        return self._deltas(place, text)

    def _deltas(self, place: Place, text: str | None) -> Generator[str, None, None]:
        self._require_no_reply()
        self._branch.prepare()
        self._turn = turn = self._new_turn(place(self._branch.messages), text)
        try:
            if self._is_cancelled:  # before there was a stream
                turn.stream.cancel()
            yield from turn.deltas(Setting(self.llm.name, self.system, self.persona, self.title))
        finally:
            self._turn = None
            self.last_reply = turn.reply or self.last_reply

    def _new_turn(self, n_kept: int, text: str | None) -> Turn:
        """Turn behind the first `n_kept` messages, under way."""
        branch, window = self._branch, self._window
        messages = [*branch.messages[:n_kept], *([] if text is None else [unsaved(text)])]
        start = min(branch.context_start, len(messages) - 1)
        fitting = window.fitting(messages, start)
        stream = self.llm.stream(window.prompt(messages, fitting), **self.sampling)
        if fitting > start:
            self.on_notice(TurnsDropped(sum(one.role == "user" for one in messages[start:fitting])))
        return Turn(branch, stream, n_kept, text, fitting)

    def _leave_for(self, branch: Branch) -> None:
        if not self._branch.save():
            self._unsaved.append(self._branch)
        self._branch = branch

    def _require_no_reply(self) -> None:
        if self._turn:
            raise InvalidOption("a reply is under way", "read it to its end, or close it")

    def _history_failed(self, error: HistoryError) -> None:
        self.on_notice(NotSaved(error))
