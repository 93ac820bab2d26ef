"""Qt chat window on the history of `seallm chat`: stored conversations at the left, replies as Markdown at the right.

$ python examples/desktop.py [MODEL]

Enter sends, Shift-Enter begins a new line, Esc stops the reply, Ctrl-R asks for another one. Ctrl-N begins a new
conversation, Ctrl-F searches; in the list, F2 renames and Delete removes. Needs PySide6-Essentials:
pip install '.[desktop]'

This file is the window; desktop_talk.py has the conversation and its thread, desktop_widgets.py the widgets.
"""

import functools
import signal
import sys
import time
from collections.abc import Callable, Iterator

from desktop_talk import Talk, worded
from desktop_widgets import STYLE, Composer, ConversationList, Page, Text
from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import Qt, QTimer

from seallm_edge import SeaLLM, SeaLLMError
from seallm_edge.chat import ConversationSummary, History, StoredMessage
from seallm_edge.chat.search import fold

MAX_LISTED = 500  # conversations; a search finds older ones
MAX_SHOWN = 100  # messages of a conversation, the newest
PREFILL_SECONDS = 120


def shows_errors(method: Callable[..., None]) -> Callable[..., None]:
    """A method of the window that shows the errors of the history."""

    @functools.wraps(method)
    def guarded(self: "ChatWindow", *arguments: str) -> None:
        try:
            method(self, *arguments)
        except SeaLLMError as error:
            self.show_error(worded(error))

    return guarded


class ChatWindow(QtWidgets.QWidget):
    """The conversations of the history, and what `model` loads to answer in them."""

    def __init__(self, model: Callable[..., SeaLLM]) -> None:
        super().__init__(objectName="window", windowTitle="SeaLLM", styleSheet=STYLE)
        self.shown = ""  # id of the conversation; "" before its first reply
        self.messages: list[StoredMessage] = []
        self.answering: str | None = None  # id of the conversation that gets a reply: it need not be shown
        self.reply: Text | None = None  # shows what is being written
        self._written = self._asked = ""
        self._listed: list[ConversationSummary] = []
        self.history = History()
        self.talk = Talk(self.history)
        self.side, self.page, self.composer = ConversationList(), Page(), Composer()
        self.input = self.composer.input
        self.status = QtWidgets.QLabel("Loading", objectName="status", alignment=Qt.AlignCenter)
        self._looking = QTimer(self, interval=2000, timeout=self._look)
        self._lay_out()
        self._connect()
        self.open("")
        self._looking.start()
        self.talk.do(self.talk.load, model)

    def _lay_out(self) -> None:
        window, column = QtWidgets.QHBoxLayout(self), QtWidgets.QVBoxLayout()
        column.addWidget(self.page, stretch=1)
        column.addWidget(self.composer)
        column.addWidget(self.status)
        column.setContentsMargins(12, 0, 12, 12)
        window.setContentsMargins(0, 0, 0, 0)
        window.addWidget(self.side, stretch=2)
        window.addLayout(column, stretch=5)
        self.input.setFocus()
        self.resize(980, 760)

    def _connect(self) -> None:
        QtGui.QShortcut("Esc", self, self.stop)
        QtGui.QShortcut("Ctrl+R", self, self.retry)
        QtGui.QShortcut("Ctrl+N", self, self.side.new.click)
        QtGui.QShortcut("Ctrl+F", self, self.side.search.setFocus)
        self.composer.asked.connect(self.send)
        self.composer.stopped.connect(self.stop)
        self.composer.retried.connect(self.retry)
        self.side.opened.connect(self.open)
        self.side.searched.connect(self.refresh)
        self.side.renamed.connect(self.rename)
        self.side.removed.connect(self.remove)
        self.talk.status.connect(self._on_status)
        self.talk.notice.connect(self._on_notice)
        self.talk.text.connect(self._on_text)
        self.talk.ended.connect(self._on_ended)
        self.talk.failed.connect(self._on_failed)

    @shows_errors
    def open(self, conversation_id: str) -> None:
        """Show a stored conversation, or an empty page if the id is ""."""
        leaf = self.history.conversation(conversation_id).leaf if conversation_id else None
        self.shown, self.messages = conversation_id, self.history.path(leaf) if leaf else []
        self._show_page(self.messages)
        last = self.messages[-1] if self.messages else None
        is_prefilling = last is not None and last.state == "streaming" and not last.content
        self.talk.wanted = conversation_id
        # a reply of another program that has no text yet is shown once it has some
        self.talk.do(self.talk.open, conversation_id, is_prefilling and time.time() - last.created < PREFILL_SECONDS)
        self.refresh()
        if not conversation_id:
            self.input.setFocus()

    @shows_errors
    def refresh(self) -> None:
        """Read the list of conversations again."""
        words = self.side.search.text().strip()
        self._listed = self.history.conversations(None if words else MAX_LISTED)
        if words:
            found = {match.conversation for match in self.history.search(words, limit=1000)}
            self._listed = [one for one in self._listed if one.id in found or fold(words) in fold(one.title)]
        self.side.show_titles(self._listed, self.shown)

    @shows_errors
    def rename(self, conversation_id: str, title: str) -> None:
        """Set a title; without one, it is again the first line."""
        self.history.rename(conversation_id, title or None)
        QTimer.singleShot(0, self.refresh)  # once the editor is closed

    @shows_errors
    def remove(self, conversation_id: str) -> None:
        """Remove a conversation for good, unless it gets a reply."""
        if conversation_id == self.answering:
            self.show_error("a reply is being written\n  stop it first")
        else:
            self.history.remove(conversation_id)
            self.open("" if conversation_id == self.shown else self.shown)

    def send(self) -> None:
        """Ask what is typed, unless a reply is being written."""
        text = self.input.toPlainText().strip()
        if text and self.talk.conversation and self.answering is None:
            self.input.clear()
            self.page.add("user", text)
            self._answer(self.talk.conversation.say(text), text)

    def retry(self) -> None:
        """Ask for another reply to the last message."""
        users = [place for place, one in enumerate(self.messages) if one.role == "user"]
        if users and self.talk.conversation and self.answering is None:
            self._show_page(self.messages[: users[-1] + 1])
            self._answer(self.talk.conversation.retry(), "")

    def stop(self) -> None:
        """End the reply; what was written stays."""
        if self.answering is not None:
            self.talk.conversation.cancel()

    def show_error(self, text: str) -> None:
        """Show an error below the conversation, once."""
        if not self.page.texts or self.page.texts[-1].toPlainText() != text:
            self.page.add("error", text)

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: D102, N802
        self.hide()
        self._looking.stop()
        self.talk.close()
        self.history.close()
        super().closeEvent(event)

    def _answer(self, reply: Iterator[str], asked: str) -> None:
        self.answering, self._asked, self._written = self.shown, asked, ""
        self.reply = self.page.add("reply")
        self.reply.setPlaceholderText("…")
        self.page.follow()
        self.talk.do(self.talk.answer, self.shown, reply)
        self._enable()

    def _show_page(self, messages: list[StoredMessage]) -> None:
        is_growing = self.shown != "" and self.shown == self.answering
        self.page.clear()
        for message in messages[-MAX_SHOWN:-1] if is_growing else messages[-MAX_SHOWN:]:
            self.page.add_message(message)
        self.reply = self.page.add("reply", self._written) if is_growing else None
        self._enable()

    def _enable(self) -> None:
        is_ready = self.talk.conversation is not None and self.answering is None
        self.composer.enable(is_ready, self.answering is not None, can_retry=bool(self.messages))

    def _look(self) -> None:
        """Look at what other programs did to the history."""
        if self.side.search.text():
            return
        before = {one.id: one.updated for one in self._listed}.get(self.shown)
        self.refresh()
        after = {one.id: one.updated for one in self._listed}.get(self.shown)
        if self.answering is None and before and after and before != after:
            self.open(self.shown)

    def _on_status(self, text: str) -> None:
        self.status.setText(text)
        self._enable()

    def _on_failed(self, text: str) -> None:
        self.show_error(text)
        if not self.talk.conversation:
            self.status.setText("No model")

    def _on_notice(self, text: str) -> None:
        self.page.add("note", text, above=1 if self.reply else 0)

    def _on_text(self, conversation_id: str, text: str) -> None:
        self._written += text
        if self.answering != conversation_id:  # its first text: now it is stored
            self.answering = conversation_id
            self.shown = conversation_id if self.reply else self.shown
            self.refresh()
        if self.reply:
            self.reply.show_markdown_soon(self._written)

    def _on_ended(self, conversation_id: str, messages: list[StoredMessage], is_kept: bool) -> None:
        reply, self.reply, self.answering = self.reply, None, None
        if reply and (is_kept or conversation_id == self.shown):
            self.shown, self.messages = conversation_id, messages
        if reply and is_kept:
            reply.show_markdown(messages[-1].content)
            self.page.mark_end(messages[-1])
        elif reply:
            self._show_page(self.messages)
            self.input.setPlainText(self.input.toPlainText() or self._asked)
        self.refresh()
        self._enable()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C would wait until Qt calls Python
    app = QtWidgets.QApplication(sys.argv)
    name = sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m-instruct"
    window = ChatWindow(lambda **options: SeaLLM(name, **options))
    window.show()
    sys.exit(app.exec())
