"""Ollama's protocol: the times of models in memory, log probabilities, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.server import ServerSettings
from seallm_edge.server.model_pool import FOREVER, LoadedModel
from seallm_edge.server.ollama import running
from seallm_edge.server.ollama_replies import seconds_of
from support.served import Served, scripted


@pytest.mark.parametrize("keep_alive", [-1, 1e300, "999999999999h", FOREVER])
def test_a_model_may_stay_beyond_the_last_date(keep_alive: float | str) -> None:
    model = LoadedModel("m", SeaLLM.from_engine(ScriptedEngine([])), seconds_of(keep_alive) or 0.0)
    assert running(model, None)["expires_at"] == "9999-12-31T23:59:59Z"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/generate", {"prompt": "What is the capital of Japan?"}),
        ("/api/chat", {"messages": [{"role": "user", "content": "What is the capital of Japan?"}]}),
    ],
)
def test_log_probabilities_come_with_their_text(demo_file: Path, path: str, body: dict[str, Any]) -> None:
    asked = body | {"logprobs": True, "top_logprobs": 2, "options": {"temperature": 0, "num_predict": 6}}
    with Served(ServerSettings(port=0, model=str(demo_file), loading={"context": 1024})) as served:
        whole = served.json("POST", path, asked | {"stream": False})[1]
        lines = [json.loads(line) for line in served.request("POST", path, asked)[2].splitlines()]
    text = whole["response"] if path == "/api/generate" else whole["message"]["content"]
    found = whole["logprobs"]
    assert "".join(each["token"] for each in found) == text
    assert len(found) == whole["eval_count"]
    assert all(each["top_logprobs"][0]["token"] == each["token"] for each in found)
    assert all(len(each["top_logprobs"]) == 2 for each in found)
    assert [each["token"] for line in lines for each in line.get("logprobs", [])] == [each["token"] for each in found]


def test_a_context_is_refused_rather_than_forgotten() -> None:
    with scripted("Halo!") as served:
        status, found = served.json("POST", "/api/generate", {"prompt": "Halo", "context": [1, 2]})
    message = "context is not read; send the whole conversation to /api/chat"
    assert (status, found) == (400, {"error": message})
