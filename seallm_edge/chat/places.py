"""Places in a branch where a turn begins: the number of messages that stay before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import InvalidOption
from .records import StoredMessage

Place = Callable[[Sequence[StoredMessage]], int]


def of_next(messages: Sequence[StoredMessage]) -> int:
    """Place of the next user message: behind the last reply. A message without any reply stays as a branch."""
    return len(messages) - bool(messages and messages[-1].role == "user")


def of_last_user(messages: Sequence[StoredMessage]) -> int:
    """Place of the last user message. Raises InvalidOption if there is none."""
    places = [place for place, one in enumerate(messages) if one.role == "user"]
    if not places:
        raise InvalidOption("there is no message to answer yet", "say something")
    return places[-1]


def behind_last_user(messages: Sequence[StoredMessage]) -> int:
    """Place behind the last user message. Raises InvalidOption if there is none."""
    return of_last_user(messages) + 1


def behind_reply(messages: Sequence[StoredMessage]) -> int:
    """Place behind the reply at the end. Raises InvalidOption if the branch does not end with one."""
    if not messages or messages[-1].role != "assistant":
        raise InvalidOption("there is no reply to continue", "say something")
    return len(messages)
