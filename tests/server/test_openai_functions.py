"""OpenAI's earlier form of tools, and fields of its requests that become options."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.server.generation import bias_of
from seallm_edge.server.ollama_replies import sampling_of as ollama_sampling
from seallm_edge.server.ollama_types import OllamaOptions
from seallm_edge.server.openai_options import sampling_of
from seallm_edge.server.openai_types import ChatRequest
from support.served import scripted

PATH = "/v1/chat/completions"
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Huế"}}\n</tool_call>'
CALLED = {"name": "weather", "arguments": '{"city": "Huế"}'}


def asking(**fields: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    functions = [{"name": "weather", "description": "Weather", "parameters": parameters}]
    return {"messages": [{"role": "user", "content": "Halo"}], "functions": functions, **fields}


def test_functions_are_called_in_their_own_form() -> None:
    with scripted(CALL, CALL) as served:
        choice = served.json("POST", PATH, asking(function_call={"name": "weather"}))[1]["choices"][0]
        data = served.request("POST", PATH, asking(stream=True))[2].decode()
    message = {"role": "assistant", "content": None, "refusal": None, "function_call": CALLED}
    assert (choice["message"], choice["finish_reason"]) == (message, "function_call")
    found = [json.loads(part.removeprefix("data: ")) for part in data.split("\n\n")[:-2]]
    deltas = [one["choices"][0]["delta"].get("function_call", {}) for one in found]
    assert [delta["name"] for delta in deltas if "name" in delta] == ["weather"]
    assert "".join(delta.get("arguments", "") for delta in deltas) == CALLED["arguments"]
    assert found[-1]["choices"][0]["finish_reason"] == "function_call"


def test_an_earlier_function_call_and_its_result_are_read() -> None:
    prompts: list[str] = []

    def reply(prompt: str) -> str:
        prompts.append(prompt)
        return "Cerah."

    earlier = [
        {"role": "assistant", "content": None, "function_call": CALLED},
        {"role": "function", "name": "weather", "content": "30 °C"},
    ]
    with scripted(reply) as served:
        served.json("POST", PATH, asking(messages=[*asking()["messages"], *earlier], function_call="none"))
    assert f"assistant\n{CALL}<|im_end|>\n<|im_start|>user\n<tool_response>\n30 °C\n</tool_response>" in prompts[0]
    assert "<tools>" not in prompts[0]


def test_penalties_are_options() -> None:
    asked = ChatRequest(messages=[], presence_penalty=0.5, frequency_penalty=-1.5, repeat_last_n=8)
    expected = {"presence_penalty": 0.5, "frequency_penalty": -1.5, "repeat_last_n": 8, "max_tokens": 3}
    assert sampling_of(asked, 3) == expected
    found = ollama_sampling(OllamaOptions(presence_penalty=0.5, frequency_penalty=1.5, repeat_last_n=-1, num_predict=3))
    expected = {"presence_penalty": 0.5, "frequency_penalty": 1.5, "repeat_last_n": 1 << 30, "max_tokens": 3}
    assert found == expected


def test_a_text_in_a_logit_bias_stands_for_its_tokens() -> None:
    llm = SeaLLM.from_engine(ScriptedEngine([]))
    tokens = llm.tokenize("ya")
    assert bias_of({"ya": -100.0, "7": 1.0}, llm) == dict.fromkeys(tokens, -100.0) | {"7": 1.0}


def test_no_tokens_are_a_reply_without_text() -> None:
    with scripted("Halo!") as served:
        found = served.json("POST", PATH, asking(max_tokens=0, functions=None))[1]
    assert found["choices"][0]["message"]["content"] == ""
    assert (found["choices"][0]["finish_reason"], found["usage"]["completion_tokens"]) == ("length", 0)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PATH, {"messages": [{"role": "user", "content": "Halo", "name": None, "tool_calls": None}]}),
        ("/v1/completions", {"prompt": "Halo", "echo": None, "suffix": None, "logprobs": None}),
        ("/api/chat", {"messages": [{"role": "user", "content": "Halo"}], "options": None, "tools": None}),
        ("/api/generate", {"prompt": "Halo", "options": None, "format": None, "images": None, "stream": None}),
    ],
)
def test_optional_fields_may_be_null(path: str, body: dict[str, Any]) -> None:
    with scripted("Halo!") as served:
        assert served.request("POST", path, body)[0] == 200


def test_a_wrong_method_names_the_right_ones() -> None:
    with scripted() as served:
        status, headers, data = served.request("DELETE", PATH)
    assert (status, headers["allow"]) == (405, "POST")
    assert json.loads(data)["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "form",
    [
        {"response_format": {"type": "json_object", "schema": {"type": "hiccup"}}},
        {"json_schema": {"type": "hiccup"}},
    ],
)
def test_llama_cpps_places_of_a_schema_are_read(form: dict[str, Any]) -> None:
    with scripted("{}") as served:
        status, found = served.json("POST", PATH, asking(functions=None, **form))
    assert (status, "hiccup" in found["error"]["message"]) == (400, True)
