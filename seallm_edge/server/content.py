"""Contents and roles of messages as the protocols share them: a text, or parts of which only texts are read."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from .problems import RequestRefused

_ROLES = {"developer": "system"}


class ContentPart(Struct, kw_only=True):
    """Part of a message's content; only text is understood."""

    type: str
    text: str | None = None


def role_of(role: str) -> str:
    """Our role for a protocol's."""
    return _ROLES.get(role, role)


def text_of(content: str | Sequence[ContentPart] | None) -> str:
    """Text of a message's content. Raises RequestRefused for parts that are no text."""
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.text is None:
            raise RequestRefused(
                400, "unsupported_content", f"a message has a part of type {part.type!r:.40}", "send text only",
                param="messages",
            )  # fmt: skip
    return "".join(part.text or "" for part in content)
