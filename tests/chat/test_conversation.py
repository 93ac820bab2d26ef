"""`Conversation`: the messages of the next prompt after complete, cancelled and refused turns."""

import threading
import time

import pytest

from seallm_edge import ContextOverflow, EngineError, Message, ScriptedEngine, SeaLLM
from seallm_edge.chat import Conversation

SYSTEM = "You are a helpful assistant."
GREETED = [Message("user", "Hi"), Message("assistant", "Halo!")]


def prompt(*messages: tuple[str, str]) -> str:
    """ChatML of `messages`, open for the assistant's."""
    written = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in messages)
    return f"{written}<|im_start|>assistant\n"


def say(conversation: Conversation, text: str) -> str:
    return "".join(conversation.say(text))


def test_a_turn_is_two_messages_and_the_next_prompt_has_them() -> None:
    engine = ScriptedEngine(["Halo!", "Baik."])
    conversation = Conversation(SeaLLM.from_engine(engine))
    assert (say(conversation, "Hi"), conversation.messages) == ("Halo!", GREETED)
    assert say(conversation, "Apa kabar?") == "Baik."
    assert engine.prompts == [
        prompt(("system", SYSTEM), ("user", "Hi")),
        prompt(("system", SYSTEM), ("user", "Hi"), ("assistant", "Halo!"), ("user", "Apa kabar?")),
    ]


def test_its_own_system_message_replaces_the_models_and_is_no_turn() -> None:
    engine = ScriptedEngine(["Halo!"])
    conversation = Conversation(SeaLLM.from_engine(engine), system="Be brief.")
    say(conversation, "Hi")
    assert engine.prompts == [prompt(("system", "Be brief."), ("user", "Hi"))]
    assert conversation.messages == GREETED


def test_sampling_options_hold_for_every_turn() -> None:
    engine = ScriptedEngine(["Halo!", "Halo!"])
    conversation = Conversation(SeaLLM.from_engine(engine), sampling={"max_tokens": 3})
    assert [say(conversation, "Hi"), say(conversation, "Hi")] == ["Hal", "Hal"]
    assert [request.sampling.max_tokens for request in engine.requests] == [3, 3]


def test_the_last_reply_has_the_newest_figures() -> None:
    conversation = Conversation(SeaLLM.from_engine(ScriptedEngine(["Halo!", "Baik sekali."])))
    assert conversation.last_reply is None
    say(conversation, "Hi")
    say(conversation, "Apa kabar?")
    reply = conversation.last_reply
    assert reply
    assert (reply.text, reply.finish_reason, reply.usage.reply_tokens) == ("Baik sekali.", "stop", 12)


def test_a_message_that_overflows_the_context_leaves_everything_as_it_was() -> None:
    conversation = Conversation(SeaLLM.from_engine(ScriptedEngine(["Halo!"], n_ctx=200)))
    say(conversation, "Hi")
    before = conversation.last_reply
    with pytest.raises(ContextOverflow, match="the context holds 200"):
        say(conversation, "long " * 40)
    assert conversation.messages == GREETED
    assert conversation.last_reply is before


def test_a_turn_that_fails_before_its_first_token_is_not_kept() -> None:
    engine = ScriptedEngine(["Halo!", EngineError("out of memory"), "Baik."])
    conversation = Conversation(SeaLLM.from_engine(engine))
    say(conversation, "Hi")
    with pytest.raises(EngineError, match=r"^out of memory$"):
        say(conversation, "Apa kabar?")
    assert conversation.messages == GREETED
    say(conversation, "Apa kabar?")
    assert engine.prompts[2] == engine.prompts[1]


def test_a_reply_interrupted_midway_is_kept_as_far_as_it_came() -> None:
    conversation = Conversation(SeaLLM.from_engine(ScriptedEngine(["Halo!"])))
    pieces = conversation.say("Hi")
    assert next(pieces) + next(pieces) == "Ha"
    with pytest.raises(KeyboardInterrupt):
        pieces.throw(KeyboardInterrupt)
    assert conversation.messages == [Message("user", "Hi"), Message("assistant", "Ha")]
    assert conversation.last_reply
    assert conversation.last_reply.finish_reason == "cancelled"


@pytest.mark.parametrize("turn", [lambda one: one.say("Apa kabar?"), Conversation.retry, lambda one: one.edit("Hey")])
def test_a_turn_that_is_cancelled_before_it_is_read_leaves_everything_as_it_was(turn) -> None:
    conversation = Conversation(SeaLLM.from_engine(ScriptedEngine(["Halo!", "Baik.", "Ya."])))
    say(conversation, "Hi")
    deltas = turn(conversation)
    conversation.cancel()
    assert ([*deltas], conversation.messages) == ([], GREETED)
    assert say(conversation, "Apa kabar?")


def test_cancel_ends_the_reply_that_another_thread_waits_for_and_keeps_its_text() -> None:
    conversation = Conversation(SeaLLM.from_engine(ScriptedEngine(["Halo! " * 1000, "Baik."], delay=0.01)))
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.extend(conversation.say("Hi")))
    reader.start()
    while not read:
        time.sleep(0.001)
    conversation.cancel()
    reader.join(60)
    assert conversation.messages[-1] == Message("assistant", "".join(read))
    assert conversation.stored_messages[-1].state == "cut"
    assert 0 < len(read) < 6000
    assert say(conversation, "Hi") == "Baik."


def test_cancel_without_a_reply_does_nothing() -> None:
    conversation = Conversation(SeaLLM.from_engine(ScriptedEngine(["Halo!", "Baik."])))
    conversation.cancel()
    assert say(conversation, "Hi") == "Halo!"
    conversation.cancel()
    assert say(conversation, "Hi") == "Baik."


def test_clear_forgets_the_turns_and_keeps_the_system_message() -> None:
    engine = ScriptedEngine(["Halo!", "Halo!"])
    conversation = Conversation(SeaLLM.from_engine(engine), system="Be brief.")
    say(conversation, "Hi")
    conversation.clear()
    assert (conversation.messages, conversation.last_reply) == ([], None)
    say(conversation, "Hi")
    assert engine.prompts[1] == engine.prompts[0]


def test_undo_forgets_one_turn_and_tells_what_the_user_said() -> None:
    conversation = Conversation(SeaLLM.from_engine(ScriptedEngine(["Halo!", "Baik."])))
    say(conversation, "Hi")
    say(conversation, "Apa kabar?")
    assert (conversation.undo(), conversation.messages) == ("Apa kabar?", GREETED)
    assert (conversation.undo(), conversation.messages) == ("Hi", [])
    assert conversation.undo() is None
