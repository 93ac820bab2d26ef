"""Export of a conversation: as Markdown or plain text its branch, as JSON all its messages. Knows no file.

`seallm_edge.chat.importing` reads the JSON, and that of other programs.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping

from .records import ConversationTree, StoredMessage

FORMAT = "seallm-edge conversation"
VERSION = 1
CONVERSATION_FIELDS = ("title", "created", "updated", "model", "system", "persona", "leaf", "context_start")
MESSAGE_FIELDS = ("id", "parent", "role", "content", "created", "state", "model", "figures")


def as_markdown(tree: ConversationTree) -> str:
    """Markdown of a conversation's branch: a heading for the title and one for each message."""
    conversation = tree.conversation
    about = " · ".join(filter(None, (_date(conversation.created), conversation.model)))
    system = [f"## System\n\n{conversation.system}"] if conversation.system else []
    messages = [f"## {_speaker(message)}\n\n{message.content}" for message in tree.branch]
    title = " ".join(tree.title.split()) or "Conversation"
    return "\n\n".join([f"# {title}", about, *system, *messages]) + "\n"


def as_text(tree: ConversationTree) -> str:
    """Plain text of a conversation's branch: each message after the name of its role."""
    system = [f"System: {tree.conversation.system}"] if tree.conversation.system else []
    return "\n\n".join([*system, *(f"{_speaker(message)}: {message.content}" for message in tree.branch)]) + "\n"


def as_json(tree: ConversationTree) -> str:
    """JSON object of a conversation with all its messages, which can be imported again."""
    conversation = {name: getattr(tree.conversation, name) for name in CONVERSATION_FIELDS}
    messages = [{name: getattr(message, name) for name in MESSAGE_FIELDS} for message in tree.messages]
    data = {"format": FORMAT, "version": VERSION, **conversation, "messages": messages}
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


# file name suffix → export
EXPORTS: Mapping[str, Callable[[ConversationTree], str]] = {"md": as_markdown, "txt": as_text, "json": as_json}


def _date(seconds: float) -> str:
    try:
        return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):  # a damaged history file
        return ""


def _speaker(message: StoredMessage) -> str:
    return message.role.capitalize() + ("" if message.state == "complete" else f" ({message.state})")
