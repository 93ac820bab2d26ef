"""Chat support is the same in all commands: the closing line of convert, chat, run, show and doctor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.tiny_model import write_tiny

SMALL = ("--context", "512", "--max-tokens", "4", "--seed", "1")


@pytest.fixture
def finetune(checkpoint: Callable[..., Any]) -> Any:
    """A checkpoint whose files say that `<|im_end|>` ends its text, and that has no chat template."""
    made = checkpoint()
    made.edit("tokenizer_config.json", lambda settings: {k: v for k, v in settings.items() if k != "chat_template"})
    return made


def test_a_fine_tune_without_a_template_chats_in_every_command(finetune: Any, tmp_path: Path, seallm: Any) -> None:
    model = tmp_path / "m.gguf"
    converted = seallm("convert", finetune.path, "-o", model, "--type", "Q8_0")
    assert converted.stdout.decode().splitlines()[-1] == f"chat with it: seallm chat {model}"
    for command, stdin in ((("chat",), b"Halo\n"), (("run",), b"Halo")):
        done = seallm(*command, model, *SMALL, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, b"")
    assert "seallm chat" in seallm("doctor", model, "--context", "512").stdout.decode().splitlines()[-1]


def test_run_gives_a_fine_tune_without_a_template_a_chat_prompt(tmp_path: Path, seallm: Any) -> None:
    model = tmp_path / "m.gguf"
    write_tiny(model)
    done = seallm("run", model, "Halo", *SMALL, "--stats")
    prompt = "<|im_start|>user\nHalo<|im_end|>\n<|im_start|>assistant\n"
    n_tokens = len(prompt) - 2 * (len("<|im_start|>") - 1) - (len("<|im_end|>") - 1)
    assert done.stderr.decode().startswith(f"{n_tokens} tokens read")
    assert "ChatML, by its vocabulary: the file has no template" in seallm("show", model).stdout.decode()


def test_a_base_model_without_a_template_does_not_chat_in_any_command(
    finetune: Any, tmp_path: Path, seallm: Any
) -> None:
    finetune.edit("tokenizer_config.json", lambda settings: settings | {"eos_token": "<|endoftext|>"})
    finetune.edit("generation_config.json", lambda settings: settings | {"eos_token_id": 259})
    model = tmp_path / "m.gguf"
    converted = seallm("convert", finetune.path, "-o", model, "--type", "Q8_0")
    last = converted.stdout.decode().splitlines()[-1]
    assert last == f"a base model, which continues a text: seallm run {model}"
    assert (
        seallm("doctor", model, "--context", "512").stdout.decode().splitlines()[-1].startswith("it fits: seallm run ")
    )
    assert b"none: a base model, without a template" in seallm("show", model).stdout
    done = seallm("chat", model, "--context", "512", stdin=b"Halo\n")
    assert done.returncode == 1
    assert b"is a base model: it continues a text and takes no messages" in done.stderr


def test_a_template_that_cannot_be_rendered_is_told_in_every_command(tmp_path: Path, seallm: Any) -> None:
    model = tmp_path / "m.gguf"
    write_tiny(model, template="{% for m in messages %}")
    problem = "the chat template of m.gguf cannot be rendered: Unexpected end of template."
    done = seallm("chat", model, "--context", "512", stdin=b"Halo\n")
    assert done.returncode == 1
    assert "the chat template of Tiny Test cannot be rendered, so it takes no messages" in done.stderr.decode()
    assert f"none: {problem}" in " ".join(seallm("show", model).stdout.decode().split())
    assert "seallm run" in seallm("doctor", model, "--context", "512").stdout.decode().splitlines()[-1]
