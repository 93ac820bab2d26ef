"""Which history a request of the page reads, and that it comes from the page itself.

A browser on this computer shares the history of the terminal's chat. One elsewhere, which has the key, has a history
apart, unless the server's owner shares it: a pupil's phone shows no conversation of the teacher's.
"""

from __future__ import annotations

import threading

from starlette.requests import Request

from ... import paths
from ...chat import Conversation, History
from ..guard import is_loopback
from ..problems import RequestRefused
from ..settings import ServerSettings


class Histories:
    """Histories of the page, opened at their first use."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: dict[bool, History] = {}
        self._unsaved: dict[History, dict[str, Conversation]] = {}

    def of(self, request: Request) -> History:
        """History for a request. Raises RequestRefused for one that another page sends."""
        _check_same_origin(request)
        is_guest = self.is_guest(request)
        with self._lock:
            if is_guest not in self._opened:
                self._opened[is_guest] = History(paths.guest_history_file() if is_guest else None)
            return self._opened[is_guest]

    def unsaved(self, history: History) -> dict[str, Conversation]:
        """Conversations by id whose history file failed: they are in memory until it can be written again."""
        return self._unsaved.setdefault(history, {})

    def is_guest(self, request: Request) -> bool:
        """Whether a request gets the guests' history."""
        address = request.client.host if request.client else ""
        return not (self._settings.shares_history or is_loopback(_bracketed(address)))

    def close(self) -> None:
        """Store what could not be stored before, if that is possible now, and close the files."""
        with self._lock:
            for history in self._opened.values():
                for conversation in self.unsaved(history).values():
                    conversation.save()
                history.close()


def _check_same_origin(request: Request) -> None:
    """The guard lets every page of this computer use the models; conversations are for this page alone."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    is_same = origin is None or origin.partition("://")[2] == host
    if not is_same or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise RequestRefused(403, "origin_not_allowed", "only this server's own page reads conversations")


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
