"""The chat page: its files, and the protocol that it speaks to the same history as the terminal's chat.

    browser ─→ files (HTML, modules, words)          no secret, no key
    browser ─→ /seallm/… ─→ conversations ─→ chat.History
                         └→ turns ─→ chat.Conversation ─→ model_pool ─→ SeaLLM

The page holds no conversation state of its own: a reload, another browser or the terminal show the same.
"""

from __future__ import annotations

from .routes import PageRoutes, home

__all__ = ["PageRoutes", "home"]
