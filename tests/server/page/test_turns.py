"""Turns of the page: which are refused, and what a conversation keeps of those that fail."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from seallm_edge.chat import History
from seallm_edge.errors import HistoryUnavailable
from support.page_turns import branch, tree, turn
from support.served import Served, scripted


def id_of_streaming(served: Served) -> str:
    """Id of the only conversation, once its reply has text."""
    found: list[dict[str, Any]] = []
    while not found or len(tree(served, found[0]["id"])["messages"]) < 2:
        time.sleep(0.02)
        found = served.json("GET", "/seallm/conversations")[1]["conversations"]
    return str(found[0]["id"])


def test_a_new_conversation_has_one_reply_at_a_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seallm_edge.server.page.turns._STOP_SECONDS", 0.0)
    with scripted("x" * 400, "B", delay=0.005) as served:
        other = threading.Thread(target=turn, args=(served,), kwargs={"text": "1"})
        other.start()
        id_ = id_of_streaming(served)
        status, body = served.json("POST", "/seallm/turns", {"conversation": id_, "text": "2"})
        other.join()
        assert (status, body["error"]["code"]) == (409, "reply_under_way")
        assert turn(served, conversation=id_, text="2")[-1]["type"] == "end"


def test_a_turn_waits_for_one_that_ends() -> None:
    with scripted("x" * 100, "B", delay=0.005) as served:
        other = threading.Thread(target=turn, args=(served,), kwargs={"text": "1"})
        other.start()
        id_ = id_of_streaming(served)
        asked = {"conversation": id_, "message": tree(served, id_)["leaf"], "text": "2"}
        assert turn(served, **asked)[-1]["type"] == "end"
        other.join()
        assert branch(served, id_) == ["1", "x" * 100, "2", "B"]


@pytest.mark.parametrize("action", ["say", "edit", "retry", "continue"])
def test_messages_of_other_conversations_are_refused(action: str) -> None:
    with scripted("A", "B", "C") as served:
        one, other = turn(served, text="1")[-1], turn(served, text="2")[-1]
        asked = {"action": action, "conversation": one["conversation"], "text": "3"}
        foreign = other["message"]["id" if action in ("say", "continue") else "parent"]
        error = turn(served, **asked, message=foreign)[-1]
        assert (error["status"], error["code"]) == (400, "history_error")
        assert branch(served, one["conversation"]) == ["1", "A"]
        status, body = served.json("PATCH", f"/seallm/conversations/{one['conversation']}", {"leaf": foreign})
        assert (status, body["error"]["code"]) == (400, "history_error")


@pytest.mark.parametrize("action", ["edit", "retry", "continue"])
def test_a_message_without_its_conversation_is_refused(action: str) -> None:
    with scripted("A", "B") as served:
        message = turn(served, text="1")[-1]["message"]
        error = turn(served, action=action, message=message["id"], text="2")[-1]
        assert error["message"] == f"to {action} needs a message of a conversation; give the ids of both"
        assert len(served.json("GET", "/seallm/conversations")[1]["conversations"]) == 1


def test_a_reply_is_not_edited() -> None:
    with scripted("A", "B") as served:
        end = turn(served, text="1")[-1]
        id_, message = end["conversation"], end["message"]["id"]
        error = turn(served, action="edit", conversation=id_, message=message, text="2")[-1]
        assert error["message"] == f"message {message} is a reply; edit a message of the user"
        assert branch(served, id_) == ["1", "A"]


def test_a_turn_that_fails_leaves_the_conversation_where_it_stood() -> None:
    with scripted("A", "B") as served:
        first = turn(served, text="1")[-1]
        id_ = first["conversation"]
        turn(served, conversation=id_, message=first["message"]["id"], text="2")
        asked = {"action": "edit", "conversation": id_, "message": first["message"]["parent"], "text": "x" * 40_000}
        assert turn(served, **asked)[-1]["code"] == "context_length_exceeded"
        assert branch(served, id_) == ["1", "A", "2", "B"]


class FullDisk(History):
    """History whose disk is full while `is_full`."""

    is_full = False

    def _refused(self) -> None:
        if FullDisk.is_full:
            raise HistoryUnavailable("the disk is full")

    def create(self, *arguments: Any, **options: Any) -> str:
        self._refused()
        return super().create(*arguments, **options)

    def add_message(self, *arguments: Any, **options: Any) -> int:
        self._refused()
        return super().add_message(*arguments, **options)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_conversation_whose_file_fails_goes_on_and_is_stored_once_it_can_be(
    monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    monkeypatch.setattr("seallm_edge.server.page.access.History", FullDisk)
    monkeypatch.setattr("seallm_edge.chat.branch._RETRY_SECONDS", 0.0)
    monkeypatch.setattr(FullDisk, "is_full", is_new)
    with scripted("A", "B", "C") as served:
        first = turn(served, text="1")[-1]
        monkeypatch.setattr(FullDisk, "is_full", True)
        events = turn(served, conversation=first["conversation"], message=first["message"]["id"], text="2")
        second = events[-1]
        assert branch(served, second["conversation"]) == ["1", "A", "2", "B"]
        assert "NotSaved" in [event["kind"] for event in events if event["type"] == "notice"] or is_new
        monkeypatch.setattr(FullDisk, "is_full", False)
        third = turn(served, conversation=second["conversation"], message=second["message"]["id"], text="3")[-1]
        assert branch(served, third["conversation"]) == ["1", "A", "2", "B", "3", "C"]
    with History() as history:
        assert [one.content for one in history.tree(third["conversation"]).branch] == ["1", "A", "2", "B", "3", "C"]


def test_what_could_not_be_stored_is_stored_when_the_server_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seallm_edge.server.page.access.History", FullDisk)
    monkeypatch.setattr(FullDisk, "is_full", True)
    with scripted("A") as served:
        turn(served, text="1")
        monkeypatch.setattr(FullDisk, "is_full", False)
    with History() as history:
        (one,) = history.conversations()
        assert [message.content for message in history.tree(one.id).branch] == ["1", "A"]
