"""llama.cpp's log, into `logging` and a short memory of its last complaints; never to stderr."""

from __future__ import annotations

import ctypes
import logging
from collections import deque
from functools import cache
from typing import Any

from . import symbols

logger = logging.getLogger("seallm_edge.native")

# ref: ggml/include/ggml.h, enum ggml_log_level; 5 continues the line before
_LEVELS = {1: logging.DEBUG, 2: logging.INFO, 3: logging.WARNING, 4: logging.ERROR}
_INFO_AS_DEBUG = {logging.INFO: logging.DEBUG}
_CONTINUATION = 5
_TAIL_LINES = 4


class LogRelay:
    """Passes whole lines on, and keeps the last few warnings and errors for an exception to carry."""

    def __init__(self) -> None:
        self._line = ""
        self._level = logging.DEBUG
        self._complaints: deque[str] = deque(maxlen=_TAIL_LINES)

    def receive(self, level: int, text: bytes, _user_data: Any = None) -> None:
        """Take a piece of log as llama.cpp hands it over: any length, with or without its newline."""
        if level != _CONTINUATION:
            self._flush()
            self._level = _LEVELS.get(level, logging.DEBUG)
        self._line += (text or b"").decode("utf-8", "replace")
        if self._line.endswith("\n"):
            self._flush()

    def take_complaints(self) -> tuple[str, ...]:
        """The last warnings and errors, oldest first; they are forgotten here."""
        self._flush()
        lines = tuple(self._complaints)
        self._complaints.clear()
        return lines

    def _flush(self) -> None:
        line, self._line = self._line.strip(), ""
        if not line:
            return
        if self._level >= logging.WARNING:
            self._complaints.append(line)
        # llama.cpp warns of things that a host program can do nothing about
        logger.log(_INFO_AS_DEBUG.get(self._level, self._level), "%s", line)


@cache
def relay() -> LogRelay:
    """The one relay, connected to llama.cpp at the first call."""
    made, callback = _relay_and_callback()
    symbols.llama_cpp().llama_log_set(callback, ctypes.c_void_p(0))
    return made


@cache
def _relay_and_callback() -> tuple[LogRelay, Any]:
    """The relay, and the C function over it: kept before llama.cpp gets the pointer, so that Ctrl-C cannot free it."""
    made = LogRelay()
    return made, symbols.llama_cpp().llama_log_callback(made.receive)
