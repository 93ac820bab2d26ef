"""LangChain's `ChatOpenAI` against the real server with the demo model, where LangChain is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.server import ServerSettings
from support.served import Served

langchain_openai = pytest.importorskip("langchain_openai")
pytestmark = pytest.mark.slow
QUESTION = "What is the capital of Japan?"


@pytest.fixture(scope="module")
def chat(demo_file: Path) -> Iterator[Any]:
    with Served(ServerSettings(port=0, model=str(demo_file), loading={"context": 2048})) as served:
        yield langchain_openai.ChatOpenAI(
            base_url=f"{served.url}/v1", api_key="any", model=demo_file.stem, temperature=0, max_tokens=40
        )


def test_it_is_invoked_and_streams_the_same_text_with_its_usage(chat: Any) -> None:
    whole = chat.invoke(QUESTION)
    assert "Tokyo" in whole.content
    chunks = list(chat.stream(QUESTION, stream_usage=True))
    assert "".join(chunk.content for chunk in chunks) == whole.content
    used = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert [one["output_tokens"] for one in used] == [whole.usage_metadata["output_tokens"]]


def test_a_tool_is_called_by_name_and_a_schema_is_kept(chat: Any) -> None:
    weather = {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    bound = chat.bind_tools([weather], tool_choice="weather", parallel_tool_calls=False)
    (call,) = bound.invoke("How is the weather in Hanoi?").tool_calls
    assert (call["name"], set(call["args"])) == ("weather", {"city"})
    schema = {"title": "Person", "type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    found = chat.with_structured_output(schema, method="json_schema").invoke("Ani is 7 years old.")
    assert isinstance(found["age"], int)
