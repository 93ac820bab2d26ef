"""Turns of the page, and the conversations that they make, read by its protocol."""

from __future__ import annotations

import json
from typing import Any

from .served import Served


def turn(served: Served, headers: dict[str, str] | None = None, **asked: Any) -> list[dict[str, Any]]:
    """Events of a turn."""
    status, _, body = served.request("POST", "/seallm/turns", asked, headers)
    assert status == 200, body
    return [json.loads(line[6:]) for line in body.decode().split("\n\n") if line.startswith("data: ")]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Types of events, each row of the same once."""
    names = [event["type"] for event in events]
    return [name for place, name in enumerate(names) if names[place - 1 : place] != [name]]


def text_of(events: list[dict[str, Any]]) -> str:
    """Text of the deltas."""
    return "".join(event["text"] for event in events if event["type"] == "delta")


def tree(served: Served, id_: str) -> dict[str, Any]:
    """Conversation with all its messages."""
    status, found = served.json("GET", f"/seallm/conversations/{id_}")
    assert status == 200
    return found


def branch(served: Served, id_: str) -> list[str]:
    """Texts of the branch where a conversation stands."""
    found = tree(served, id_)
    by_id = {one["id"]: one for one in found["messages"]}
    texts, at = [], by_id.get(found["leaf"])
    while at:
        texts.insert(0, at["content"])
        at = by_id.get(at["parent"])
    return texts
