"""Conversation of the chat window in desktop.py, with the one thread that uses it. Knows no widgets."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from PySide6.QtCore import QObject, Signal

from seallm_edge import SeaLLM, SeaLLMError
from seallm_edge.chat import Conversation, History
from seallm_edge.chat.notices import Notice, NotSaved, Unanswered
from seallm_edge.hints import command_line_words


def worded(error: Exception) -> str:
    """An error in words, with its hint."""
    return error.worded(command_line_words) if isinstance(error, SeaLLMError) else str(error)


class Talk(QObject):
    """The conversation, and the one thread that uses it: `do` runs a method there. Signals reach the window's."""

    status, notice, failed = Signal(str), Signal(str), Signal(str)
    text = Signal(str, str)  # id of the conversation, delta of its reply
    ended = Signal(str, object, bool)  # id of the conversation, its messages, whether the reply is one of them

    def __init__(self, history: History) -> None:
        super().__init__()
        self.conversation: Conversation | None = None  # once the model is loaded
        self.wanted = ""  # id of the conversation to open: a later choice overtakes an earlier one
        self._at: str | None = ""  # id of the conversation where it stands
        self._history = history
        self._is_closed = False
        self._thread = ThreadPoolExecutor(max_workers=1)

    def do(self, method: Callable[..., None], *arguments: object) -> None:
        """Call a method on the thread, after all that was asked before; not once closed. Its error is shown."""
        if not self._is_closed:
            self._thread.submit(self._run, method, *arguments)

    def close(self) -> None:
        """End the reply or the loading, and free the model."""
        self._is_closed = True
        self.blockSignals(True)
        if self.conversation:
            self.conversation.cancel()
        self._thread.shutdown(cancel_futures=True)
        if self.conversation:
            self.conversation.save()
            self.conversation.llm.close()

    def load(self, model: Callable[..., SeaLLM]) -> None:
        """Load the model."""
        llm = model(on_progress=self._on_progress)
        options = {"max_tokens": None}  # a reply has its stop button
        self.conversation = Conversation(llm, sampling=options, history=self._history, on_notice=self._on_notice)
        self._tell_status()

    def open(self, conversation_id: str, is_disturbing: bool) -> None:
        """Continue a stored conversation, or begin a new one if the id is ""; only for an answer if it disturbs."""
        self._at = None
        if self.conversation and conversation_id == self.wanted and not is_disturbing:
            self._stand_at(conversation_id)

    def answer(self, conversation_id: str, reply: Iterator[str]) -> None:
        """Read a reply of the conversation to its end."""
        conversation, before = self.conversation, self.conversation.last_reply
        try:
            if self._at != conversation_id:
                self._stand_at(conversation_id)
            for text in reply:
                self.text.emit(conversation.id, text)
        finally:
            self._at, last = conversation.id, conversation.last_reply
            self.ended.emit(self._at, conversation.stored_messages, last is not None and last is not before)
        self._tell_status()

    def _stand_at(self, conversation_id: str) -> None:
        self.conversation.open(conversation_id) if conversation_id else self.conversation.clear()
        self._at = conversation_id
        self._tell_status()

    def _run(self, method: Callable[..., None], *arguments: object) -> None:
        try:
            method(*arguments)
        except Exception as error:  # noqa: BLE001  the window shows whatever it is
            self.failed.emit(worded(error))

    def _on_progress(self, share: float) -> None:
        if self._is_closed:
            raise InterruptedError("the window was closed")  # an exception here ends the loading
        self.status.emit(f"Loading {share:.0%}")

    def _on_notice(self, notice: Notice) -> None:
        hint = notice.error.hint.worded(command_line_words) if isinstance(notice, NotSaved) else ""
        self.notice.emit(f"({notice})\n{'Retry answers it' if isinstance(notice, Unanswered) else hint}".rstrip())

    def _tell_status(self) -> None:
        report, reply = self.conversation.context(), self.conversation.last_reply
        used = f"{report.n_tokens:,} of {report.n_ctx:,} tokens ({report.n_tokens / report.n_ctx:.0%})"
        speed = f"  ·  {reply.characters_per_second:,.0f} characters/s" if reply else ""
        self.status.emit(f"{self.conversation.llm.name}  ·  {used}{speed}")
