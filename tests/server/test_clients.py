"""The real clients against the real server with the demo model."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from seallm_edge.server import ServerSettings
from support.served import Served

openai = pytest.importorskip("openai")
ollama = pytest.importorskip("ollama")
anthropic = pytest.importorskip("anthropic")

MODEL = "smollm2-135m-instruct"
ASKED = [{"role": "user", "content": "What is the capital of Japan?"}]
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(demo_file: Path) -> Iterator[Served]:
    settings = ServerSettings(port=0, model=str(demo_file), loading={"context": 2048})
    with Served(settings) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0) as one:
        yield one


@pytest.fixture
def ollama_client(served: Served) -> Iterator[ollama.Client]:
    one = ollama.Client(host=served.url)
    with contextlib.closing(one._client):
        yield one


@pytest.fixture
def anthropic_client(served: Served) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=served.url, api_key="any", max_retries=0) as one:
        yield one


def test_openai_chats_and_streams_the_same_text(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=ASKED, temperature=0, max_tokens=24)
    assert "Tokyo" in (whole.choices[0].message.content or "")
    assert whole.usage is not None
    stream = client.chat.completions.create(
        model=MODEL, messages=ASKED, temperature=0, max_tokens=24, stream=True, stream_options={"include_usage": True}
    )
    found = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in found if chunk.choices)
    assert text == whole.choices[0].message.content
    assert found[-1].usage is not None
    assert found[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_openai_gets_log_probabilities(client: openai.OpenAI) -> None:
    found = client.chat.completions.create(
        model=MODEL, messages=ASKED, temperature=0, max_tokens=5, logprobs=True, top_logprobs=3
    )
    content = found.choices[0].logprobs.content
    assert len(content) == found.usage.completion_tokens
    for token in content:
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].logprob == pytest.approx(token.logprob)  # greedy
    assert b"".join(bytes(token.bytes) for token in content).decode().startswith(found.choices[0].message.content)


def test_openai_gets_json_of_a_schema(client: openai.OpenAI) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    found = client.chat.completions.create(model=MODEL, messages=ASKED, max_tokens=100, seed=1, response_format=form)
    assert set(json.loads(found.choices[0].message.content)) == {"name", "age"}


def test_openai_completes_texts_and_tokens(client: openai.OpenAI, served: Served) -> None:
    text = "The capital of France is"
    tokens = served.json("POST", "/tokenize", {"content": text})[1]["tokens"]
    assert served.json("POST", "/detokenize", {"tokens": tokens})[1] == {"content": text}
    found = client.completions.create(model=MODEL, prompt=[text, text], temperature=0, max_tokens=6, echo=True, n=1)
    assert [choice.index for choice in found.choices] == [0, 1]
    assert found.choices[0].text == found.choices[1].text
    assert found.choices[0].text.startswith(text)
    by_ids = client.completions.create(model=MODEL, prompt=tokens, temperature=0, max_tokens=6)
    assert text + by_ids.choices[0].text == found.choices[0].text
    with pytest.raises(openai.BadRequestError, match="99999999 is no token id of this model"):
        client.completions.create(model=MODEL, prompt=[99999999], max_tokens=1)
    status, refused = served.json("POST", "/detokenize", {"tokens": [-7]})
    assert (status, refused["error"]["message"]) == (
        400,
        "-7 is no token id of this model; give numbers from 0 to 49,151",
    )


def test_openai_lists_models(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert client.models.retrieve(names[0]).id == names[0]
    with pytest.raises(openai.NotFoundError, match="no model named 'nothing'"):
        client.models.retrieve("nothing")


WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"],
    "additionalProperties": False,
}


def test_openai_calls_the_tool_that_is_required(client: openai.OpenAI) -> None:
    function = {"name": "weather", "description": "Weather of a city", "parameters": WEATHER}
    options = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "max_tokens": 100,
        "temperature": 0,
    }
    whole = client.chat.completions.create(**options).choices[0]
    assert whole.finish_reason == "tool_calls"
    call = whole.message.tool_calls[0]
    assert call.function.name == "weather"
    assert set(json.loads(call.function.arguments)) == {"city"}
    with client.chat.completions.stream(**options) as stream:
        streamed = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert streamed.function.arguments == call.function.arguments


def test_openai_gets_responses(client: openai.OpenAI) -> None:
    options = {"model": MODEL, "input": ASKED, "instructions": "Be brief.", "temperature": 0, "max_output_tokens": 24}
    whole = client.responses.create(**options)
    assert "Tokyo" in whole.output_text
    assert whole.usage.output_tokens
    events = list(client.responses.create(**options, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == whole.output_text
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text
    tool = {"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}
    called = client.responses.create(
        **options | {"tools": [tool, {"type": "web_search"}], "tool_choice": "required", "max_output_tokens": 200}
    )
    assert called.output[0].type == "function_call"
    assert set(json.loads(called.output[0].arguments)) == {"city"}
    with pytest.raises(openai.BadRequestError, match="previous_response_id needs stored responses"):
        client.responses.create(**options, previous_response_id="resp_1")


def test_ollama_chats_generates_and_lists(ollama_client: ollama.Client) -> None:
    client = ollama_client
    options = {"temperature": 0, "num_predict": 24}
    whole = client.chat(model=MODEL, messages=ASKED, options=options)
    assert "Tokyo" in whole.message.content
    assert whole.done_reason in ("stop", "length")
    assert whole.eval_count
    assert whole.total_duration >= whole.eval_duration
    parts = list(client.chat(model=MODEL, messages=ASKED, options=options, stream=True))
    assert "".join(part.message.content for part in parts) == whole.message.content
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    answer = client.generate(model=MODEL, prompt=ASKED[0]["content"], options=options)
    assert answer.response == whole.message.content
    listed = client.list().models[0]
    assert listed.details.format == "gguf"
    shown = client.show(listed.model)
    assert shown.modelinfo["llama.context_length"] == 8192
    assert client.ps().models[0].size > 0
    assert (
        json.loads(
            client.generate(
                model=MODEL, prompt="A person.", format="json", options=options | {"num_predict": 60, "stop": ["}"]}
            ).response
            + "}"
        )
        is not None
    )
    with pytest.raises(ollama.ResponseError, match="no model named 'nothing'"):
        client.chat(model="nothing", messages=ASKED)
    with pytest.raises(ollama.ResponseError, match="does not let requests get or delete models"):
        client.pull("qwen3")


def test_ollama_unloads_and_loads(ollama_client: ollama.Client) -> None:
    client = ollama_client
    client.generate(model=MODEL)
    assert client.ps().models
    assert client.generate(model=MODEL, keep_alive=0).done_reason == "unload"
    assert not client.ps().models


def test_anthropic_writes_counts_and_streams(anthropic_client: anthropic.Anthropic) -> None:
    client = anthropic_client
    options = {"model": MODEL, "messages": ASKED, "max_tokens": 24, "extra_body": {"temperature": 0}}
    whole = client.messages.create(**options)
    assert "Tokyo" in whole.content[0].text
    with client.messages.stream(**options) as stream:
        assert "".join(stream.text_stream) == whole.content[0].text
        assert stream.get_final_message().usage.output_tokens == whole.usage.output_tokens
    counted = client.messages.count_tokens(model=MODEL, messages=ASKED)
    assert counted.input_tokens == whole.usage.input_tokens + whole.usage.cache_read_input_tokens
    with pytest.raises(anthropic.NotFoundError, match="no model named 'nothing'"):
        client.messages.create(**options | {"model": "nothing"})


def test_replies_of_concurrent_clients_are_those_of_one(client: openai.OpenAI) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def answer(text: str) -> str:
        asked = [{"role": "user", "content": text}]
        found = client.chat.completions.create(model=MODEL, messages=asked, temperature=0, max_tokens=16)
        return found.choices[0].message.content or ""

    questions = [f"What is {number} and {number}?" for number in range(6)]
    alone = [answer(text) for text in questions]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(answer, questions)) == alone


def test_metrics_and_slots_count(served: Served, client: openai.OpenAI) -> None:
    client.chat.completions.create(model=MODEL, messages=ASKED, temperature=0, max_tokens=4)
    text = served.request("GET", "/metrics")[2].decode()
    written = next(line for line in text.splitlines() if line.startswith("llamacpp:tokens_predicted_total "))
    assert float(written.split()[1]) >= 4
    assert served.json("GET", "/slots")[1][0]["cells"] >= 2048
    assert served.json("GET", "/props")[1]["models"][0]["n_ctx"] == 2048
