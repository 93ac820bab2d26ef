"""`StatusLine`: one line on what the chat is doing: loading, reading a prompt, writing; model, context and speed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..chat import Conversation
from ..errors import SeaLLMError
from ..text.width import cells
from ..translations import _
from .size import terminal_size

_BAR_CELLS = 12
_SEPARATOR = " · "
_PATIENCE_SECONDS = 0.5  # what takes less is not told
_MIN_GAIN = 1.05  # of drafting, to be told
_MIN_SHARE = 0.02  # below it the time left is anybody's guess


class StatusLine:
    """Status of one conversation. `name` is the model's until it is loaded."""

    def __init__(self, conversation: Conversation, name: str) -> None:
        self._conversation = conversation
        self.name = name
        self._counted: tuple[object, int] = (None, 0)
        self.begin()

    def begin(self) -> None:
        """Note that a reply begins now."""
        self._begun_at = time.monotonic()
        self._first: tuple[float, float] | None = None  # share and seconds, when the prompt's share was first seen
        self._n_characters = 0
        self._written_at = 0.0

    def add(self, text: str) -> None:
        """Count a delta of the reply."""
        self._written_at = self._written_at or time.monotonic()
        self._n_characters += len(text)

    def at_prompt(self) -> str:
        """Status while the user may type."""
        if loading := self._loading():
            return _joined([self.name, loading])
        return _joined([*self._model_and_context(), *self._last_speed()])

    def in_reply(self, n_waiting: int = 0) -> str:
        """Status while a reply is under way; `n_waiting` messages are typed already."""
        waiting = [_("{n} waiting").format(n=n_waiting) if n_waiting else ""]
        if loading := self._loading():
            return _joined([self.name, loading, *waiting])
        seconds = time.monotonic() - (self._written_at or self._begun_at)
        if not self._written_at:
            return _joined([self._model_name(), self._reading(seconds), *waiting])
        speed = _speed(self._n_characters / seconds) if seconds > _PATIENCE_SECONDS else ""
        return _joined([self._model_name(), speed, *waiting, _("Ctrl-C stops")])

    def _model_name(self) -> str:
        load = self._conversation.load
        return self.name if load and (load.is_loading or load.error) else self._conversation.llm.name

    def _loading(self) -> str:
        load = self._conversation.load
        return _share(_("loading"), load.share) if load and load.is_loading else ""

    def _reading(self, seconds: float) -> str:
        share = self._conversation.prompt_share
        if share is None or seconds < _PATIENCE_SECONDS:
            return ""
        self._first = self._first or (share, seconds)  # a cached beginning is read already
        done, took = share - self._first[0], seconds - self._first[1]
        reading = _share(_("reading the prompt"), share)
        if done <= _MIN_SHARE:
            return reading
        return _("{reading}, {n} s left").format(reading=reading, n=f"{took * (1 - share) / done:.0f}")

    def _model_and_context(self) -> list[str]:
        try:
            llm = self._conversation.llm
            n_tokens = self._n_tokens()
        except (SeaLLMError, OSError):  # the prompt tells it
            return [self.name]
        used = _("{n:,} of {n_ctx:,} tokens").format(n=n_tokens, n_ctx=llm.n_ctx)
        return [llm.name, f"{used} ({n_tokens / llm.n_ctx:.0%})"]

    def _n_tokens(self) -> int:
        """Tokens of the context that the conversation takes; counted once for each state of it."""
        conversation = self._conversation
        stored = conversation.stored_messages
        state = (conversation.id, len(stored), stored[-1].id if stored else 0, conversation.system, conversation.llm)
        if self._counted[0] != state:
            is_chat = conversation.llm.is_chat_model
            self._counted = (state, conversation.context().n_tokens if is_chat else 0)
        return self._counted[1]

    def _last_speed(self) -> list[str]:
        reply = self._conversation.last_reply
        if reply is None:
            return []
        speed = _speed(reply.characters_per_second) if reply.characters_per_second else ""
        gain = reply.timings.speedup
        return [speed, _("drafting {gain}×").format(gain=f"{gain:.1f}") if gain >= _MIN_GAIN else ""]


def _share(doing: str, share: float) -> str:
    return f"{doing} {bar(share)} {share:.0%}"


def _speed(characters_per_second: float) -> str:
    return _("{n} characters/s").format(n=f"{characters_per_second:.0f}")


def bar(share: float) -> str:
    """Progress bar of block characters, which all terminals show one cell wide."""
    n_full = round(min(max(share, 0.0), 1.0) * _BAR_CELLS)
    return "█" * n_full + "░" * (_BAR_CELLS - n_full)


def _joined(parts: Sequence[str]) -> str:
    """Parts on one line. Of those that have no room the model's name goes first, then the last ones."""
    room = terminal_size().columns - 1
    shown = [part for part in parts if part]
    while cells(_SEPARATOR.join(shown)) > room and len(shown) > 1:
        shown.pop(0 if shown[0] == parts[0] else -1)
    return _SEPARATOR.join(shown)
