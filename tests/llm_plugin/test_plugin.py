"""The plugin in the real `llm`: its models, chat, logs and schemas with the demo model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("llm")

NAME = "smollm2-135m-instruct"

pytestmark = pytest.mark.slow


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    """Environment of a user of llm who has only this plugin."""
    return {**os.environ, "LLM_USER_PATH": str(tmp_path), "LLM_LOAD_PLUGINS": "seallm-edge"}


def run(user: dict[str, str], *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "llm", *arguments],
        input=stdin, capture_output=True, text=True, env=user, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_prompt_is_answered_and_logged(user: dict[str, str]) -> None:
    asked = ["-m", NAME, "What is the capital of Japan?", "-o", "temperature", "0"]
    code, out, error = run(user, *asked)
    assert (code, out) == (0, "The capital of Japan is Tokyo.\n"), error
    assert run(user, *asked, "--no-stream")[1] == out
    logged = json.loads(run(user, "logs", "--json")[1])
    assert [(one["prompt"], one["response"]) for one in logged][:1] == [(asked[2], out.strip())]
    assert logged[0]["output_tokens"] > 0


def test_a_conversation_goes_on(user: dict[str, str]) -> None:
    options = ["-m", NAME, "-o", "temperature", "0", "-o", "max_tokens", "24"]
    run(user, *options, "What is the capital of Japan?")
    first = json.loads(run(user, "logs", "--json")[1])[0]
    code, out, error = run(user, *options, "-c", "And of Italy?")
    assert (code, error) == (0, "")
    second = json.loads(run(user, "logs", "--json", "-n", "1")[1])[0]
    assert second["conversation_id"] == first["conversation_id"]
    assert second["input_tokens"] > first["input_tokens"] + first["output_tokens"]
    assert "Rome" in out


def test_a_schema_is_kept(user: dict[str, str]) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 20}},
        "required": ["name"],
        "additionalProperties": False,
    }
    code, out, error = run(user, "-m", NAME, "--schema", json.dumps(schema), "A person.", "-o", "seed", "1")
    assert code == 0, error
    assert set(json.loads(out)) == {"name"}


def test_what_is_wrong_is_said(user: dict[str, str]) -> None:
    code, _, error = run(user, "-m", NAME, "Halo", "-o", "temperature", "-1")
    assert (code, "temperature is -1.0" in error, "Traceback" in error) == (1, True, False), error


def test_models_are_listed(user: dict[str, str]) -> None:
    assert NAME in run(user, "models")[1]
