"""Warnings of the library, such as a lost connection or a GPU that failed, as lines on stderr."""

from __future__ import annotations

import logging

from .progress import ProgressLine

LLAMA_CPP = "seallm_edge.native"  # the logger of llama.cpp's own words, which say nothing to a user


class _OnStderr(logging.Handler):
    """Log handler: prints warnings, above the progress line that is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != LLAMA_CPP:
            ProgressLine.note(record.getMessage())


_HANDLER = _OnStderr(logging.WARNING)


def show_warnings() -> None:
    """Print the library's warnings from now on."""
    logging.getLogger("seallm_edge").addHandler(_HANDLER)
