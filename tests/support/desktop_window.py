"""Fixtures of the desktop example's tests: the example without a screen, windows of it, and what they show."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seallm_edge import ScriptedEngine, SeaLLM

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def desktop() -> Iterator[ModuleType]:
    """The example, with an application that has no screen; skipped where Qt cannot be loaded."""
    pytest.importorskip(
        "PySide6.QtWidgets",
        reason="Qt cannot be loaded: pip install PySide6-Essentials; on Debian also libegl1 libgl1 libxkbcommon0 "
        "libfontconfig1 libdbus-1-3 libglib2.0-0",
        exc_type=ImportError,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QT_QPA_PLATFORM", "offscreen")
        patch.syspath_prepend(EXAMPLES)
        module = importlib.import_module("desktop")
        application = module.QtWidgets.QApplication.instance() or module.QtWidgets.QApplication([])
        yield module
        application.processEvents()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Let events come until `condition` holds."""
    from PySide6.QtTest import QTest

    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "it never came"
        QTest.qWait(5)


class Driver:
    """A window as its user sees it."""

    def __init__(self, window: Any) -> None:
        self.window = window

    @property
    def shown(self) -> list[tuple[str, str]]:
        """(kind, text) of all that the page shows."""
        return [(text.objectName(), text.toPlainText()) for text in self.window.page.texts]

    @property
    def titles(self) -> list[str]:
        titles = self.window.side.list
        return [titles.item(place).text() for place in range(titles.count())]

    @property
    def is_replying(self) -> bool:
        return self.window.answering is not None

    @property
    def written(self) -> str:
        """Text of the reply under way, as far as it is shown."""
        return self.window.reply.toPlainText() if self.window.reply else ""

    def press(self, key: str, modifier: str = "NoModifier", widget: Any = None) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        code, held = getattr(Qt.Key, f"Key_{key}"), getattr(Qt.KeyboardModifier, modifier)
        QTest.keyClick(widget or self.window.input, code, held)

    def send(self, text: str) -> None:
        self.window.input.setPlainText(text)
        self.press("Return")

    def ask(self, text: str) -> None:
        """Send a message, and wait for the end of the reply."""
        self.send(text)
        until(lambda: not self.is_replying)

    def click(self, place: int) -> None:
        self.window.side.list.setCurrentRow(place)

    def search(self, words: str, expected: list[str]) -> None:
        """Type into the search, and wait for these titles."""
        self.window.side.search.setText(words)
        until(lambda: self.titles == expected)


@pytest.fixture
def open_window(desktop: ModuleType) -> Iterator[Callable[..., Driver]]:
    """Opens a window on a model, and waits for it to be ready; closes it in the end."""
    windows = []

    def opened(model: Callable[..., SeaLLM], is_awaited: bool = True) -> Driver:
        window = desktop.ChatWindow(model)
        windows.append(window)
        window.show()
        if is_awaited:
            until(lambda: not window.status.text().startswith("Loading"))
        return Driver(window)

    yield opened
    for window in windows:
        window.close()


def scripted(*replies: Any, **options: Any) -> tuple[ScriptedEngine, Callable[..., SeaLLM]]:
    """An engine with these replies, and what loads it."""
    engine = ScriptedEngine(replies, **options)
    return engine, lambda on_progress: SeaLLM.from_engine(engine)
