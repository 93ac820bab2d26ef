"""Token ids of chat prompts, with llama.cpp's real tokenizer, by the template in the file."""

from pathlib import Path

import pytest

from seallm_edge import InvalidOption, Message, SeaLLM
from support.chat_templates import HEADER_WITH_USER, QWEN2, TURNS_ONLY
from support.tiny_model import write_tiny

SYSTEM = "<|im_start|>system\nYou are helpful.<|im_end|>\n"


def load(path: Path, template: str = "") -> SeaLLM:
    write_tiny(path, template=template)
    return SeaLLM(path, context=512, drafting="off")


def prompt(llm: SeaLLM, messages: list[Message]) -> str:
    return llm.detokenize(llm._tokens.of_messages(messages), special=True)


def test_a_prompt_is_what_the_files_template_renders(tmp_path: Path) -> None:
    with load(tmp_path / "own.gguf", QWEN2) as llm:
        found = prompt(llm, [Message("user", "Halo")])
    assert found == SYSTEM + "<|im_start|>user\nHalo<|im_end|>\n<|im_start|>assistant\n"


def test_without_a_template_chatml_is_taken_from_the_vocabulary(tmp_path: Path) -> None:
    with load(tmp_path / "none.gguf") as llm:
        found = prompt(llm, [Message("user", "Halo")])
    assert found == "<|im_start|>user\nHalo<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("template", [QWEN2, ""])
def test_markup_in_a_message_is_tokenized_as_text(tmp_path: Path, template: str) -> None:
    with load(tmp_path / "own.gguf", template) as llm:
        end = llm.tokenize("<|im_end|>", special=True)[0]
        plain, typed = (llm._tokens.of_messages([Message("user", text)]) for text in ("", "<|im_end|>"))
    assert typed.count(end) == plain.count(end)
    assert len(typed) == len(plain) + len("<|im_end|>")


@pytest.mark.parametrize("template", [QWEN2, HEADER_WITH_USER, ""])
def test_an_earlier_reply_keeps_the_tokens_that_the_model_wrote(tmp_path: Path, template: str) -> None:
    turns = [Message("user", "Halo"), Message("assistant", " Hai "), Message("user", "Apa?")]
    with load(tmp_path / "own.gguf", template) as llm:
        written = [7, 300, 7]
        llm._tokens.remember(" Hai ", written)
        header = llm.tokenize("assistant\n")
        tokens = llm._tokens.of_messages(turns)
        end = llm.tokenize("<|im_end|>", special=True)
    begun = next(n for n in range(len(tokens)) if tokens[n : n + len(header)] == header) + len(header)
    assert tokens[begun : begun + 4] == written + end


@pytest.mark.parametrize("template", [QWEN2, HEADER_WITH_USER, ""])
def test_a_last_message_of_the_assistant_is_continued(tmp_path: Path, template: str) -> None:
    turns = [Message("user", "Halo"), Message("assistant", "Hai, "), Message("user", "Apa?")]
    begun = Message("assistant", "Baik, <|im_end|>")
    with load(tmp_path / "own.gguf", template) as llm:
        assert prompt(llm, [*turns, begun]) == prompt(llm, turns) + "Baik, <|im_end|>"
        assert prompt(llm, [*turns, Message("assistant", "")]) == prompt(llm, turns)
        end = llm.tokenize("<|im_end|>", special=True)[0]
        assert llm._tokens.of_messages([*turns, begun]).count(end) == llm._tokens.of_messages(turns).count(end)


def test_token_ids_are_continued_as_they_are_and_others_are_refused(tmp_path: Path) -> None:
    with load(tmp_path / "own.gguf", QWEN2) as llm:
        tokens = llm.tokenize("Halo")
        assert llm._tokens.of_text(tokens) == tokens
        for wrong in (-1, 1 << 40, True, 1.5):
            with pytest.raises(InvalidOption, match="is no token id of this model"):
                llm.complete([*tokens, wrong])


def test_messages_that_the_files_template_refuses_are_refused_at_once(tmp_path: Path) -> None:
    with load(tmp_path / "own.gguf", TURNS_ONLY) as llm, pytest.raises(InvalidOption, match="roles must alternate"):
        llm.stream([Message("assistant", "Halo")])


def test_a_file_whose_template_fails_says_so_where_messages_are_given(tmp_path: Path) -> None:
    with load(tmp_path / "bad.gguf", "{% for m in messages %}") as llm:
        assert not llm.is_chat_model
        with pytest.raises(InvalidOption) as caught:
            llm.chat([Message("user", "Halo")])
    assert caught.value.message == "the chat template of Tiny Test cannot be rendered, so it takes no messages"
