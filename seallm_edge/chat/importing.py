"""Import of conversations from JSON: our own export, ChatGPT's, Open WebUI's, and messages as in OpenAI's API.

Everything is checked before anything is stored: `History.insert(conversations_from_json(data))` stores all or nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from .exporting import FORMAT, VERSION
from .fields import Fields, import_error, shown
from .records import STATES, ConversationTree, Role, State
from .tree_builder import ImportedMessage, TreeBuilder

# role in a file → ours; None for messages between the model and its tools, which are left out
_ROLES: Mapping[str, Role | None] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": None,
    "function": None,
}


def conversations_from_json(data: str | bytes) -> list[ConversationTree]:
    """Conversations in a JSON text: an object or a list of objects, of any of the formats. Raises HistoryError.

    Messages without text, such as calls of tools, are left out; what follows them follows the message before.
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data.removeprefix("\ufeff")
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise import_error("the file", "is nested too deeply") from error
    except ValueError as error:
        raise import_error("the file", f"is no JSON: {error}") from error
    if isinstance(value, list) and value and isinstance(value[0], dict) and "role" in value[0]:
        value = {"messages": value}
    values = value if isinstance(value, list) else [value]
    return [_conversation(Fields(one, f"conversation {number}")) for number, one in enumerate(values, 1)]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _conversation(fields: Fields) -> ConversationTree:
    for name, read in _FORMATS.items():
        if name in fields:
            return read(fields)
    raise fields.error(f"has none of the fields {', '.join(_FORMATS)}")


def _from_ours(fields: Fields) -> ConversationTree:
    if (fields.text("format"), fields["version"]) != (FORMAT, VERSION):
        raise fields.error(f"has the format {shown(fields['format'])}, version {shown(fields['version'])}")
    tree = TreeBuilder(
        fields,
        title=fields.maybe_text("title"),
        created=fields.time("created"),
        updated=fields.time("updated"),
        model=fields.maybe_text("model"),
        system=fields.maybe_text("system"),
        persona=fields.maybe_text("persona"),
    )
    for number, one in enumerate(fields.list("messages"), 1):
        message = Fields(one, f"{fields.where}, message {number}")
        figures = message["figures"]
        if figures is not None and not isinstance(figures, dict):
            raise message.wrong("figures", "an object")
        tree.add(
            message["id"],
            message["parent"],
            ImportedMessage(
                _role(message, "role"),
                message.text("content"),
                message.time("created"),
                _state(message),
                message.maybe_text("model"),
                figures,
            ),
        )
    return tree.finish(leaf=fields["leaf"], context_start=fields["context_start"])


def _from_chatgpt(fields: Fields) -> ConversationTree:
    created = fields.time("create_time", time.time())
    tree = TreeBuilder(
        fields,
        title=fields.maybe_text("title"),
        created=created,
        updated=fields.time("update_time", created),
        model=fields.maybe_text("default_model_slug"),
    )
    for key, node in fields.object("mapping").items():
        where = Fields(node, f"{fields.where}, message {shown(key)}")
        tree.add(key, where["parent"], _chatgpt_message(where, created))
    return tree.finish(leaf=fields["current_node"] or tree.last)


def _chatgpt_message(node: Fields, created: float) -> ImportedMessage | None:
    if node["message"] is None:
        return None
    message = node.object("message")
    role = _role(message.object("author"), "role")
    content = _joined(message.object("content"), "parts")
    if not content or message["recipient"] not in (None, "all"):  # a call of a tool
        return None
    model = message.object("metadata", optional=True).maybe_text("model_slug")
    return ImportedMessage(role, content, message.time("create_time", created), model=model)


def _from_open_webui(fields: Fields) -> ConversationTree:
    chat = fields.object("chat")
    created = fields.time("created_at", chat.time("timestamp", time.time()))
    models = [model for model in chat.list("models", optional=True) if isinstance(model, str)]
    tree = TreeBuilder(
        chat,
        title=chat.maybe_text("title") or fields.maybe_text("title"),
        created=created,
        updated=fields.time("updated_at", created),
        model=models[0] if models else None,
    )
    history = chat.object("history")
    for key, value in history.object("messages").items():
        message = Fields(value, f"{chat.where}, message {shown(key)}")
        tree.add(key, message["parentId"] or None, _plain_message(message, message.time("timestamp", created)))
    return tree.finish(leaf=history["currentId"] or tree.last)


def _from_openai(fields: Fields) -> ConversationTree:
    now = time.time()
    messages = [
        _plain_message(Fields(one, f"{fields.where}, message {number}"), now)
        for number, one in enumerate(fields.list("messages"), 1)
    ]
    system = messages.pop(0) if messages and messages[0] and messages[0].role == "system" else None
    tree = TreeBuilder(
        fields,
        title=fields.maybe_text("title"),
        created=now,
        updated=now,
        model=fields.maybe_text("model"),
        system=system.content if system else None,
    )
    for number, message in enumerate(messages, 1):
        tree.add(number, number - 1 or None, message)
    return tree.finish(leaf=tree.last)


# field by which a format is recognised → its reader
_FORMATS: Mapping[str, Callable[[Fields], ConversationTree]] = {
    "format": _from_ours,
    "mapping": _from_chatgpt,
    "chat": _from_open_webui,
    "messages": _from_openai,
}


def _plain_message(fields: Fields, created: float) -> ImportedMessage | None:
    """Message with `role` and `content`; None if it has no text."""
    role = _role(fields, "role")
    content = _joined(fields, "content")
    return None if content is None else ImportedMessage(role, content, created, model=fields.maybe_text("model"))


def _role(fields: Fields, name: str) -> Role | None:
    role = fields.text(name)
    if role not in _ROLES:
        raise fields.error(f"has the role {shown(role)}; the roles are {', '.join(_ROLES)}")
    return _ROLES[role]


def _state(fields: Fields) -> State:
    state = fields.text("state")
    if state not in STATES:
        raise fields.error(f"has the state {shown(state)}; the states are {', '.join(STATES)}")
    return "cut" if state == "streaming" else cast(State, state)  # nobody streams it here


def _joined(fields: Fields, name: str) -> str | None:
    """Text of a field that holds a text, or a list of texts and of objects with a text; None without any."""
    value: Any = fields[name]
    if value is None or isinstance(value, str):
        return value
    parts = [part.get("text") if isinstance(part, dict) else part for part in fields.list(name)]
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts) if texts else None
