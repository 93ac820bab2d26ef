"""Qt chat window: a thread reads the stream and sends each text to the event loop as a signal.

$ python examples/desktop.py [MODEL]

Enter sends, Shift-Enter begins a new line, Esc stops the reply. Needs PySide6-Essentials: pip install '.[desktop]'
"""

import math
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import QObject, Qt, Signal

from seallm_edge import Message, SeaLLM, SeaLLMError, Stream
from seallm_edge.hints import command_line_words

STYLE = """
    #window, #page, QScrollArea { background: palette(base); }
    QTextEdit { background: transparent; border: none; font-size: 12pt; }
    #user, #composer { background: palette(window); border-radius: 18px; }
    #error { border: 1px solid #d9534f; border-radius: 18px; }
    #status { color: palette(placeholder-text); font-size: 9pt; }
    QPushButton { background: palette(highlight); color: palette(highlighted-text); font-size: 12pt; }
    QPushButton { border-radius: 14px; padding: 7px 18px; }
    QPushButton:disabled { background: palette(midlight); color: palette(placeholder-text); }
    QScrollBar { background: transparent; width: 8px; }
    QScrollBar::handle { background: palette(midlight); border-radius: 4px; min-height: 32px; }
    QScrollBar::add-line, QScrollBar::sub-line { height: 0; }
"""


class Talk(QObject):
    """The model, and the thread that waits for it. Signals carry what comes to the window's thread."""

    loading = Signal(str)
    piece = Signal(str)
    idle = Signal(str)  # ready for a question, after the error that it gives, if any

    def __init__(self) -> None:
        super().__init__()
        self.llm: SeaLLM | None = None
        self._stream: Stream | None = None
        self._is_stopped = False
        self._thread = ThreadPoolExecutor(max_workers=1)

    def load(self, model: Callable[..., SeaLLM]) -> None:
        """Call `model`, then be idle."""
        self._thread.submit(self._run, self._load, model)

    def ask(self, messages: list[Message]) -> None:
        """Give the pieces of a reply, then be idle."""
        self._is_stopped = False
        self._thread.submit(self._run, self._answer, messages)

    def stop(self) -> None:
        """End what is being loaded or written."""
        self._is_stopped = True
        if self._stream:
            self._stream.cancel()

    def close(self) -> None:
        """Stop, and free the model once the thread is done."""
        self.stop()
        self._thread.shutdown()
        if self.llm:
            self.llm.close()

    def _run(self, work: Callable[..., None], argument: object) -> None:
        try:
            work(argument)
            self.idle.emit("")
        except Exception as error:  # noqa: BLE001  the window shows whatever it is
            self.idle.emit(error.worded(command_line_words) if isinstance(error, SeaLLMError) else str(error))

    def _load(self, model: Callable[..., SeaLLM]) -> None:
        self.llm = model(on_progress=self._on_progress)

    def _on_progress(self, share: float) -> None:
        if self._is_stopped:
            raise InterruptedError("the window was closed")  # an exception here ends the loading
        self.loading.emit(f"Loading {share:.0%}")

    def _answer(self, messages: list[Message]) -> None:
        self._stream = self.llm.stream(messages)
        if self._is_stopped:  # before there was a stream to cancel
            self._stream.cancel()
        for piece in self._stream:
            self.piece.emit(piece)


class Text(QtWidgets.QTextEdit):
    """As high as its text. Thai, Khmer, Lao and Burmese have no spaces between words: any letter may end a line."""

    entered = Signal()

    def __init__(self, name: str, text: str = "", highest: int = 1 << 20) -> None:
        super().__init__(objectName=name, acceptRichText=False, verticalScrollBarPolicy=Qt.ScrollBarAlwaysOff)
        self._highest = highest
        self.setWordWrapMode(QtGui.QTextOption.WrapAtWordBoundaryOrAnywhere)
        self.document().setDocumentMargin(10)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self.setPlainText(text)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: D102, N802
        if event.key() in (Qt.Key_Return, Qt.Key_Enter) and not event.modifiers() & Qt.ShiftModifier:
            self.entered.emit()
        else:
            super().keyPressEvent(event)

    def _fit(self) -> None:
        self.setFixedHeight(min(math.ceil(self.document().size().height()), self._highest))


class ChatWindow(QtWidgets.QWidget):
    """A conversation with what `model` loads."""

    def __init__(self, model: Callable[..., SeaLLM]) -> None:
        super().__init__(objectName="window", windowTitle="SeaLLM", styleSheet=STYLE)
        self.messages: list[Message] = []
        self.reply: Text | None = None  # shows what is being written
        self._written = ""  # Qt's own text of it would have other spaces and line ends
        self.input = Text("input", highest=160)
        self.button = QtWidgets.QPushButton("Send", enabled=False, focusPolicy=Qt.NoFocus)
        self.status = QtWidgets.QLabel("Loading", objectName="status", alignment=Qt.AlignCenter)
        self.page = QtWidgets.QVBoxLayout(spacing=12)
        self.scroll = QtWidgets.QScrollArea(widgetResizable=True, frameShape=QtWidgets.QFrame.NoFrame)
        self._lay_out()
        self._end = 0  # of the page, before it grew
        self.scroll.verticalScrollBar().rangeChanged.connect(self._follow)
        self.button.clicked.connect(lambda: self.stop() if self.reply else self.send())
        self.input.entered.connect(self.send)
        self.talk = Talk()
        QtGui.QShortcut(Qt.Key_Escape, self, self.stop)
        self.talk.loading.connect(self.status.setText)
        self.talk.piece.connect(self._on_piece)
        self.talk.idle.connect(self._on_idle)
        self.talk.load(model)

    def _lay_out(self) -> None:
        page, composer = QtWidgets.QWidget(objectName="page"), QtWidgets.QFrame(objectName="composer")
        page.setLayout(self.page)
        self.page.addStretch()
        self.scroll.setWidget(page)
        row, column = QtWidgets.QHBoxLayout(composer), QtWidgets.QVBoxLayout(self)
        row.addWidget(self.input)
        row.addWidget(self.button, alignment=Qt.AlignBottom)
        column.addWidget(self.scroll, stretch=1)
        column.addWidget(composer)
        column.addWidget(self.status)
        self.input.setPlaceholderText("Message")
        self.input.setFocus()
        self.resize(640, 760)

    def send(self) -> None:
        """Ask what is typed, unless a reply is being written."""
        text = self.input.toPlainText().strip()
        if text and self.talk.llm and not self.reply:
            self.input.clear()
            self._end = 0
            self._show("user", text)
            self.reply, self._written = self._show("reply"), ""
            self.reply.setPlaceholderText("…")
            self.button.setText("Stop")
            self.messages.append(Message("user", text))
            self.talk.ask(list(self.messages))

    def stop(self) -> None:
        """End the reply; what was written stays."""
        if self.reply:
            self.talk.stop()

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:  # noqa: D102, N802
        self.hide()
        self.talk.close()
        super().closeEvent(event)

    def _show(self, name: str, text: str = "") -> Text:
        shown = Text(name, text)
        shown.setReadOnly(True)
        row = QtWidgets.QHBoxLayout()
        row.addStretch(1 if name == "user" else 0)
        row.addWidget(shown, 4)
        self.page.insertLayout(self.page.count() - 1, row)
        if name == "user":
            shown.ensurePolished()  # now it has its font
            shown.setMaximumWidth(24 + max(map(shown.fontMetrics().horizontalAdvance, text.splitlines())))
        return shown

    def _follow(self, _: int, end: int) -> None:
        bar = self.scroll.verticalScrollBar()
        if bar.value() >= self._end - 40:  # who has scrolled up stays there
            bar.setValue(end)
        self._end = end

    def _on_piece(self, piece: str) -> None:
        self._written += piece
        cursor = QtGui.QTextCursor(self.reply.document())
        cursor.movePosition(QtGui.QTextCursor.End)
        cursor.insertText(piece)

    def _on_idle(self, error: str) -> None:
        if self.reply and self._written:
            self.messages.append(Message("assistant", self._written))
        elif self.reply:
            self.reply.setPlaceholderText("No answer")
            self.messages.pop()
        if error:
            self._show("error", error)
        self.reply = None
        self.button.setText("Send")
        self.button.setEnabled(self.talk.llm is not None)
        self.status.setText("Enter sends  ·  Shift-Enter begins a new line  ·  Esc stops")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C would wait until Qt calls Python
    app = QtWidgets.QApplication(sys.argv)
    name = sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m-instruct"
    window = ChatWindow(lambda **options: SeaLLM(name, **options))
    window.show()
    sys.exit(app.exec())
