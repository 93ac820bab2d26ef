"""Widgets of the chat window in desktop.py: texts, the page, the list. They know neither a model nor a history file."""

import math
import re
import time
from collections.abc import Sequence

from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal

from seallm_edge.chat import ConversationSummary, StoredMessage

RENDER_MS = 120  # between two renderings of a reply, at least; they take a fifth of the time at most
MARKDOWN = QtGui.QTextDocument.MarkdownDialectGitHub | QtGui.QTextDocument.MarkdownNoHTML  # a tag is text
CODE_OR_LINE_END = re.compile(r"(^ *```.*?(?:^ *```|\Z))|\n", re.DOTALL | re.MULTILINE)
POINTS = 12  # size of the text of messages, as in the style
STYLE = """
    #window, #page, QScrollArea { background: palette(base); }
    #side, #user, #composer { background: palette(window); }
    #user, #composer, #error { border-radius: 18px; }
    #error { border: 1px solid #d9534f; }
    QTextEdit { background: transparent; border: none; font-size: 12pt; }
    #note, #status { color: palette(placeholder-text); font-size: 10pt; }
    QListWidget { background: transparent; border: none; font-size: 11pt; outline: none; }
    QListWidget::item { border-radius: 8px; padding: 8px; color: palette(text); }
    QListWidget::item:selected { background: palette(midlight); }
    QListWidget::item:selected:focus { background: palette(highlight); color: palette(highlighted-text); }
    QLineEdit { background: palette(base); border: 1px solid palette(midlight); border-radius: 8px; }
    QLineEdit { font-size: 11pt; padding: 6px; }
    QListWidget QLineEdit { border-radius: 0; padding: 0; }
    QPushButton { background: palette(highlight); color: palette(highlighted-text); font-size: 12pt; }
    QPushButton { border-radius: 14px; padding: 7px 18px; }
    QPushButton:disabled, #retry { background: palette(midlight); color: palette(text); }
    QPushButton:disabled { color: palette(placeholder-text); }
    QScrollBar { background: transparent; width: 8px; }
    QScrollBar::handle { background: palette(midlight); border-radius: 4px; min-height: 32px; }
    QScrollBar::add-line, QScrollBar::sub-line { height: 0; }
"""


class Text(QtWidgets.QTextEdit):
    """As high as its text. Thai, Khmer, Lao and Burmese have no spaces between words: any letter may end a line."""

    entered = Signal()

    def __init__(self, name: str, text: str = "", highest: int = 1 << 20) -> None:
        super().__init__(objectName=name, acceptRichText=False, verticalScrollBarPolicy=Qt.ScrollBarAlwaysOff)
        self._highest = highest
        self.setTabChangesFocus(True)
        self.setWordWrapMode(QtGui.QTextOption.WrapAtWordBoundaryOrAnywhere)
        self.document().setDocumentMargin(10)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self._later = QTimer(self, singleShot=True, interval=RENDER_MS)
        self._later.timeout.connect(lambda: self.show_markdown(self._markdown))
        self._markdown = ""
        self.setPlainText(text)

    def show_markdown_soon(self, text: str) -> None:
        """Show Markdown of a reply that grows: not each time, or a long reply would take the window's time."""
        self._markdown = text
        if not self._later.isActive():
            self._later.start()

    def show_markdown(self, text: str) -> None:
        """Show Markdown. A line feed ends a line, long lines of code wrap, and an image is its description."""
        self._later.stop()
        begun, document = time.perf_counter(), self.document()
        document.setMarkdown(CODE_OR_LINE_END.sub(lambda found: found[1] or "  \n", text), MARKDOWN)
        cursor = QtGui.QTextCursor(document)
        while not (cursor := document.find("\ufffc", cursor)).isNull():
            image = cursor.charFormat()
            if image.isImageFormat():
                cursor.insertText(f"[{image.property(QtGui.QTextFormat.ImageAltText)}]", QtGui.QTextCharFormat())
        cursor = QtGui.QTextCursor(document)
        cursor.select(QtGui.QTextCursor.Document)
        wrapping = QtGui.QTextBlockFormat()
        wrapping.setNonBreakableLines(False)
        cursor.mergeBlockFormat(wrapping)
        sized = QtGui.QTextCharFormat()  # else code has the size of the system's font; headings remain larger
        sized.setFontPointSize(POINTS)
        cursor.mergeCharFormat(sized)
        self._later.setInterval(max(RENDER_MS, int(4000 * (time.perf_counter() - begun))))

    def loadResource(self, kind: int, url: object) -> QtGui.QImage:  # noqa: D102, N802
        return QtGui.QImage(1, 1, QtGui.QImage.Format_ARGB32)  # Qt itself would open the file that a reply names

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: D102, N802
        if event.key() in (Qt.Key_Return, Qt.Key_Enter) and not event.modifiers() & Qt.ShiftModifier:
            self.entered.emit()
        else:
            super().keyPressEvent(event)

    def _fit(self) -> None:
        self.setFixedHeight(min(math.ceil(self.document().size().height()), self._highest))


class Page(QtWidgets.QScrollArea):
    """Texts of a conversation, one below another. It follows its end, unless its reader has scrolled up."""

    def __init__(self) -> None:
        super().__init__(widgetResizable=True, frameShape=QtWidgets.QFrame.NoFrame)
        self._end = 0  # of the page, before it grew
        self.verticalScrollBar().rangeChanged.connect(self._follow)
        self.clear()

    def clear(self) -> None:
        """Begin an empty page."""
        page = QtWidgets.QWidget(objectName="page")
        self._column = QtWidgets.QVBoxLayout(page, spacing=12)
        self._column.addStretch()
        self.texts: list[Text] = []
        self.setWidget(page)
        self.follow()

    def add(self, name: str, text: str = "", above: int = 0) -> Text:
        """Show a text, above so many others: "user", "reply" in Markdown, "note" or "error"."""
        shown = Text(name, "" if name == "reply" else text)
        if name == "reply" and text:
            shown.show_markdown(text)
        shown.setReadOnly(True)
        shown.setFocusPolicy(Qt.ClickFocus)
        self.texts.insert(len(self.texts) - above, shown)
        line = QtWidgets.QHBoxLayout()
        line.addStretch(1 if name == "user" else 0)
        line.addWidget(shown, 4)
        self._column.insertLayout(self._column.count() - 1 - above, line)
        if name == "user":
            shown.ensurePolished()  # now it has its font
            shown.setMaximumWidth(24 + max(map(shown.fontMetrics().horizontalAdvance, text.splitlines() or [""])))
        return shown

    def add_message(self, message: StoredMessage) -> None:
        """Show a stored message; one without text is a reply that has not begun."""
        if not message.content:
            return
        self.add("user" if message.role == "user" else "reply", message.content)
        self.mark_end(message)

    def mark_end(self, message: StoredMessage) -> None:
        """Note below a reply why it is not whole."""
        if message.state == "cut":
            self.add("note", "(cut)")
        elif (message.figures or {}).get("finish_reason") == "length":
            self.add("note", "(ended at the limit of its tokens)")

    def follow(self) -> None:
        """Show the end, wherever the reader was."""
        self._end = 0

    def _follow(self, _: int, end: int) -> None:
        if self.verticalScrollBar().value() >= self._end - 40:
            self.verticalScrollBar().setValue(end)
        self._end = end


class Composer(QtWidgets.QFrame):
    """Field for a message, and the buttons beside it."""

    asked, stopped, retried = Signal(), Signal(), Signal()

    def __init__(self) -> None:
        super().__init__(objectName="composer")
        self.input = Text("input", highest=160)
        self.input.setPlaceholderText("Message")
        self.input.entered.connect(self.asked)
        self.retry = QtWidgets.QPushButton("Retry", objectName="retry", clicked=lambda: self.retried.emit())
        self.button = QtWidgets.QPushButton("Send")
        self.button.clicked.connect(lambda: (self.asked if self.button.text() == "Send" else self.stopped).emit())
        line = QtWidgets.QHBoxLayout(self)
        line.addWidget(self.input)
        line.addWidget(self.retry, alignment=Qt.AlignBottom)
        line.addWidget(self.button, alignment=Qt.AlignBottom)

    def enable(self, is_ready: bool, is_replying: bool, can_retry: bool) -> None:
        """Enable what can be done."""
        self.button.setText("Stop" if is_replying else "Send")
        self.button.setEnabled(is_ready or is_replying)
        self.retry.setEnabled(is_ready and can_retry)


class ConversationList(QtWidgets.QFrame):
    """Titles of conversations, above them a button for a new one and a field for a search."""

    opened = Signal(str)  # id; "" for a new one
    renamed = Signal(str, str)  # id, title
    removed = Signal(str)  # id, of a conversation that its user means to remove
    searched = Signal()  # some time after the last key

    def __init__(self) -> None:
        super().__init__(objectName="side")
        self.new = QtWidgets.QPushButton("New conversation", clicked=lambda: self.opened.emit(""))
        self.search = QtWidgets.QLineEdit(placeholderText="Search", clearButtonEnabled=True)
        self.list = QtWidgets.QListWidget(contextMenuPolicy=Qt.ActionsContextMenu)
        self.list.setEditTriggers(self.list.EditTrigger.DoubleClicked | self.list.EditTrigger.EditKeyPressed)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self._shown: object = None
        column = QtWidgets.QVBoxLayout(self)
        for widget in (self.new, self.search, self.list):
            column.addWidget(widget)
        self._pause = QTimer(self, singleShot=True, interval=150)
        self._pause.timeout.connect(self.searched)
        self.search.textChanged.connect(lambda _: self._pause.start())
        self.list.currentItemChanged.connect(lambda item, _: item and self.opened.emit(item.data(Qt.UserRole)))
        self.list.itemChanged.connect(self._rename)
        remove = QtGui.QAction("Delete…", self.list, shortcut="Del", shortcutContext=Qt.WidgetShortcut)
        remove.triggered.connect(self._remove)
        self.list.addAction(remove)

    def show_titles(self, summaries: Sequence[ConversationSummary], selected: str) -> None:
        """Show the conversations, and select the one with the id `selected`."""
        shown = ([(one.id, one.title) for one in summaries], selected)
        if shown == self._shown or self.list.state() == self.list.State.EditingState:
            return
        self._shown = shown
        with QSignalBlocker(self.list):
            self.list.clear()
            for summary in summaries:
                item = QtWidgets.QListWidgetItem(summary.title, self.list)
                item.setData(Qt.UserRole, summary.id)
                item.setFlags(item.flags() | Qt.ItemIsEditable)
                if summary.id == selected:
                    self.list.setCurrentItem(item)

    def _rename(self, item: QtWidgets.QListWidgetItem) -> None:
        self._shown = None  # the list has another text now
        self.renamed.emit(item.data(Qt.UserRole), item.text().strip())

    def _remove(self) -> None:
        yes = QtWidgets.QMessageBox.StandardButton.Yes
        item = self.list.currentItem()
        if item and QtWidgets.QMessageBox.question(self, "Delete", f"Delete “{item.text()}” for good?") == yes:
            self.removed.emit(item.data(Qt.UserRole))
