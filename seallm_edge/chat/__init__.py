"""Conversations with one model, and the history file that keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .background_load import BackgroundLoad
    from .context_budget import ContextBudget
    from .conversation import Conversation
    from .history import History
    from .records import ConversationSummary, ConversationTree, Match, StoredConversation, StoredMessage

# public name → its module, imported on first access: a list of conversations needs no model
_HOMES = {
    "BackgroundLoad": "background_load",
    "ContextBudget": "context_budget",
    "Conversation": "conversation",
    "ConversationSummary": "records",
    "ConversationTree": "records",
    "History": "history",
    "Match": "records",
    "StoredConversation": "records",
    "StoredMessage": "records",
}
__all__ = [
    "BackgroundLoad",
    "ContextBudget",
    "Conversation",
    "ConversationSummary",
    "ConversationTree",
    "History",
    "Match",
    "StoredConversation",
    "StoredMessage",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
