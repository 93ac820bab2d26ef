"""Chat model or base model: the file, the closing line and the runtime agree."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest

from seallm_edge import SeaLLM
from seallm_edge.convert import convert, plan_conversion
from seallm_edge.convert.mapping.chat_template import CHATML
from seallm_edge.gguf_file import read_header
from support.checkpoints import TEMPLATE

Checkpoints = Callable[..., Any]
KEY = "tokenizer.chat_template"
NOTE = "no file has a chat template, but <|im_end|> ends the turns: a ChatML template is written"


def without_template(made: Any) -> Path:
    made.edit("tokenizer_config.json", lambda settings: settings.pop("chat_template") and None)
    return Path(made.path)


def as_base_model(made: Any) -> Path:
    made.edit("tokenizer_config.json", lambda settings: settings.update(eos_token="<|endoftext|>"))
    (made.path / "generation_config.json").unlink()
    return without_template(made)


def template_of(folder: Path, out: Path) -> object:
    return read_header(convert(folder, out, "Q8_0", verify="none")).metadata.get(KEY)


def test_a_chat_checkpoint_without_a_template_gets_chatml(checkpoint: Checkpoints, tmp_path: Path) -> None:
    folder = without_template(checkpoint())
    assert template_of(folder, tmp_path / "out.gguf") == CHATML
    assert plan_conversion(folder).content.notes == (NOTE,)
    with SeaLLM(tmp_path / "out.gguf") as model:
        assert model.is_chat_model


def test_the_template_says_chatml() -> None:
    messages = [{"role": "system", "content": " be\nkind "}, {"role": "user", "content": "<b>'Hi'</b>"}]
    text = jinja2.Environment().from_string(CHATML).render(messages=messages, add_generation_prompt=True)
    assert text == (
        "<|im_start|>system\n be\nkind <|im_end|>\n<|im_start|>user\n<b>'Hi'</b><|im_end|>\n<|im_start|>assistant\n"
    )
    assert jinja2.Environment().from_string(CHATML).render(messages=messages[:0]) == ""


def test_a_catalogue_chat_checkpoint_without_a_template_gets_it_too(checkpoint: Checkpoints, tmp_path: Path) -> None:
    folder = as_base_model(checkpoint("SeaLLMs-v3-1.5B-Chat"))
    assert template_of(folder, tmp_path / "out.gguf") == CHATML


def test_a_base_checkpoint_gets_none(checkpoint: Checkpoints, tmp_path: Path) -> None:
    folder = as_base_model(checkpoint())
    assert template_of(folder, tmp_path / "out.gguf") is None
    assert plan_conversion(folder).content.notes == ()
    with SeaLLM(tmp_path / "out.gguf") as model:
        assert not model.is_chat_model


def test_without_a_token_that_starts_turns_there_is_no_chatml(checkpoint: Checkpoints, tmp_path: Path) -> None:
    made = checkpoint()
    made.edit("tokenizer.json", lambda content: content["added_tokens"].pop(1) and None)
    assert template_of(without_template(made), tmp_path / "out.gguf") is None


@pytest.mark.parametrize(
    "template", ["{{ json }}", [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "{{ json }}"}]]
)
def test_chat_template_json_is_read(template: Any, checkpoint: Checkpoints, tmp_path: Path) -> None:
    made = checkpoint()
    (made.path / "chat_template.json").write_text("{}")
    made.edit("chat_template.json", lambda content: content.update(chat_template=template))
    assert template_of(made.path, tmp_path / "a.gguf") == TEMPLATE
    assert template_of(without_template(made), tmp_path / "b.gguf") == "{{ json }}"
    (made.path / "chat_template.jinja").write_text("{{ jinja }}")
    assert template_of(made.path, tmp_path / "c.gguf") == "{{ jinja }}"


@pytest.mark.parametrize(
    ("make", "stderr", "last_line"),
    [
        (without_template, f"{NOTE}\n", "chat with it: seallm chat tiny-Q8_0"),
        (as_base_model, "", "a base model, which continues a text: seallm run tiny-Q8_0"),
    ],
)
def test_the_closing_line_names_a_command_that_works(
    make: Callable[[Any], Path], stderr: str, last_line: str, checkpoint: Checkpoints, seallm: Any
) -> None:
    finished = seallm("convert", make(checkpoint()), "--type", "Q8_0")
    assert finished.stderr.decode() == stderr
    assert finished.stdout.decode().splitlines()[-1] == last_line
    command, name = last_line.split()[-2:]
    prompt = ["the"] if command == "run" else []
    assert seallm(command, name, *prompt, "--max-tokens", "2").returncode == 0
