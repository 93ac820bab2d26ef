"""Tools: what a model is told, what it may write, what comes of that, however the text is cut."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from seallm_edge.constraint import GrammarCompiler
from seallm_edge.constraint.tool_calls import ToolCalls
from seallm_edge.engine.scripted import ByteVocabulary
from seallm_edge.prompt.chatml import Message
from seallm_edge.server.problems import RequestRefused
from seallm_edge.server.tools import (
    ArgumentsDelta,
    CallBegins,
    CallParser,
    Tool,
    ToolCall,
    ToolResult,
    ToolUse,
    closed,
    parsed,
    with_results,
)
from support.served import Served, scripted

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER, NOW = Tool("weather", "Weather of a city", CITY), Tool("now")
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Hà Nội"}}\n</tool_call>'
CALLS = f'{CALL}\n<tool_call>\n{{"name": "now", "arguments": {{}}}}\n</tool_call>'


def allowed(calls: ToolCalls, text: str) -> bool:
    """Whether a whole text is a reply of these calls."""
    constraint = GrammarCompiler(ByteVocabulary()).tool_calls(calls).start()
    for byte in text.encode():
        if not constraint.allows(byte):
            return False
        constraint.accept(byte)
    return constraint.may_end


@pytest.mark.parametrize(
    ("text", "auto", "forced", "forced_once"),
    [
        (CALL, True, True, True),
        (CALLS, True, True, False),
        ("Halo!", True, False, False),
        ("", True, False, False),
        (f"Saya cari.\n{CALL}", True, False, False),
        ("a < b, <tool, <tool_call", True, False, False),
        (f"{CALL} and more", False, False, False),
        ("<tool_call>", False, False, False),
        ("<tool_call> of the wild", False, False, False),
        ('<tool_call>\n{"name": "rain", "arguments": {}}\n</tool_call>', False, False, False),
        ('<tool_call>\n{"name": "weather", "arguments": {}}\n</tool_call>', False, False, False),
    ],
)
def test_a_reply_may_be_these_texts(text: str, auto: bool, forced: bool, forced_once: bool) -> None:
    parameters = {"weather": CITY, "now": {"type": "object", "properties": {}, "additionalProperties": False}}
    assert allowed(ToolCalls(parameters), text) is auto
    assert allowed(ToolCalls(parameters, is_forced=True), text) is forced
    assert allowed(ToolCalls(parameters, is_forced=True, most=1), text) is forced_once


@pytest.mark.parametrize("seed", range(20))
def test_a_reply_is_parsed_alike_however_it_is_cut(seed: int) -> None:
    dice = random.Random(seed)
    whole = f"Saya cari <b>dulu</b>.\n{CALLS}"
    parser, found, left = CallParser(has_tools=True), [], whole
    while left:
        n = dice.randint(1, 9)
        found += parser.feed(left[:n])
        left = left[n:]
    found += parser.finish()
    assert "".join(part for part in found if isinstance(part, str)) == "Saya cari <b>dulu</b>.\n"
    assert [part.call.name for part in found if isinstance(part, CallBegins)] == ["weather", "now"]
    for number, arguments in ((0, '{"city": "Hà Nội"}'), (1, "{}")):
        deltas = (part for part in found if isinstance(part, ArgumentsDelta) and part.number == number)
        assert "".join(delta.text for delta in deltas) == arguments


@pytest.mark.parametrize("text", ["", "a <", "<tool_cal", "1 < 2 <tool> </tool_call>"])
def test_text_that_only_begins_like_a_call_stays_text(text: str) -> None:
    assert parsed(text, has_tools=True) == (text, [])


def test_a_call_that_was_cut_keeps_what_it_has() -> None:
    text, calls = parsed('<tool_call>\n{"name": "weather", "arguments": {"city": "H', has_tools=True)
    assert (text, [(call.name, call.arguments) for call in calls]) == ("", [("weather", '{"city": "H')])
    assert parsed('<tool_call>\n{"name": "wea', has_tools=True) == ("", [])


def test_the_model_is_told_in_the_system_message() -> None:
    use = ToolUse((WEATHER,))
    told = use.instructed([Message("system", "Be brief."), Message("user", "Halo")])
    assert told[0].content.startswith("Be brief.\n\n# Tools\n\nYou may call one or more functions")
    definition = {"name": "weather", "description": "Weather of a city", "parameters": CITY}
    line = json.dumps({"type": "function", "function": definition})
    assert f"<tools>\n{line}\n</tools>" in told[0].content
    assert told[1:] == [Message("user", "Halo")]
    assert use.instructed([Message("user", "Halo")])[0].content.startswith("# Tools\n")


def test_an_earlier_call_is_written_as_the_model_wrote_it() -> None:
    assert ToolCall("weather", '{"city": "Hà Nội"}').as_text() == CALL


@pytest.mark.parametrize(
    ("tools", "choice", "name", "message"),
    [
        ([], "required", "", "a tool must be called and there is none"),
        ([WEATHER], "named", "rain", "tool_choice names 'rain', which is no tool of this request"),
        ([WEATHER], "sometimes", "", "tool_choice is 'sometimes'; give none, auto, required, or a function"),
        ([Tool("no spaces")], "auto", "", "a tool is named 'no spaces'; use up to 128 letters, digits"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(tools: list[Tool], choice: str, name: str, message: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        ToolUse.chosen(tools, choice, name)
    assert str(caught.value).replace("\n  ", "; ").startswith(message)


def test_without_tools_a_tag_is_text() -> None:
    assert parsed(CALL, has_tools=False) == (CALL, [])


def test_results_that_follow_each_other_are_one_message() -> None:
    first, second = ToolResult("30 °C"), ToolResult("31 °C")
    found = with_results([Message("user", "Halo"), first, second, Message("assistant", "Hai"), first])
    text = "<tool_response>\n30 °C\n</tool_response>"
    assert found == [
        Message("user", "Halo"),
        Message("user", f"{text}\n{text.replace('30', '31')}"),
        Message("assistant", "Hai"),
        Message("user", text),
    ]


def test_a_grammar_beside_tools_is_refused() -> None:
    with scripted(CALL) as served:
        status, found = served.json("POST", "/v1/chat/completions", asking(grammar='root ::= "ya"'))
    message = "a reply has either a grammar of its own or tools to call; leave response_format or tools out"
    assert (status, found["error"]["message"]) == (400, message)


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/v1/chat/completions", {"response_format": {"type": "json_object"}}),
        ("/api/chat", {"format": "json", "stream": False}),
    ],
)
def test_a_schema_beside_tools_is_that_of_replies_without_calls(path: str, form: dict[str, Any]) -> None:
    with scripted('{"a": 1}') as served:
        status, found = served.json("POST", path, asking(**form))
    assert status == 200
    assert (found.get("message") or found["choices"][0]["message"])["content"] == '{"a": 1}'


@pytest.mark.parametrize(
    ("text", "fits"), [('{"a":1}', True), (CALL, True), ("Saya cari.", False), ('{"a":1}' + CALL, False)]
)
def test_with_a_schema_a_reply_is_a_call_or_json(text: str, fits: bool) -> None:
    assert allowed(ToolCalls({"weather": CITY}, schema={"type": "object"}), text) == fits


@pytest.mark.parametrize(
    ("schema", "is_closed"),
    [
        ({"type": "object", "properties": {}}, True),
        ({"properties": {"a": {}}, "required": ["a"]}, True),
        ({"properties": {"a": {}}, "required": ["b"]}, False),
        ({"properties": {"a": {}}, "additionalProperties": True}, False),
        ({"properties": {"a": {}}, "anyOf": [{"required": ["b"]}]}, False),
        ({"type": "object"}, False),
        (True, False),
    ],
)
def test_arguments_have_the_named_properties_only(schema: Any, is_closed: bool) -> None:
    found = closed(schema)
    assert (isinstance(found, dict) and found.get("additionalProperties") is False) == is_closed


def test_objects_within_arguments_are_closed_too() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "integer"}}}
    shut = inner | {"additionalProperties": False}
    assert closed({"properties": {"a": inner, "c": {"type": "array", "items": inner}}})["properties"] == {
        "a": shut,
        "c": {"type": "array", "items": shut},
    }


def asking(**fields: Any) -> dict[str, Any]:
    function = {"name": "weather", "description": "Weather of a city", "parameters": CITY}
    tools = [{"type": "function", "function": function}, {"type": "web_search"}]
    return {"messages": [{"role": "user", "content": "Halo"}], "tools": tools, **fields}


def test_openai_gets_calls_and_gives_results() -> None:
    prompts: list[str] = []

    def reply(prompt: str) -> str:
        prompts.append(prompt)
        return "Cerah."

    with scripted(f"Saya cari.\n{CALL}", reply) as served:
        found = served.json("POST", "/v1/chat/completions", asking())[1]["choices"][0]
        assert found["finish_reason"] == "tool_calls"
        assert found["message"]["content"] == "Saya cari."
        call = found["message"]["tool_calls"][0]
        assert (call["type"], call["function"]) == ("function", {"name": "weather", "arguments": '{"city": "Hà Nội"}'})
        result = {"role": "tool", "tool_call_id": call["id"], "content": "30 °C"}
        messages = [*asking()["messages"], found["message"], result, result]
        found = served.json("POST", "/v1/chat/completions", asking(messages=messages))[1]["choices"][0]
        assert (found["finish_reason"], found["message"]["content"]) == ("stop", "Cerah.")
    responses = "<tool_response>\n30 °C\n</tool_response>\n<tool_response>\n30 °C\n</tool_response>"
    assert f"assistant\nSaya cari.\n{CALL}<|im_end|>\n<|im_start|>user\n{responses}<|im_end|>" in prompts[0]


def test_openai_streams_arguments_with_one_id() -> None:
    with scripted(f"Ya.\n{CALLS}") as served:
        deltas = [chunk["choices"][0] for chunk in chunks(served, asking())]
    calls: dict[int, dict[str, str]] = {}
    for choice in deltas:
        for one in choice["delta"].get("tool_calls", []):
            known = calls.setdefault(one["index"], {"id": one.get("id", ""), "name": "", "arguments": ""})
            known["name"] += one["function"].get("name", "")
            known["arguments"] += one["function"]["arguments"]
    assert [(one["name"], one["arguments"]) for one in calls.values()] == [
        ("weather", '{"city": "Hà Nội"}'),
        ("now", "{}"),
    ]
    assert all(one["id"].startswith("call_") for one in calls.values())
    assert "".join(choice["delta"].get("content", "") for choice in deltas) == "Ya.\n"
    assert deltas[-1]["finish_reason"] == "tool_calls"


def test_ollama_gets_calls_with_objects() -> None:
    with scripted(CALL, CALL) as served:
        found = served.json("POST", "/api/chat", asking(stream=False))[1]
        call = {"function": {"name": "weather", "arguments": {"city": "Hà Nội"}}}
        assert found["message"] == {"role": "assistant", "content": "", "tool_calls": [call]}
        lines = served.request("POST", "/api/chat", asking())[2].decode().splitlines()
        assert [json.loads(line)["message"].get("tool_calls") for line in lines] == [[call], None]


def test_anthropic_gets_blocks_and_events() -> None:
    tool = {"name": "weather", "description": "Weather of a city", "input_schema": CITY}
    body = {"messages": [{"role": "user", "content": "Halo"}], "max_tokens": 500, "tools": [tool]}
    with scripted(f"Ya.\n{CALL}", f"Ya.\n{CALL}", "Cerah.") as served:
        found = served.json("POST", "/v1/messages", body)[1]
        assert found["stop_reason"] == "tool_use"
        assert found["content"][0] == {"type": "text", "text": "Ya."}
        call = found["content"][1]
        assert (call["type"], call["name"], call["input"]) == ("tool_use", "weather", {"city": "Hà Nội"})
        data = served.request("POST", "/v1/messages", body | {"stream": True})[2].decode()
        events = [json.loads(line[6:]) for line in data.splitlines() if line.startswith("data: ")]
        kinds = [event["type"] for event in events if event["type"] != "content_block_delta"]
        assert kinds == [
            "message_start", "content_block_start", "content_block_stop", "content_block_start", "content_block_stop",
            "message_delta", "message_stop",
        ]  # fmt: skip
        deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
        assert "".join(delta.get("text", "") for delta in deltas) == "Ya.\n"
        assert "".join(delta.get("partial_json", "") for delta in deltas) == '{"city": "Hà Nội"}'
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "30 °C"}
        messages = [
            *body["messages"],
            {"role": "assistant", "content": found["content"]},
            {"role": "user", "content": [result]},
        ]
        found = served.json("POST", "/v1/messages", body | {"messages": messages})[1]
        assert (found["stop_reason"], found["content"]) == ("end_turn", [{"type": "text", "text": "Cerah."}])


def chunks(served: Served, body: dict[str, Any]) -> list[dict[str, Any]]:
    data = served.request("POST", "/v1/chat/completions", body | {"stream": True})[2].decode()
    return [json.loads(line[6:]) for line in data.splitlines() if line.startswith("data: {")]
