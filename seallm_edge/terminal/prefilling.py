"""`Prefilling`: prefill of a conversation while its user types, so that the first token comes sooner after Enter."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..chat import Conversation
from ..errors import SeaLLMError

if TYPE_CHECKING:
    from ..stream import Stream

_PAUSE_SECONDS = 0.25  # without a key: what is typed may be whole
_INTERVAL_SECONDS = 0.5  # at most, of somebody who types without a pause
_LOOK_UP_SECONDS = 0.1


class Prefilling:
    """Prefill, on a thread, of a conversation and of the message that is being typed; one at a time.

    `start` at a prompt, `typed` at every change, and `stop` before the conversation is used otherwise. A failure ends
    it silently, as the reply itself will tell; that of the model's load goes to `on_load_error`. While the model loads
    `on_loading` is called ten times a second, and at the end.
    """

    def __init__(
        self,
        conversation: Conversation,
        on_load_error: Callable[[BaseException], None],
        on_loading: Callable[[], None],
    ) -> None:
        self._conversation = conversation
        self._on_loading = on_loading
        self._on_load_error = on_load_error
        self._thread: threading.Thread | None = None
        self._stream: Stream | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._typed = ""
        self._typed_at = self._begun_at = 0.0

    def start(self) -> None:
        """Begin with the conversation so far."""
        self._stopped.clear()
        self._typed = ""
        self._thread = threading.Thread(target=self._run, name="seallm-prefilling", daemon=True)
        self._thread.start()

    def typed(self, text: str) -> None:
        """Take over what is typed so far; a command is no message."""
        self._typed = "" if text.startswith("/") else text
        self._typed_at = time.monotonic()

    def stop(self) -> None:
        """End the prefill that is under way; what it has done stays in the KV cache."""
        with self._lock:
            self._stopped.set()
            if self._stream:
                self._stream.cancel()
        if self._thread:
            self._thread.join()
            self._thread = self._stream = None

    def _run(self) -> None:
        while (load := self._conversation.load) and (load.is_loading or load.error):
            if load.error:
                self._on_load_error(load.error)
                if self._conversation.load is load:
                    return
            if self._stopped.wait(_LOOK_UP_SECONDS):
                return
            self._on_loading()
        with contextlib.suppress(SeaLLMError, OSError):
            self._follow()

    def _follow(self) -> None:
        """Prefill what is typed whenever it has changed, until `stop`."""
        done: str | None = None
        while not self._stopped.wait(_LOOK_UP_SECONDS if done is not None else 0):
            if self._typed != done and self._is_due():
                done = self._typed
                self._prefill(done)

    def _is_due(self) -> bool:
        now = time.monotonic()
        return now - self._typed_at >= _PAUSE_SECONDS or now - self._begun_at >= _INTERVAL_SECONDS

    def _prefill(self, text: str) -> None:
        self._begun_at = time.monotonic()
        stream = self._conversation.prefill(text)
        if stream is None:
            return
        with self._lock:
            self._stream = stream
            if self._stopped.is_set():
                stream.cancel()
        stream.read()
