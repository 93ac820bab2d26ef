"""Lines of a list: a text cut to one line, and a moment of local time."""

from __future__ import annotations

import time

from .unicode import graphemes, visible


def one_line(text: str, n_clusters: int) -> str:
    """Text on one line, of at most `n_clusters` grapheme clusters; control characters are visible."""
    line = visible(" ".join(text[: 64 * n_clusters].split()))
    clusters = graphemes(line)
    return line if len(clusters) <= n_clusters else "".join(clusters[: n_clusters - 1]) + "…"


def local_minute(seconds: float) -> str:
    """Local date and time of Unix seconds, to the minute; "" where the calendar does not reach."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return ""
