"""OpenAI's chat over HTTP: what is sent back, byte for byte where it matters, from scripted replies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seallm_edge.errors import EngineError
from seallm_edge.server import ServerSettings
from support.served import Served, scripted

PATH = "/v1/chat/completions"


def asking(text: str = "Halo", **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **fields}


def chunks(served: Served, body: dict[str, Any], path: str = PATH) -> list[dict[str, Any]]:
    status, headers, data = served.request("POST", path, body | {"stream": True})
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    lines = [line for line in data.decode().split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_a_whole_reply_has_every_field() -> None:
    with scripted("Halo!") as served:
        status, found = served.json("POST", PATH, asking())
    assert status == 200
    assert found["object"] == "chat.completion"
    assert found["model"] == "scripted"
    assert found["id"].startswith("chatcmpl-")
    assert found["system_fingerprint"].startswith("seallm-edge-")
    message = {"role": "assistant", "content": "Halo!", "refusal": None}
    assert found["choices"] == [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    usage = found["usage"]
    assert usage["completion_tokens"] == 5
    assert usage["total_tokens"] == usage["prompt_tokens"] + 5


def test_a_stream_begins_with_the_role_and_ends_with_the_reason_and_the_usage() -> None:
    with scripted("สวัสดีครับ") as served:
        found = chunks(served, asking(stream_options={"include_usage": True}))
    assert len({chunk["id"] for chunk in found}) == 1
    assert found[0]["choices"][0]["delta"] == {"role": "assistant"}
    texts = [chunk["choices"][0]["delta"].get("content") for chunk in found[1:-2]]
    assert "".join(texts) == "สวัสดีครับ"
    assert all(texts)
    assert found[-2]["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["completion_tokens"] == len("สวัสดีครับ".encode())


def test_several_choices_come_as_they_are_decoded() -> None:
    with scripted("Satu.", "Dua.") as served:
        found = chunks(served, asking(n=2))
        texts = {0: "", 1: ""}
        for chunk in found:
            choice = chunk["choices"][0]
            texts[choice["index"]] += choice["delta"].get("content", "")
        assert texts == {0: "Satu.", 1: "Dua."}
        assert [chunk["choices"][0]["finish_reason"] for chunk in found].count("stop") == 2


def test_an_error_in_the_middle_of_a_stream_is_its_last_event() -> None:
    with scripted(EngineError("llama.cpp failed")) as served:
        status, _, data = served.request("POST", PATH, asking(stream=True))
    assert status == 200
    error = json.loads(data.decode().strip().split("\n\n")[-1].removeprefix("data: "))
    fields = {"message": "llama.cpp failed", "type": "server_error", "param": None, "code": "engine_error"}
    assert error == {"error": fields}


def test_a_prompt_that_is_too_long_is_400_with_both_numbers() -> None:
    with scripted("Halo!") as served:
        for extra in ({}, {"stream": True}):
            status, found = served.json("POST", PATH, asking("a" * 9000, **extra))
            assert (status, found["error"]["code"]) == (400, "context_length_exceeded")
            assert "tokens" in found["error"]["message"]
            assert "the context holds 8,192" in found["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "message", "param"),
    [
        ({"temperature": "hot"}, "temperature: expected float | null, got str", "temperature"),
        ({"messages": "Halo"}, "messages: expected array, got str", "messages"),
        ({"messages": [{"content": "Halo"}]}, "messages[0]: object missing required field role", "messages[0]"),
        ({"temperature": -1}, "temperature is -1.0; give a number from 0 to 100", None),
        ({"n": 65}, "n is 65; give a whole number from 1 to 64", None),
        ({"max_tokens": -1}, "max_tokens is -1; give a number from 0 to 1,073,741,824", None),
        (
            {"messages": [{"role": "king", "content": ""}]},
            "a message has the role 'king'; the roles are system, user, assistant",
            None,
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "a message has a part of type 'image_url'; send text only",
            "messages",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            'response_format has no schema; give "json_schema": {"schema": {…}}',
            "response_format.json_schema.schema",
        ),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], message: str, param: str | None) -> None:
    with scripted("Halo!") as served:
        status, found = served.json("POST", PATH, asking() | fields)
    assert (status, found["error"]["message"], found["error"]["param"]) == (400, message, param)


def test_an_unknown_model_is_404() -> None:
    with scripted("Halo!") as served:
        status, found = served.json("POST", PATH, asking(model="scirpted"))
    message = "no model named 'scirpted'; did you mean 'scripted'?; see them all: GET /v1/models"
    assert (status, found["error"]["message"]) == (404, message)
    assert found["error"]["code"] == "model_not_found"


def test_roles_parts_and_unknown_fields_of_clients_are_understood() -> None:
    prompts: list[str] = []

    def reply(prompt: str) -> str:
        prompts.append(prompt)
        return "Halo!"

    with scripted(reply, reply) as served:
        messages = [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Ha"}, {"type": "text", "text": "lo"}]},
        ]
        assert (
            served.json("POST", PATH, {"messages": messages, "seed": -1, "user": "x", "service_tier": "auto"})[0] == 200
        )
        begun = [*messages, {"role": "assistant", "content": "Hai, "}]
        assert (
            served.json("POST", PATH, {"messages": begun, "max_completion_tokens": 3})[1]["choices"][0]["finish_reason"]
            == "length"
        )
    assert prompts[0].startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHalo<|im_end|>\n")
    assert prompts[1].endswith("<|im_start|>assistant\nHai, ")


def test_several_prompts_are_decoded_together() -> None:
    with scripted("Satu.", "Dua.", "Tiga.", "Empat.") as served:
        body = {"prompt": ["a", "b"], "n": 2, "max_tokens": 50}
        found = served.json("POST", "/v1/completions", body)[1]
    assert [(choice["index"], choice["text"]) for choice in found["choices"]] == [
        (0, "Satu."), (1, "Dua."), (2, "Tiga."), (3, "Empat."),
    ]  # fmt: skip
    assert found["usage"]["prompt_tokens"] == 2


def test_a_path_that_there_is_not_is_404_in_the_protocols_form() -> None:
    with scripted(settings=ServerSettings(port=0)) as served:
        assert served.json("GET", "/v1/nothing")[1]["error"]["message"] == "there is no GET /v1/nothing"
        assert served.json("GET", "/api/nothing") == (404, {"error": "there is no GET /api/nothing"})
