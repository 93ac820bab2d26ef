"""Prompts against a peer: token for token what `apply_chat_template` of transformers gives. Skipped without it.

pip install transformers
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seallm_edge import Message
from seallm_edge.convert import convert
from seallm_edge.engine.prompt_tokens import PromptTokens
from seallm_edge.gguf_file import SpecialTokens, read_header, special_tokens
from seallm_edge.native.model import Vocabulary, vocabulary_of
from seallm_edge.prompt.jinja import chat_template
from seallm_edge.text.samples import SENTENCES
from support.chat_templates import TEMPLATES

MORE = {"trimmed": "  two spaces \n", "lines": "\n\none\r\n\n\ttwo\n", "empty": "", "markup": "a < b | c > d, {{ e }}"}
TEXTS = {language: " ".join(sentences) for language, sentences in SENTENCES.items()} | MORE


def conversations(text: str) -> Iterator[list[Message]]:
    system, user, reply = Message("system", text), Message("user", text), Message("assistant", text)
    yield [user]
    yield [system, user]
    yield [user, reply, user]
    yield [system, user, reply, user, reply, user]


@pytest.fixture(scope="module")
def converted(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained checkpoint as a GGUF."""
    pytest.importorskip("transformers")
    return convert(trained, tmp_path_factory.mktemp("oracle") / "q4.gguf", "Q4_0")


@pytest.fixture(scope="module")
def vocabulary(converted: Path) -> Iterator[Vocabulary]:
    """Its vocabulary, by llama.cpp."""
    with vocabulary_of(converted) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def special(converted: Path) -> SpecialTokens:
    """Its control tokens."""
    return special_tokens(read_header(converted))


@pytest.fixture(scope="module")
def tokenizer(trained: Path, special: SpecialTokens) -> Any:
    """The checkpoint's own tokenizer, by transformers."""
    transformers = pytest.importorskip("transformers")
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(trained / "tokenizer.json"), **special.named)


def own_template(demo_file: Path) -> str:
    return str(read_header(demo_file).metadata["tokenizer.chat_template"])


@pytest.mark.parametrize("kind", [*TEMPLATES, "demo"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_tokens_are_those_of_apply_chat_template(
    kind: str, text: str, vocabulary: Vocabulary, special: SpecialTokens, tokenizer: Any, demo_file: Path
) -> None:
    source = TEMPLATES.get(kind) or own_template(demo_file)
    engine = SimpleNamespace(vocabulary=lambda: contextlib.nullcontext(vocabulary))
    template = chat_template(source, special.control, tuple(special.named.items()))
    prompts = PromptTokens(engine, template, "converted")
    for messages in conversations(text):
        plain = [{"role": message.role, "content": message.content} for message in messages]
        wanted = tokenizer.apply_chat_template(
            plain, chat_template=source, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        assert prompts.of_messages(messages) == wanted
