"""`Conversation` over a history file: branches, resuming, a full context, a killed program, a history that fails."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seallm_edge import EngineError, InvalidOption, Message, ScriptedEngine, SeaLLM
from seallm_edge.chat import ContextBudget, Conversation, History, branch
from seallm_edge.chat.notices import Notice, NotSaved, TurnsDropped, Unanswered
from seallm_edge.errors import HistoryError, HistoryUnavailable


@pytest.fixture
def history(tmp_path: Path):
    with History(tmp_path / "history.sqlite") as opened:
        yield opened


def model(*replies: object, **options: object) -> SeaLLM:
    return SeaLLM.from_engine(ScriptedEngine(list(replies), **options))


def say(conversation: Conversation, text: str) -> str:
    return "".join(conversation.say(text))


def texts(conversation: Conversation) -> list[str]:
    return [message.content for message in conversation.messages]


def test_each_turn_is_stored_with_the_replys_figures(history: History) -> None:
    conversation = Conversation(model("สวัสดีค่ะ"), "ตอบสั้น ๆ", history=history, persona="brief")
    assert (say(conversation, "สวัสดี"), conversation.is_saved) == ("สวัสดีค่ะ", True)
    stored = history.conversation(conversation.id)
    assert (stored.system, stored.persona, stored.model) == ("ตอบสั้น ๆ", "brief", conversation.llm.name)
    user, reply = history.path(stored.leaf or 0)
    assert (user.role, user.content, user.state) == ("user", "สวัสดี", "complete")
    assert (reply.role, reply.content, reply.state) == ("assistant", "สวัสดีค่ะ", "complete")
    assert reply.figures
    assert reply.figures["finish_reason"] == "stop"


def test_nothing_is_stored_before_the_first_message_and_after_a_refused_one(history: History) -> None:
    conversation = Conversation(model(EngineError("out of memory"), "Halo!"), history=history)
    assert conversation.id == ""
    with pytest.raises(EngineError, match=r"^out of memory$"):
        say(conversation, "Hi")
    assert (history.conversations(), conversation.messages) == ([], [])
    say(conversation, "Hi")
    assert [one.n_messages for one in history.conversations()] == [2]


def test_a_message_and_each_delta_are_stored_before_they_are_shown(history: History) -> None:
    conversation = Conversation(model("Halo!"), history=history)
    deltas = conversation.say("Hi")
    shown = ""
    for delta in deltas:
        shown += delta
        _, reply = history.path(history.conversation(conversation.id).leaf or 0)
        assert (reply.content, reply.state) == (shown, "streaming")
    assert history.message(reply.id).state == "complete"


def test_a_reply_that_is_stopped_is_stored_as_cut(history: History) -> None:
    conversation = Conversation(model("Halo!"), history=history)
    deltas = conversation.say("Hi")
    assert next(deltas) + next(deltas) == "Ha"
    deltas.close()
    assert [(one.content, one.state) for one in conversation.stored_messages] == [("Hi", "complete"), ("Ha", "cut")]
    assert history.path(conversation.stored_messages[-1].id) == conversation.stored_messages


def test_retry_edit_and_undo_make_branches_and_overwrite_nothing(history: History) -> None:
    conversation = Conversation(model("Satu", "Dua", "Tiga", "Empat"), history=history)
    say(conversation, "Hi")
    assert "".join(conversation.retry()) == "Dua"
    assert [one.content for one in conversation.branches()] == ["Satu", "Dua"]
    assert "".join(conversation.edit("Hello")) == "Tiga"
    assert texts(conversation) == ["Hello", "Tiga"]
    assert (conversation.undo(), conversation.messages) == ("Hello", [])
    say(conversation, "Apa kabar?")
    tree = history.tree(conversation.id)
    assert [one.content for one in tree.messages] == ["Hi", "Satu", "Dua", "Hello", "Tiga", "Apa kabar?", "Empat"]
    conversation.go_to(tree.messages[0].id)
    assert texts(conversation) == ["Hi", "Dua"]
    conversation.go_to(tree.messages[1].id)
    assert texts(conversation) == ["Hi", "Satu"]


def test_another_reply_needs_a_message() -> None:
    conversation = Conversation(model("Halo!"))
    with pytest.raises(InvalidOption, match="no message to answer"):
        list(conversation.retry())
    with pytest.raises(InvalidOption, match="no message to answer"):
        list(conversation.edit("Hi"))


@pytest.mark.parametrize(
    "again", [lambda conversation: conversation.retry(), lambda conversation: conversation.edit("x")]
)
def test_another_reply_that_fails_leaves_the_branch_as_it_was(history: History, again) -> None:
    conversation = Conversation(model("Satu", EngineError("out of memory"), "Dua"), history=history)
    say(conversation, "Hi")
    before = conversation.stored_messages
    with pytest.raises(EngineError):
        list(again(conversation))
    assert conversation.stored_messages == before
    assert history.conversation(conversation.id).leaf == before[-1].id
    assert len(history.tree(conversation.id).messages) == 2


def test_a_resumed_conversation_goes_on_with_another_model(history: History) -> None:
    first = Conversation(model("Halo!"), "Be brief.", history=history, persona="brief")
    say(first, "Hi")
    engine = ScriptedEngine(["Baik."])
    resumed = Conversation.resume(SeaLLM.from_engine(engine), history, first.id, sampling={"max_tokens": 20})
    assert (resumed.system, resumed.persona, resumed.id) == ("Be brief.", "brief", first.id)
    assert resumed.messages == [Message("user", "Hi"), Message("assistant", "Halo!")]
    assert say(resumed, "Apa kabar?") == "Baik."
    assert "Be brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHalo!" in engine.prompts[0]
    assert len(history.path(history.conversation(first.id).leaf or 0)) == 4


def test_clear_begins_another_conversation_and_keeps_the_old_one(history: History) -> None:
    conversation = Conversation(model("Satu", "Dua"), history=history)
    say(conversation, "Hi")
    first = conversation.id
    conversation.clear()
    say(conversation, "Hello")
    assert [one.id for one in history.conversations()] == [conversation.id, first]


class TestFullContext:
    SPACE = ContextBudget(reply_tokens=60)

    def conversation(self, history: History, notices: list[Notice], n_ctx: int = 600) -> Conversation:
        llm = model(*[f"{number} " * 10 for number in range(10, 30)], n_ctx=n_ctx)
        return Conversation(llm, "Short.", history=history, budget=self.SPACE, on_notice=notices.append)

    def test_the_oldest_turns_leave_with_a_notice_and_stay_in_the_history(self, history: History) -> None:
        notices: list[Notice] = []
        conversation = self.conversation(history, notices)
        n_turns = 0
        while not notices:
            say(conversation, f"Question {n_turns} " * 3)
            n_turns += 1
        (notice,) = notices
        assert isinstance(notice, TurnsDropped)
        assert str(notice) == f"the {notice.n_turns} oldest turns left the context"
        report = conversation.context()
        is_in = [entry.is_in_context for entry in report.entries]
        assert is_in == [True] + [False] * 2 * notice.n_turns + [True] * 2 * (n_turns - notice.n_turns)
        assert report.n_tokens < self.SPACE.prompt_tokens(600)
        assert len(conversation.messages) == 2 * n_turns
        assert len(history.tree(conversation.id).messages) == 2 * n_turns
        prompt = conversation.llm._engine.prompts[-1]
        assert "Short." in prompt
        assert "Question 0" not in prompt
        assert f"Question {n_turns - 1}" in prompt
        say(conversation, "Another")  # and now there is space for some turns
        assert len(notices) == 1

    def test_a_resumed_conversation_has_the_same_turns_in_its_context(self, history: History) -> None:
        notices: list[Notice] = []
        conversation = self.conversation(history, notices)
        while not notices:
            say(conversation, "Question " * 3)
        before = conversation.context()
        resumed = Conversation.resume(model("x", n_ctx=600), history, conversation.id, budget=self.SPACE)
        assert resumed.context() == before
        larger = Conversation.resume(model("x", n_ctx=4000), history, conversation.id, budget=self.SPACE)
        assert all(entry.is_in_context for entry in larger.context().entries)

    def test_if_only_the_newest_message_fits_the_next_prompt_begins_with_it(self, history: History) -> None:
        notices: list[Notice] = []
        conversation = self.conversation(history, notices, n_ctx=400)
        say(conversation, "Hi")
        say(conversation, "long " * 58)
        assert [str(notice) for notice in notices] == ["the oldest turn left the context"]
        assert [entry.is_in_context for entry in conversation.context().entries] == [True, False, False, True, True]


def test_prefill_reads_what_is_typed_and_stores_nothing(history: History) -> None:
    engine = ScriptedEngine(["Halo!", "x", "Baik."])
    conversation = Conversation(SeaLLM.from_engine(engine), history=history)
    say(conversation, "Hi")
    stream = conversation.prefill("Apa ka")
    assert stream
    stream.read()
    assert engine.prompts[1].endswith("Apa ka<|im_end|>\n<|im_start|>assistant\n")
    assert texts(conversation) == ["Hi", "Halo!"]
    assert say(conversation, "Apa kabar?") == "Baik."


def test_prefill_leaves_a_full_context_alone() -> None:
    conversation = Conversation(model("Halo!", n_ctx=200))
    assert conversation.prefill("long " * 60) is None


class FailingHistory(History):
    """History whose disk is full from the `n`-th write on."""

    def __init__(self, path: Path, n: int) -> None:
        super().__init__(path)
        self.n_left = n

    def _spend(self) -> None:
        self.n_left -= 1
        if self.n_left < 0:
            raise HistoryUnavailable(f"{self.file} cannot grow: its disk is full")


def _failing(name: str):
    def method(self: FailingHistory, *arguments: object, **options: object):
        self._spend()
        return getattr(History, name)(self, *arguments, **options)

    return method


for _name in ("create", "add_message", "append", "finish", "set_leaf", "set_context_start", "discard", "remove"):
    setattr(FailingHistory, _name, _failing(_name))


@pytest.mark.parametrize("n_writes", range(30))
def test_wherever_the_history_fails_the_conversation_goes_on_in_memory(tmp_path: Path, n_writes: int) -> None:
    notices: list[Notice] = []
    llm = model("Satu", "Dua", EngineError("out of memory"), "Tiga")
    history = FailingHistory(tmp_path / "history.sqlite", n_writes)
    conversation = Conversation(llm, history=history, on_notice=notices.append)
    assert say(conversation, "Hi") == "Satu"
    assert "".join(conversation.retry()) == "Dua"
    with pytest.raises(EngineError):
        say(conversation, "Hello")
    assert say(conversation, "Hello") == "Tiga"
    assert texts(conversation) == ["Hi", "Dua", "Hello", "Tiga"]
    assert [one.state for one in conversation.stored_messages] == ["complete"] * 4
    assert list(conversation.tree().branch) == conversation.stored_messages
    if history.n_left >= 0:
        assert (notices, conversation.is_saved) == ([], True)
    else:
        (notice,) = notices
        assert isinstance(notice, NotSaved)
        assert str(notice) == f"this conversation is not saved for now: {history.file} cannot grow: its disk is full"
        assert not conversation.is_saved


@pytest.mark.parametrize("n_writes", range(30))
def test_once_the_disk_has_space_again_everything_is_in_the_file(tmp_path: Path, n_writes: int) -> None:
    history = FailingHistory(tmp_path / "history.sqlite", n_writes)
    conversation = Conversation(model("Satu", "Dua", EngineError("x"), "Tiga", "Empat"), history=history)
    say(conversation, "Hi")
    list(conversation.retry())
    with pytest.raises(EngineError):
        say(conversation, "Hello")
    say(conversation, "Hello")
    history.n_left = 1000
    assert conversation.save()
    say(conversation, "Lagi")
    assert (conversation.is_saved, texts(conversation)) == (True, ["Hi", "Dua", "Hello", "Tiga", "Lagi", "Empat"])
    with History(history.file) as again:
        stored = again.conversation(conversation.id)
        assert again.path(stored.leaf or 0) == conversation.stored_messages
        assert {one.id for one in again.conversations()} == {conversation.id}


@pytest.mark.parametrize("n_writes", range(5, 20))
@pytest.mark.parametrize("again", ["retry", "edit"])
def test_a_failing_file_and_a_failing_reply_leave_the_answer_that_was_there(
    tmp_path: Path, n_writes: int, again: str
) -> None:
    history = FailingHistory(tmp_path / "history.sqlite", 1000)
    conversation = Conversation(model("Satu", EngineError("out of memory"), "Dua"), history=history)
    say(conversation, "Hi")
    history.n_left = n_writes - 5
    with pytest.raises(EngineError, match=r"^out of memory$"):
        list(conversation.retry() if again == "retry" else conversation.edit("Hello"))
    assert texts(conversation) == ["Hi", "Satu"]
    assert list(conversation.tree().branch) == conversation.stored_messages
    assert say(conversation, "Lagi") == "Dua"


def test_conversations_that_were_left_unsaved_are_saved_too(tmp_path: Path) -> None:
    history = FailingHistory(tmp_path / "history.sqlite", 1000)
    conversation = Conversation(model("Satu", "Dua", "Tiga"), history=history)
    say(conversation, "Hi")
    first = conversation.id
    history.n_left = 0
    say(conversation, "Hello")
    conversation.clear()
    say(conversation, "Lagi")
    assert not conversation.save()
    history.n_left = 1000
    assert conversation.save()
    with History(history.file) as again:
        stored = {
            one.id: [message.content for message in again.path(again.conversation(one.id).leaf or 0)]
            for one in again.conversations()
        }
    assert stored == {first: ["Hi", "Satu", "Hello", "Dua"], conversation.id: ["Lagi", "Tiga"]}


def test_a_branch_chosen_while_the_disk_fills_is_the_one_that_is_shown(tmp_path: Path) -> None:
    history = FailingHistory(tmp_path / "history.sqlite", 1000)
    conversation = Conversation(model("Satu", "Dua"), history=history)
    say(conversation, "Hi")
    list(conversation.retry())
    history.n_left = 0
    conversation.go_to(conversation.branches()[0].id)
    assert texts(conversation) == ["Hi", "Satu"]
    assert [one.content for one in conversation.tree().branch] == ["Hi", "Satu"]


def test_the_failing_history_fails_at_last_in_some_of_these_tests(tmp_path: Path) -> None:
    history = FailingHistory(tmp_path / "history.sqlite", 10**6)
    say(Conversation(model("Satu"), history=history), "Hi")
    assert 5 < 10**6 - history.n_left < 30


WRITER = """
import itertools, sys
from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.chat import Conversation, History
llm = SeaLLM.from_engine(ScriptedEngine(itertools.repeat("ទីក្រុងភ្នំពេញ " * 40), n_ctx=1 << 20))
with History(sys.argv[1]) as history:
    conversation = Conversation(llm, history=history)
    while True:
        for delta in conversation.say("សួស្តី"):
            sys.stdout.buffer.write(delta.encode()); sys.stdout.buffer.flush()
        sys.stdout.buffer.write(b"\\n"); sys.stdout.buffer.flush()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
@pytest.mark.parametrize("seed", range(10))
def test_after_kill_9_nothing_that_was_shown_is_missing(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "history.sqlite"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        shown = process.stdout.read(1)
        time.sleep(random.Random(seed).uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        shown += process.stdout.read()
    replies = shown.decode().split("\n")
    with History(path) as history:
        (summary,) = history.conversations()
        notices: list[Notice] = []
        conversation = Conversation.resume(model("បាទ"), history, summary.id, on_notice=notices.append)
        stored = [one for one in conversation.stored_messages if one.role == "assistant"]
        assert [one.content for one in stored[: len(replies) - 1]] == replies[:-1]
        if replies[-1]:
            assert stored[len(replies) - 1].content.startswith(replies[-1])
        assert {one.state for one in stored[:-1]} <= {"complete"}
        assert stored[-1].state in ("complete", "cut")
        assert set(map(str, notices)) <= {"the last message has no answer yet: សួស្តី"}
        assert say(conversation, "អរគុណ") == "បាទ"


def test_a_message_whose_program_was_killed_before_the_reply_can_be_answered(history: History) -> None:
    conversation = Conversation(model("Halo!"), history=history)
    say(conversation, "Hi")
    user = history.add_message(conversation.id, conversation.stored_messages[-1].id, "user", "Apa kabar?")
    history.add_message(conversation.id, user, "assistant", "", state="streaming")
    with History(history.file) as again:
        notices: list[Notice] = []
        resumed = Conversation.resume(model("Baik."), again, conversation.id, on_notice=notices.append)
        assert notices == [Unanswered("Apa kabar?")]
        assert texts(resumed) == ["Hi", "Halo!", "Apa kabar?"]
        assert "".join(resumed.retry()) == "Baik."
        assert [one.content for one in again.children(user)] == ["", "Baik."]
        assert [one.content for one in resumed.branches()] == ["Baik."]


def test_a_reply_that_is_without_text_for_long_is_removed(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch, "_LONGEST_PREFILL_SECONDS", 0.0)
    conversation = Conversation(model("Halo!"), history=history)
    say(conversation, "Hi")
    user = history.add_message(conversation.id, conversation.stored_messages[-1].id, "user", "Apa kabar?")
    history.add_message(conversation.id, user, "assistant", "", state="streaming")
    with History(history.file) as again:
        Conversation.resume(model("x"), again, conversation.id, on_notice=lambda _: None)
        assert again.children(user) == []


def test_a_conversation_opened_during_another_programs_prefill_lets_that_go_on(history: History) -> None:
    conversation = Conversation(model("Halo!", "Baik."), history=history)
    say(conversation, "Hi")

    append, is_first = conversation._branch.append, [True]

    def append_later(text: str) -> None:
        """Store a delta; before the first one another program opens the conversation."""
        if is_first and is_first.pop():
            with History(history.file) as other:
                theirs = Conversation.resume(model("Siapa?"), other, conversation.id, on_notice=lambda _: None)
                assert texts(theirs) == ["Hi", "Halo!", "Apa kabar?"]
                assert say(theirs, "Siapa?") == "Siapa?"
        append(text)

    conversation._branch.append = append_later  # type: ignore[method-assign]
    assert say(conversation, "Apa kabar?") == "Baik."
    contents = {one.content: one.state for one in history.tree(conversation.id).messages}
    assert contents == dict.fromkeys(("Hi", "Halo!", "Apa kabar?", "Siapa?", "Baik."), "complete")


def test_a_killed_prefill_of_a_retry_leaves_the_earlier_answer(history: History) -> None:
    conversation = Conversation(model("Satu"), history=history)
    say(conversation, "Hi")
    user = conversation.stored_messages[0]
    history.add_message(conversation.id, user.id, "assistant", "", state="streaming")
    with History(history.file) as again:
        notices: list[Notice] = []
        resumed = Conversation.resume(model("x"), again, conversation.id, on_notice=notices.append)
        assert (notices, texts(resumed)) == ([], ["Hi", "Satu"])
        assert len(resumed.branches()) == 1


def test_one_reply_at_a_time(history: History) -> None:
    conversation = Conversation(model("Halo!", "Baik."), history=history)
    reply = conversation.say("Hi")
    next(reply)
    for call in (conversation.undo, conversation.clear, lambda: list(conversation.say("x"))):
        with pytest.raises(InvalidOption, match="a reply is under way"):
            call()
    reply.close()
    assert say(conversation, "Lagi") == "Baik."


def test_a_turn_that_is_refused_leaves_the_context_as_it_was(history: History) -> None:
    conversation = Conversation(
        model("one " * 40, "two", EngineError("x"), n_ctx=340), history=history, budget=ContextBudget(reply_tokens=40)
    )
    say(conversation, "a")
    say(conversation, "b")
    before = conversation.context()
    with pytest.raises(EngineError):
        say(conversation, "long " * 20)
    assert conversation.context() == before
    assert history.conversation(conversation.id).context_start is None
    history.insert([history.tree(conversation.id)])


def test_another_conversations_message_is_refused_and_nothing_else_changes(history: History) -> None:
    other = Conversation(model("Satu"), history=history)
    say(other, "Hi")
    conversation = Conversation(model("Dua"), history=history)
    say(conversation, "Hello")
    with pytest.raises(HistoryError, match="belongs to another conversation"):
        conversation.go_to(other.stored_messages[-1].id)
    assert (conversation.is_saved, texts(conversation)) == (True, ["Hello", "Dua"])


def test_after_an_undo_the_report_has_what_the_next_prompt_has(history: History) -> None:
    conversation = Conversation(
        model(*["word " * 16] * 9, n_ctx=400), history=history, budget=ContextBudget(reply_tokens=40)
    )
    for number in range(6):
        say(conversation, str(number))
    while conversation.undo():
        assert conversation.context().n_tokens <= 360


def test_a_reply_that_was_cut_goes_on_in_place(history: History) -> None:
    engine = ScriptedEngine(["Satu dua tiga empat.", " tiga empat."])
    conversation = Conversation(SeaLLM.from_engine(engine), history=history)
    for delta in (reply := conversation.say("Hitung!")):
        if delta.endswith("a"):  # of "dua"
            break
    reply.close()
    (cut,) = [one for one in conversation.stored_messages if one.role == "assistant"]
    assert (cut.state, cut.content) == ("cut", "Satu dua"[: len(cut.content)])
    assert "".join(conversation.go_on()) == " tiga empat."
    (whole,) = [one for one in history.tree(conversation.id).messages if one.role == "assistant"]
    assert (whole.id, whole.state, whole.content) == (cut.id, "complete", f"{cut.content} tiga empat.")
    assert engine.prompts[1].endswith(f"<|im_start|>assistant\n{cut.content}")


def test_a_continuation_without_a_token_leaves_the_reply_as_it_was(history: History) -> None:
    conversation = Conversation(model("Halo!", EngineError("no memory")), history=history)
    say(conversation, "Hi")
    before = history.tree(conversation.id)
    with pytest.raises(EngineError):
        list(conversation.go_on())
    assert history.tree(conversation.id).messages == before.messages


def test_only_a_reply_at_the_end_goes_on(history: History) -> None:
    conversation = Conversation(model("Halo!", "Baik.", "Ya."), history=history)
    with pytest.raises(InvalidOption, match="no reply to continue"):
        list(conversation.go_on())
    say(conversation, "Hi")
    first = conversation.stored_messages[-1]
    say(conversation, "Apa kabar?")
    conversation.stand_at(first.id)
    with pytest.raises(HistoryError, match="no reply that can be continued"):
        list(conversation.go_on())


def test_a_message_anywhere_can_be_edited(history: History) -> None:
    conversation = Conversation(model("A", "B", "C", "D"), history=history)
    say(conversation, "1")
    say(conversation, "2")
    conversation.stand_at(conversation.stored_messages[1].id)
    assert say(conversation, "2b") == "C"
    assert texts(conversation) == ["1", "A", "2b", "C"]
    conversation.stand_at(None)
    assert say(conversation, "1b") == "D"
    assert texts(conversation) == ["1b", "D"]
    assert sorted(one.content for one in conversation.branches()) == ["B", "C", "D"]
