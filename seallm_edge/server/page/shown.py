"""Conversations, messages and models as the page's JSON has them."""

from __future__ import annotations

from typing import Any

from ...chat import ContextBudget, ConversationSummary, ConversationTree, Match, StoredMessage
from ...chat.prompt_window import PromptWindow
from ...llm import SeaLLM
from ...text.languages import detect_language


def conversation(tree: ConversationTree) -> dict[str, Any]:
    """Conversation with all its messages."""
    about = tree.conversation
    return {
        "id": about.id,
        "title": tree.title,
        "model": about.model,
        "persona": about.persona,
        "system": about.system,
        "leaf": about.leaf,
        "context_start": about.context_start,
        "messages": [message(one) for one in tree.messages if one.content],
    }


def context(tree: ConversationTree, llm: SeaLLM) -> dict[str, int]:
    """Tokens of the prompt that a branch makes, of those of the context."""
    messages = tree.branch
    start = next((place for place, one in enumerate(messages) if one.id == tree.conversation.context_start), 0)
    report = PromptWindow(llm, ContextBudget(), tree.conversation.system).report(messages, start)
    return {"tokens": report.n_tokens, "n_ctx": report.n_ctx}


def message(one: StoredMessage) -> dict[str, Any]:
    """Message, with its language for the browser's fonts and line breaks."""
    return {
        "id": one.id,
        "parent": one.parent,
        "role": one.role,
        "content": one.content,
        "created": one.created,
        "state": one.state,
        "finish_reason": (one.figures or {}).get("finish_reason"),
        "model": one.model,
        "lang": language(one.content),
    }


def summary(one: ConversationSummary) -> dict[str, Any]:
    """Entry of the list of conversations."""
    return {"id": one.id, "title": one.title, "updated": one.updated, "model": one.model}


def match(one: Match) -> dict[str, Any]:
    """Message found by a search."""
    return {
        "id": one.conversation,
        "title": one.title,
        "message": one.message,
        "role": one.role,
        "snippet": one.snippet,
        "lang": language(one.snippet),
    }


def language(text: str) -> str:
    """ISO 639-1 code of a text's language; "" if it is not known."""
    found = detect_language(text)
    return found.code if found else ""
