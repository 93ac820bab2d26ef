"""The page's protocol: turns as events, the history behind them, who may read it."""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPConnection
from typing import Any

import pytest
from starlette.requests import Request

from seallm_edge import EngineError, paths
from seallm_edge.chat import History
from seallm_edge.errors import HistoryError
from seallm_edge.server import ServerSettings
from seallm_edge.server.page.access import Histories
from seallm_edge.server.page.files import page_files
from seallm_edge.server.page.words import page_messages, words_file
from support.page_turns import branch, kinds, text_of, tree, turn
from support.served import scripted


def test_a_turn_begins_a_conversation_in_the_history_of_the_terminal() -> None:
    with scripted("Saya baik, apa kabar anda?") as served:
        events = turn(served, text="Apa kabar?")
    assert [kind for kind in kinds(events) if kind not in ("loading", "prefill")] == ["start", "delta", "end"]
    start, end = next(one for one in events if one["type"] == "start"), events[-1]
    assert [(one["role"], one["content"], one["parent"]) for one in start["messages"]] == [
        ("user", "Apa kabar?", None),
        ("assistant", "", start["messages"][0]["id"]),
    ]
    assert text_of(events) == end["message"]["content"] == "Saya baik, apa kabar anda?"
    assert (end["message"]["state"], end["message"]["lang"], end["finish_reason"]) == ("complete", "id", "stop")
    assert end["context"]["n_ctx"] == 8192
    with History() as history:
        stored = history.tree(start["conversation"])
    assert [one.content for one in stored.messages] == ["Apa kabar?", "Saya baik, apa kabar anda?"]


def test_a_conversation_tells_its_context_once_the_model_is_in_memory() -> None:
    with scripted("Halo!") as served:
        end = turn(served, text="Hi")[-1]
        assert tree(served, end["conversation"])["context"] == end["context"]
    with scripted("Halo!") as served:
        assert tree(served, end["conversation"])["context"] is None


def test_a_conversation_goes_on_and_branches() -> None:
    with scripted("A", "B", "C", "D", "E") as served:
        first = turn(served, text="1")[-1]
        id_, leaf = first["conversation"], first["message"]["id"]
        second = turn(served, conversation=id_, message=leaf, text="2")[-1]
        assert branch(served, id_) == ["1", "A", "2", "B"]
        turn(served, action="retry", conversation=id_, message=second["message"]["parent"])
        assert branch(served, id_) == ["1", "A", "2", "C"]
        turn(served, action="edit", conversation=id_, message=first["message"]["parent"], text="1b")
        assert branch(served, id_) == ["1b", "D"]
        assert served.json("PATCH", f"/seallm/conversations/{id_}", {"leaf": second["message"]["id"]})[0] == 200
        assert branch(served, id_) == ["1", "A", "2", "B"]
        turn(served, conversation=id_, text="anew")
        assert branch(served, id_) == ["anew", "E"]


def test_a_reply_that_was_cut_is_continued_in_place() -> None:
    with scripted("Satu dua", " tiga empat") as served:
        cut = turn(served, text="Hitung", sampling={"max_tokens": 5})[-1]
        assert (cut["message"]["content"], cut["finish_reason"]) == ("Satu ", "length")
        events = turn(served, action="continue", conversation=cut["conversation"], message=cut["message"]["id"])
        start = next(one for one in events if one["type"] == "start")
        assert start["messages"][1]["content"] == "Satu "
        assert events[-1]["message"]["content"] == "Satu  tiga empat"
        assert events[-1]["message"]["id"] == cut["message"]["id"]


def test_a_client_that_goes_away_ends_the_reply_and_its_text_is_kept() -> None:
    with scripted("x" * 4000, settings=ServerSettings(port=0), delay=0.005) as served:
        connection = HTTPConnection("127.0.0.1", served.port, timeout=30)
        connection.request("POST", "/seallm/turns", json.dumps({"text": "Hi"}))
        response = connection.getresponse()
        seen = b""
        while seen.count(b'"delta"') < 5:
            seen += response.read1(200)
        connection.sock.close()
        connection.close()
        response.close()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            (one,) = served.json("GET", "/seallm/conversations")[1]["conversations"]
            reply = tree(served, one["id"])["messages"][-1]
            if reply["state"] == "cut":
                break
            time.sleep(0.05)
    assert reply["state"] == "cut"
    assert 5 <= len(reply["content"]) < 4000


def test_one_reply_of_a_conversation_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seallm_edge.server.page.turns._STOP_SECONDS", 0.0)
    with scripted("A", "x" * 400, "C", delay=0.005) as served:
        end = turn(served, text="1")[-1]
        id_, leaf = end["conversation"], end["message"]["id"]
        asked = {"conversation": id_, "message": leaf, "text": "2"}
        other = threading.Thread(target=turn, args=(served,), kwargs=asked)
        other.start()
        while all(one["content"] != "2" for one in tree(served, id_)["messages"]):
            time.sleep(0.02)
        status, _, body = served.request("POST", "/seallm/turns", {"action": "continue", "conversation": id_})
        other.join()
    assert (status, json.loads(body)["error"]["code"]) == (409, "reply_under_way")


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"text": " "}, 400, "the message is empty"),
        ({"action": "jump"}, 400, "action"),
        ({"text": 5}, 400, "text"),
    ],
)
def test_what_is_no_turn_is_refused_with_the_field(asked: dict[str, Any], status: int, words: str) -> None:
    with scripted() as served:
        found, body = served.json("POST", "/seallm/turns", asked)
    assert found == status
    assert words in body["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({"text": "Hi", "conversation": "nope"}, "conversation_not_found", "nope"),
        ({"text": "Hi", "model": "../../etc/passwd"}, "model_not_found", "passwd"),
        ({"text": "Hi", "persona": "nobody"}, "invalid_value", "nobody"),
        ({"text": "Hi", "sampling": {"temperature": -1}}, "invalid_value", "temperature"),
        ({"text": "Hi"}, "engine_error", "no memory left"),
        ({"action": "retry"}, "invalid_value", "needs a message"),
    ],
)
def test_what_fails_later_is_the_last_event_and_stores_nothing(asked: dict[str, Any], code: str, words: str) -> None:
    with scripted(EngineError("no memory left")) as served:
        error = turn(served, **asked)[-1]
        assert (error["type"], error["code"]) == ("error", code)
        assert words in error["message"]
        assert served.json("GET", "/seallm/conversations")[1] == {"conversations": [], "is_all": True}


def test_conversations_are_found_renamed_exported_imported_and_removed() -> None:
    with scripted("ជំរាបសួរ") as served:
        id_ = turn(served, text="Xin chào Việt Nam")[-1]["conversation"]
        match = served.json("GET", "/seallm/conversations?search=vi%E1%BB%87t")[1]["matches"]
        assert [(one["id"], one["snippet"], one["lang"]) for one in match] == [(id_, "Xin chào Việt Nam", "vi")]
        renamed = served.json("PATCH", f"/seallm/conversations/{id_}", {"title": "Lời chào"})[1]
        assert renamed["title"] == "Lời chào"
        status, headers, body = served.request("GET", f"/seallm/conversations/{id_}/export?format=md")
        assert (status, headers["content-type"]) == (200, "text/markdown; charset=utf-8")
        assert headers["content-disposition"] == "attachment; filename*=UTF-8''L%E1%BB%9Di%20ch%C3%A0o.md"
        assert "ជំរាបសួរ" in body.decode()
        assert served.request("GET", f"/seallm/conversations/{id_}/export?format=exe")[0] == 400
        everything = served.request("GET", "/seallm/export")[2]
        assert served.json("DELETE", f"/seallm/conversations/{id_}")[0] == 200
        assert served.json("GET", "/seallm/conversations")[1]["conversations"] == []
        (new,) = served.json("POST", "/seallm/conversations", everything)[1]["ids"]
        assert branch(served, new) == ["Xin chào Việt Nam", "ជំរាបសួរ"]
        assert served.json("POST", "/seallm/conversations", b"{")[0] == 400
        assert served.json("DELETE", "/seallm/conversations/none")[0] == 404


def test_a_long_title_makes_no_long_file_name() -> None:
    with scripted("A") as served:
        id_ = turn(served, text="1")[-1]["conversation"]
        served.json("PATCH", f"/seallm/conversations/{id_}", {"title": "\u202eก" * 40_000})
        status, headers, _ = served.request("GET", f"/seallm/conversations/{id_}/export?format=txt")
        assert status == 200
        assert headers["content-disposition"] == "attachment; filename*=UTF-8''" + "%E0%B8%81" * 40 + ".txt"


def test_documents_are_read_without_a_file() -> None:
    with scripted() as served:
        found = served.json("POST", "/seallm/documents?name=../../nota.txt", "Halo\n".encode("utf-16"))[1]
        assert (found["name"], found["part"]) == ("nota.txt", "Document nota.txt:\n```\nHalo\n```\n")
        status, refused = served.json("POST", "/seallm/documents?name=a.png", b"\x89PNG\r\n\x1a\n0000")
        assert (status, "PNG" in refused["error"]["message"]) == (400, True)
        assert served.json("POST", "/seallm/documents?name=a.txt", b"")[0] == 400


def test_the_state_names_models_personas_and_languages() -> None:
    with scripted("Hi") as served:
        turn(served, text="1")
        state = served.json("GET", "/seallm/state")[1]
    (model,) = state["models"]
    assert (model["name"], model["is_loaded"], model["problem"], state["default"]) == ("scripted", True, "", "scripted")
    assert len(state["languages"]) == 12
    assert state["languages"][7] == {"code": "my", "name": "မြန်မာ"}
    assert "th" in state["personas"]


def test_a_browser_gets_the_page_and_ollamas_clients_their_greeting() -> None:
    with scripted() as served:
        status, headers, body = served.request("GET", "/", headers={"Accept": "text/html,*/*"})
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert b"<script>" not in body
        assert served.request("GET", "/")[2] == b"Ollama is running"
        again = served.request("GET", "/page/main.js", headers={"If-None-Match": page_files()["main.js"].tag})
        assert (again[0], again[2]) == (304, b"")
        for name in ("../turns.py", "..%2fturns.py", "nothing.js", "words/xx.json", "words/..%2f..%2fx.json"):
            assert served.request("GET", f"/page/{name}")[0] == 404


def test_files_of_the_page_are_small() -> None:
    assert {"index.html", "main.js", "style.css", "sw.js", "icon.svg", "seallm.webmanifest"} <= set(page_files())
    assert sum(len(file.data) for file in page_files().values()) < 300_000


def test_the_words_of_the_page_are_those_of_the_catalogues() -> None:
    assert len(page_messages()) > 50
    assert json.loads(words_file("en").data) == {}
    assert set(json.loads(words_file("th").data)) <= set(page_messages())


def test_the_page_needs_no_key_and_conversations_do() -> None:
    key = {"Authorization": "Bearer 0123456789"}
    with scripted("Hi", settings=ServerSettings(port=0, key="0123456789")) as served:
        assert served.request("GET", "/", headers={"Accept": "text/html"})[0] == 200
        assert served.request("GET", "/page/main.js")[0] == 200
        assert served.request("GET", "/seallm/state")[0] == 401
        assert served.request("POST", "/seallm/turns", {"text": "Hi"})[0] == 401
        assert turn(served, key, text="Hi")[-1]["type"] == "end"


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://localhost:3000"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)
def test_another_page_of_this_computer_reads_no_conversation(headers: dict[str, str]) -> None:
    with scripted("Hi") as served:
        assert served.request("GET", "/seallm/conversations", headers=headers)[0] == 403
        assert served.request("POST", "/seallm/turns", {"text": "Hi"}, headers)[0] == 403
        own = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
        assert served.request("GET", "/seallm/conversations", headers=own)[0] == 200


def test_behind_a_proxy_of_this_computer_guests_are_told_apart() -> None:
    with scripted() as served:
        for forwarded, is_guest in ((None, False), ("192.168.1.9", True), ("127.0.0.1, 192.168.1.9", True)):
            headers = {"X-Forwarded-For": forwarded} if forwarded else {}
            assert served.json("GET", "/seallm/state", headers=headers)[1]["is_guest"] is is_guest


def request_from(address: str) -> Request:
    return Request({"type": "http", "headers": [], "client": (address, 1), "path": "/", "method": "GET"})


@pytest.mark.parametrize(
    ("address", "shares", "is_guest"),
    [
        ("127.0.0.1", False, False),
        ("::1", False, False),
        ("192.168.1.20", False, True),
        ("fe80::1", False, True),
        ("192.168.1.20", True, False),
    ],
)
def test_a_browser_elsewhere_has_a_history_apart(address: str, shares: bool, is_guest: bool) -> None:
    settings = ServerSettings(host="0.0.0.0", key="0123456789", shares_history=shares)
    histories = Histories(settings)
    history = histories.of(request_from(address))
    assert history.file == (paths.guest_history_file() if is_guest else paths.history_file())
    histories.close()
    with pytest.raises(HistoryError):
        history.conversations()
