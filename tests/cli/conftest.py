"""Chats at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.chat import Chat


@pytest.fixture
def start(seallm) -> Iterator[Callable[..., Chat]]:  # type: ignore[no-untyped-def]
    """Function that starts a chat with these options, at a terminal of so many columns."""
    from support.chat import DEMO, GREEDY, Chat

    chats: list[Chat] = []

    def start(
        *options: str, columns: int = 100, rows: int = 24, env: dict[str, str] | None = None, loaded: str | None = None
    ) -> Chat:
        command = seallm.command("chat", DEMO, *(options or GREEDY))
        chats.append(Chat(command, columns, rows, env) if loaded is None else Chat(command, columns, rows, env, loaded))
        return chats[-1]

    yield start
    for chat in chats:
        if chat.child.isalive():
            chat.kill()
