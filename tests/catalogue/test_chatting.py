"""Chat formats of models: by card, by the file's template, by the vocabulary."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from seallm_edge.catalogue.cards import find
from seallm_edge.catalogue.chatting import chatting
from seallm_edge.gguf_file import Header, read_header
from seallm_edge.prompt.chatml import Message
from seallm_edge.prompt.templates import ChatML
from support.chat_templates import QWEN2

Write = Callable[..., Path]
BROKEN = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>"
NOT_CHATML = "{% for m in messages %}"
CHAT, BASE = "SeaLLMs-v3-1.5B-Chat", "SeaLLMs-v3-1.5B"


@pytest.fixture
def header(write_gguf: Write) -> Callable[..., Header]:
    """The header of a GGUF with some keys changed, as a checkpoint of the catalogue if `card` names one."""

    def make(*, template: str | None = None, card: str = "", **keys: object) -> Header:
        change: dict[str, object] = {f"tokenizer.ggml.{key}": value for key, value in keys.items()}
        if template is not None:
            change["tokenizer.chat_template"] = ("string", template)
        if card:
            change["general.name"] = ("string", card)
        return read_header(write_gguf(change=change, **({"shape": find(card).shape} if card else {})))

    return make


def prompt(header: Header) -> str:
    chat = chatting(header).format
    assert chat
    return "".join(segment.text for segment in chat.segments([Message("user", "Halo")]))


@pytest.mark.parametrize("card", ["", CHAT])
def test_the_files_own_template_comes_first_card_or_not(header: Callable[..., Header], card: str) -> None:
    found = header(template=QWEN2, card=card)
    assert chatting(found).reason == "the file's own template"
    assert prompt(found).startswith("<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\nHalo")


def test_a_chat_card_gives_chatml_where_the_file_has_no_template(header: Callable[..., Header]) -> None:
    assert chatting(header(card=CHAT)).format == ChatML("You are a helpful assistant.")


@pytest.mark.parametrize("template", [None, QWEN2])
def test_a_base_card_says_that_a_model_does_not_chat(header: Callable[..., Header], template: str | None) -> None:
    found = chatting(header(card=BASE, template=template))
    assert (found.is_chat_model, found.command) == (False, "run")
    assert found.reason == "none: its card says that it is a base model"


def test_a_vocabulary_whose_text_ends_with_chatmls_mark_gives_chatml(header: Callable[..., Header]) -> None:
    found = chatting(header())
    assert (found.format, found.command) == (ChatML(), "chat")
    assert found.reason == "ChatML, by its vocabulary: the file has no template"


@pytest.mark.parametrize(
    "keys",
    [
        {"eos_token_id": ("uint32", 0)},
        {"eos_token_id": None},
        {"eos_token_id": ("uint32", 4_000_000_000)},
        {"token_type": ("int32[]", [1] * 300)},
        {"token_type": None},
    ],
)
def test_any_other_vocabulary_is_a_base_models(header: Callable[..., Header], keys: dict[str, object]) -> None:
    assert chatting(header(**keys)).reason == "none: a base model, without a template"


@pytest.mark.parametrize(("card", "system"), [("", ""), (CHAT, "You are a helpful assistant.")])
def test_chatml_takes_the_place_of_a_template_that_fails_and_spells_it(
    header: Callable[..., Header], card: str, system: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "seallm_edge"):
        assert chatting(header(template=BROKEN, card=card)).format == ChatML(system)
    assert caplog.messages[0].startswith(
        "the chat template of tiny.gguf cannot be rendered: Unexpected end of template."
    )
    assert caplog.messages[0].endswith("; ChatML is used in its place")


def test_a_model_with_another_template_that_fails_does_not_chat(
    header: Callable[..., Header], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "seallm_edge"):
        found = chatting(header(template=NOT_CHATML))
    assert not found.is_chat_model
    assert found.reason.startswith("none: the chat template of tiny.gguf cannot be rendered: Unexpected end")
    assert caplog.messages[0].endswith("; the model continues texts and does not chat")


def test_an_empty_template_is_none(header: Callable[..., Header]) -> None:
    assert chatting(header(template=" \n")).format == ChatML()


def test_a_template_of_another_type_is_none(write_gguf: Write) -> None:
    path = write_gguf(change={"tokenizer.chat_template": ("uint32", 7)})
    assert chatting(read_header(path)).format == ChatML()
