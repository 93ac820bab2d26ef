"""A pass over the chunks of a long document: its prompts, its notes, and what they become."""

from __future__ import annotations

import pytest

from seallm_edge import InvalidOption, ScriptedEngine, SeaLLM
from seallm_edge.chat import Conversation
from seallm_edge.chat.chunk_pass import ChunkPass, Note
from seallm_edge.documents import Document
from seallm_edge.engine.scripted import Script

TEXT = "".join(f"Item {n} costs {n * 3} baht.\n" for n in range(85))
QUESTION = "What is the dearest item?"


def document(text: str = TEXT) -> Document:
    return Document("prices.txt", text, "text", "UTF-8")


def chunk_pass(*replies: Script, n_ctx: int = 1200, space: int = 1000, **options: object) -> ChunkPass:
    engine = ScriptedEngine(replies, n_ctx=n_ctx)
    return ChunkPass(Conversation(SeaLLM.from_engine(engine), **options), document(), QUESTION, space)


def prompts(a_pass: ChunkPass) -> list[str]:
    return a_pass._conversation.llm._engine.prompts


def test_each_part_is_asked_in_turn_and_nothing_of_the_document_is_left_out() -> None:
    a_pass = chunk_pass("one", "two", "three")
    assert (list(a_pass.run()), len(a_pass.parts)) == ([1, 2, 3], 3)
    assert a_pass.notes == [Note(1, "one", False), Note(2, "two", False), Note(3, "three", False)]
    assert "".join(part.text for part in a_pass.parts) == TEXT
    assert all(part.text in prompt for part, prompt in zip(a_pass.parts, prompts(a_pass), strict=True))
    assert prompts(a_pass)[1].endswith(
        "This is part 2 of 3 of the document. Write short notes on what it says about the following, in the "
        'language of the question. Write only "-" if it says nothing about it.\n\n'
        f"{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert a_pass.message_part() == (
        "Document prices.txt, read in 3 parts; notes on each:\n\nPart 1: one\n\nPart 2: two\n\nPart 3: three\n"
    )


def test_the_announced_tokens_are_those_that_are_read() -> None:
    a_pass = chunk_pass("one", "two", "three")
    list(a_pass.run())
    read = sum(len(request.tokens) for request in a_pass._conversation.llm._engine.requests)
    assert 0 <= a_pass.prompt_tokens - read <= 3 * 32
    assert a_pass.reply_tokens == 3 * 150


def test_the_conversation_is_left_as_it_is_with_its_system_message_and_options() -> None:
    a_pass = chunk_pass("one", "two", "three", system="Be brief.", sampling={"temperature": 0.1})
    list(a_pass.run())
    assert a_pass._conversation.messages == []
    assert all(prompt.startswith("<|im_start|>system\nBe brief.<|im_end|>\n") for prompt in prompts(a_pass))
    requests = a_pass._conversation.llm._engine.requests
    assert {(one.sampling.temperature, one.sampling.max_tokens) for one in requests} == {(0.1, 150)}


def test_notes_that_reach_their_longest_are_counted_as_cut() -> None:
    a_pass = chunk_pass("x" * 500, "two", "three")
    list(a_pass.run())
    assert (a_pass.notes[0], a_pass.n_cut) == (Note(1, "x" * 150, True), 1)


def test_a_part_about_which_nothing_is_said_has_a_dash() -> None:
    a_pass = chunk_pass("", "two", "three")
    list(a_pass.run())
    assert a_pass.notes[0] == Note(1, "-", False)


def test_a_stopped_pass_keeps_its_notes_and_can_go_on() -> None:
    a_pass = chunk_pass("one", "two", "three")
    running = a_pass.run()
    next(running)
    next(running)
    running.close()
    assert a_pass.message_part() == (
        "Document prices.txt, of whose 3 parts these were read; notes on each:\n\nPart 1: one\n"
    )
    assert list(a_pass.run()) == [2, 3]
    assert [note.text for note in a_pass.notes] == ["one", "two", "three"]


def test_an_interrupted_part_keeps_its_notes_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(stream) -> None:  # type: ignore[no-untyped-def]
        next(stream)
        next(stream)
        raise KeyboardInterrupt

    a_pass = chunk_pass("one", "two", "three")
    monkeypatch.setattr("seallm_edge.stream.Stream.read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(a_pass.run())
    assert a_pass.notes == [Note(1, "on", True)]


def test_notes_that_are_too_long_for_one_message_are_read_in_parts_too() -> None:
    a_pass = chunk_pass(*["n" * 140] * 3, "all of them", space=300)
    list(a_pass.run())
    following = a_pass.condensation()
    assert following
    assert (len(following.parts), following.parts[0].text[:10]) == (1, "Part 1: nn")
    list(following.run())
    assert following.condensation() is None
    assert following.message_part() == (
        "Document notes on prices.txt, read in 1 parts; notes on each:\n\nPart 1: all of them\n"
    )


def test_notes_that_fit_are_not_read_again() -> None:
    a_pass = chunk_pass("one", "two", "three")
    list(a_pass.run())
    assert a_pass.condensation() is None


def test_a_context_too_small_for_the_question_is_refused() -> None:
    with pytest.raises(InvalidOption) as caught:
        chunk_pass(n_ctx=500)
    assert caught.value.message == "the question leaves 133 of 500 tokens for each part of prices.txt"
    assert str(caught.value.hint) == "shorten it, or give a larger context=…"


def test_the_demo_finds_in_a_part_what_its_context_cannot_hold_at_once(llm: SeaLLM) -> None:
    filler = "The weather in the village was calm, and nothing happened on that day.\n" * 150
    text = f"{filler}The secret number is 4711.\n{filler}"
    conversation = Conversation(llm, sampling={"temperature": 0})
    a_pass = ChunkPass(conversation, document(text), "What is the secret number?", conversation.message_space)
    assert llm.count_tokens(text) > llm.n_ctx
    assert list(a_pass.run()) == list(range(1, len(a_pass.parts) + 1))
    assert "4711" in "".join(note.text for note in a_pass.notes)
    answer = "".join(conversation.say(f"{a_pass.message_part()}\nWhat is the secret number?"))
    assert conversation.messages[0].content.startswith(f"Document prices.txt, read in {len(a_pass.parts)} parts;")
    assert conversation.messages[1].content == answer != ""
