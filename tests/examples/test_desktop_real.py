"""The desktop example with the demo model, and as a program of its own that is closed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from seallm_edge import SeaLLM
from seallm_edge.chat import History
from support.desktop_window import EXAMPLES, until

DEMO = "smollm2-135m-instruct"
# The signal of the conversation whose coming closes the window.
ENDINGS = {"in a reply": "text", "while the model loads": "status", "when nothing is to be done": "ended"}


@pytest.mark.slow
def test_it_talks_with_a_real_model_and_stays_awake(open_window) -> None:
    from PySide6.QtCore import QTimer

    user = open_window(lambda **options: SeaLLM(DEMO, context=2048, **options))
    ticks: list[str] = []
    timer = QTimer(interval=1)
    timer.timeout.connect(lambda: ticks.append(user.written))
    timer.start()
    user.send("Tell me about rice.")
    until(lambda: len(user.written) > 60)
    user.window.composer.button.click()
    until(lambda: not user.is_replying)
    reply = user.window.talk.conversation.last_reply
    with History() as history:
        (_, stored) = history.tree(history.conversations()[0].id).branch
    assert (stored.content, stored.state, reply.finish_reason) == (reply.text, "cut", "cancelled")
    assert len(set(ticks)) > 2
    user.ask("What is the capital of Japan?")
    assert [message.role for message in user.window.messages] == ["user", "assistant"] * 2


@pytest.mark.slow
def test_stop_during_the_prefill_ends_it(open_window) -> None:
    user = open_window(lambda **options: SeaLLM(DEMO, context=8192, prefix_cache=0, **options))
    user.send("rice and fish " * 1500)
    user.window.stop()
    until(lambda: not user.is_replying)
    assert user.shown == []
    assert user.window.input.toPlainText() == ("rice and fish " * 1500).strip()


@pytest.mark.slow
@pytest.mark.usefixtures("desktop")
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_program_whose_window_is_closed_ends_soon_and_cleanly(ending: str) -> None:
    code = f"""
    import sys
    sys.path.insert(0, {str(EXAMPLES)!r})
    import desktop
    from desktop import QtWidgets, SeaLLM
    from PySide6.QtCore import QTimer
    application = QtWidgets.QApplication([])
    window = desktop.ChatWindow(lambda **options: SeaLLM({DEMO!r}, context=1024, **options))
    window.show()

    window.talk.{ending}.connect(lambda *_: window.close())

    def ask():
        if window.composer.button.isEnabled():
            timer.stop()
            window.input.setPlainText("What is the capital of Japan?")
            window.send()

    timer = QTimer(interval=1)
    timer.timeout.connect(ask)
    timer.start()
    sys.exit(application.exec())
    """
    environment = {"QT_QPA_PLATFORM": "offscreen", "QT_LOGGING_RULES": "*=false"}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
