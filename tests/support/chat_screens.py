"""A chat screen over typed lines, and its output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.chat import Conversation, History
from seallm_edge.terminal import Screen


def typed(*lines: str) -> Callable[[], str | None]:
    """A reader of `lines`, then of the end of input."""
    waiting = iter(lines)
    return lambda: next(waiting, None)


def talk(history: History, *replies: Any, n_ctx: int = 8192, **options: Any) -> Conversation:
    """A conversation in a history, with a script of replies."""
    return Conversation(SeaLLM.from_engine(ScriptedEngine(replies, n_ctx=n_ctx)), history=history, **options)


def run(conversation: Conversation, capsys: pytest.CaptureFixture[str], *lines: str) -> tuple[list[str], list[str]]:
    """(lines on stdout without the heading, lines on stderr)."""
    Screen(conversation).run(typed(*lines))
    out, err = capsys.readouterr()
    return out.splitlines()[1:], err.splitlines()
