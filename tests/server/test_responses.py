"""OpenAI's responses over HTTP: what is sent back from scripted replies."""

from __future__ import annotations

from typing import Any

import pytest

from support.served import scripted

PATH = "/v1/responses"
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True, "description": None}


def test_a_response_returns_what_it_was_asked_with() -> None:
    asked = {
        "input": "Halo",
        "tools": [TOOL, {"type": "web_search"}],
        "tool_choice": {"type": "function", "name": "weather"},
        "user": "u",
        "prompt_cache_key": "k",
        "metadata": {"a": "b"},
    }
    call = '<tool_call>\n{"name": "weather", "arguments": {}}\n</tool_call>'
    with scripted(call) as served:
        found = served.json("POST", PATH, asked)[1]
    assert found["tools"] == [TOOL]
    assert {key: found[key] for key in asked if key not in ("input", "tools")} == {
        key: value for key, value in asked.items() if key not in ("input", "tools")
    }
    assert (found["background"], found["truncation"], found["store"]) == (False, "disabled", False)
    assert found["output"][0]["name"] == "weather"
    details = found["usage"]["input_tokens_details"]
    assert details["cached_tokens"] + details["cache_write_tokens"] == found["usage"]["input_tokens"]


@pytest.mark.parametrize(
    ("form", "returned"),
    [
        (None, {"type": "text"}),
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "json_schema", "name": "any", "schema": {}, "strict": True},
            {"type": "json_schema", "name": "any", "schema": {}, "strict": True},
        ),
    ],
)
def test_a_response_returns_the_form_of_its_text(form: dict[str, Any] | None, returned: dict[str, Any]) -> None:
    with scripted("{}") as served:
        assert served.json("POST", PATH, {"input": "Halo", "text": {"format": form}})[1]["text"] == {"format": returned}


def test_a_response_may_be_asked_with_nothing() -> None:
    with scripted("Halo!") as served:
        assert served.json("POST", PATH, {})[1]["output"][0]["content"][0]["text"] == "Halo!"
        nulls = dict.fromkeys(("input", "text", "tools", "tool_choice", "metadata", "instructions", "user"))
        assert served.json("POST", PATH, nulls)[0] != 400


def test_tokens_of_an_input_are_counted() -> None:
    with scripted("Halo!") as served:
        status, found = served.json("POST", f"{PATH}/input_tokens", {"input": "Halo", "instructions": "Singkat."})
        usage = served.json("POST", PATH, {"input": "Halo", "instructions": "Singkat."})[1]["usage"]
    assert (status, found) == (200, {"object": "response.input_tokens", "input_tokens": usage["input_tokens"]})


@pytest.mark.parametrize("path", [PATH, f"{PATH}/input_tokens"])
@pytest.mark.parametrize("name", ["previous_response_id", "conversation"])
def test_stored_state_is_refused(path: str, name: str) -> None:
    with scripted() as served:
        status, found = served.json("POST", path, {"input": "Halo", name: "x_1"})
    message = f"{name} needs stored responses, and this server stores none; send the whole conversation as input"
    assert (status, found["error"]["message"], found["error"]["param"]) == (400, message, name)
