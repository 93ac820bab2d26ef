"""Anthropic's protocol over HTTP: models, how a reply ended, forms, counts; from scripted replies."""

from __future__ import annotations

import json
from typing import Any

from support.served import Served, scripted

PATH = "/v1/messages"
VERSION = {"anthropic-version": "2023-06-01"}


def asking(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Halo"}], "max_tokens": 20, **fields}


def events(served: Served, body: dict[str, Any]) -> list[dict[str, Any]]:
    data = served.request("POST", PATH, body | {"stream": True})[2].decode()
    return [json.loads(part.partition("data: ")[2]) for part in data.split("\n\n") if part]


def test_models_have_this_protocols_form_where_its_version_is_named() -> None:
    model = {
        "id": "scripted",
        "type": "model",
        "display_name": "scripted",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "capabilities": None,
        "line": None,
        "max_input_tokens": None,
        "max_tokens": None,
    }
    with scripted() as served:
        page = {"data": [model], "has_more": False, "first_id": "scripted", "last_id": "scripted"}
        assert served.json("GET", "/v1/models", headers=VERSION) == (200, page)
        assert served.json("GET", "/v1/models/scripted", headers=VERSION) == (200, model)
        assert served.json("GET", "/v1/models")[1]["object"] == "list"


def test_a_stop_sequence_is_named() -> None:
    with scripted("Satu, dua. Tiga", "Satu, dua. Tiga", "Satu") as served:
        whole = served.json("POST", PATH, asking(stop_sequences=["Tiga", "dua"]))[1]
        last = events(served, asking(stop_sequences=["Tiga", "dua"]))[-2]
        plain = served.json("POST", PATH, asking(stop_sequences=["Tiga", "dua"]))[1]
    end = {"stop_reason": "stop_sequence", "stop_sequence": "dua"}
    assert whole["content"] == [{"type": "text", "text": "Satu, "}]
    assert {key: whole[key] for key in end} == end
    assert (last["type"], last["delta"]) == ("message_delta", end)
    assert (plain["stop_reason"], plain["stop_sequence"]) == ("end_turn", None)


def test_tokens_from_the_cache_are_counted_apart() -> None:
    with scripted("Halo!") as served:
        whole = served.json("POST", PATH, asking())[1]
        counted = served.json("POST", f"{PATH}/count_tokens", asking())[1]
    usage = whole["usage"]
    assert set(usage) == {"input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"}
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] == counted["input_tokens"]


def test_a_stream_begins_with_the_tokens_of_the_prompt() -> None:
    with scripted("Halo!") as served:
        first = events(served, asking())[0]
        counted = served.json("POST", f"{PATH}/count_tokens", asking())[1]["input_tokens"]
    assert (first["type"], first["message"]["usage"]) == (
        "message_start",
        {"input_tokens": counted, "output_tokens": 0},
    )
    assert counted > 0


def test_a_form_of_the_output_is_a_schema() -> None:
    form = {"effort": "low", "format": {"type": "json_schema", "schema": 5}}
    with scripted("{}") as served:
        status, found = served.json("POST", PATH, asking(output_config=form))
        assert (status, found["error"]["message"]) == (
            400,
            "output_config.format.schema: expected object, got int",
        )
        wrong = {"format": {"type": "json_schema", "schema": {"type": "nothing"}}}
        status, found = served.json("POST", PATH, asking(output_config=wrong))
        assert (status, "schema" in found["error"]["message"]) == (400, True)


def test_thoughts_of_earlier_messages_are_left_out() -> None:
    blocks = [{"type": "thinking", "thinking": "Hmm", "signature": "x"}, {"type": "text", "text": "Hai"}]
    messages = [*asking()["messages"], {"role": "assistant", "content": blocks}, {"role": "user", "content": "Lagi"}]
    prompts: list[str] = []

    def reply(prompt: str) -> str:
        prompts.append(prompt)
        return "Ya."

    with scripted(reply) as served:
        assert served.json("POST", PATH, asking(messages=messages))[0] == 200
    assert "<|im_start|>assistant\nHai<|im_end|>" in prompts[0]
    assert "Hmm" not in prompts[0]


def test_optional_fields_may_be_null() -> None:
    fields = ("system", "tools", "tool_choice", "output_config", "stop_sequences", "temperature", "top_p", "top_k")
    with scripted("Halo!") as served:
        assert served.json("POST", PATH, asking(**dict.fromkeys(fields)))[0] == 200
