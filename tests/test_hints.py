"""A hint is data: the command line, Python and HTTP each word its options and commands."""

from pathlib import Path

import pytest

from seallm_edge.errors import ContextOverflow, EngineError, ModelNotFound, OutputExists, SeaLLMError
from seallm_edge.hints import Command, Hint, Option, command_line_words, http_words, python_words

OVERFLOW = ContextOverflow(
    9_120,
    8_192,
    "Burmese, 5,900 characters",
    Hint("shorten it, or give {context} (needs 0.4 GB more)", context=Option("context", 16384)),
)


@pytest.mark.parametrize(
    ("wording", "hint"),
    [
        (command_line_words, "shorten it, or give --context 16384 (needs 0.4 GB more)"),
        (python_words, "shorten it, or give context=16384 (needs 0.4 GB more)"),
        (http_words, 'shorten it, or give "context": 16384 (needs 0.4 GB more)'),
    ],
)
def test_each_face_words_the_whole_message(wording, hint: str) -> None:
    said = "the prompt is 9,120 tokens (Burmese, 5,900 characters) but the context holds 8,192"
    assert OVERFLOW.worded(wording) == f"{said}\n  {hint}"


@pytest.mark.parametrize(
    ("error", "command_line", "python", "http"),
    [
        (
            ModelNotFound("seallm-v3", known=["seallms-v3-7b"]),
            "see them all: seallm models",
            "see them all: seallm_edge.store.installed()",
            "see them all: GET /v1/models",
        ),
        (
            OutputExists(Path("model.gguf")),
            "give another name with -o, or --force to replace it",
            "give another name with out=…, or force=True to replace it",
            'give another name with "out", or "force": true to replace it',
        ),
        (
            SeaLLMError("no", Hint("from the hub: {convert}", convert=Command("convert", ("hf:A/B C",)))),
            "from the hub: seallm convert 'hf:A/B C'",
            "from the hub: seallm_edge.convert.convert('hf:A/B C')",
            "from the hub: seallm convert 'hf:A/B C' (on the server)",
        ),
        (
            SeaLLMError("no", Hint("choose {type}", type=Option("type", "Q4_K_M"))),
            "choose --type Q4_K_M",
            "choose type='Q4_K_M'",
            'choose "type": "Q4_K_M"',
        ),
        (EngineError("this model is closed", "load it {again}"), *["load it {again}"] * 3),
    ],
)
def test_options_and_commands_have_a_name_in_each_face(
    error: SeaLLMError, command_line: str, python: str, http: str
) -> None:
    words = [error.hint.worded(wording) for wording in (command_line_words, python_words, http_words)]
    assert words == [command_line, python, http]


def test_python_words_the_error_itself_and_cure_is_an_alias() -> None:
    assert str(OVERFLOW) == OVERFLOW.worded(python_words)
    assert OVERFLOW.cure == "shorten it, or give context=16384 (needs 0.4 GB more)"
    assert str(SeaLLMError("without a hint")) == "without a hint"


def test_a_hint_goes_on_without_reading_braces_of_what_was_said() -> None:
    hint = Hint("look into {folder}/x").then("; {force} goes on", force=Option("force", True))
    assert hint.worded(command_line_words) == "look into {folder}/x; --force goes on"


def test_a_hint_travels_as_json_values() -> None:
    hint = Hint(
        "{a}, {b}, {c}", a=Option("context", 512), b=Command("show", ("x.gguf",), (Option("json", True),)), c="{words}"
    )
    assert Hint.from_data(hint.as_data()) == hint
    assert str(hint) == "context=512, seallm show x.gguf --json, {words}"
