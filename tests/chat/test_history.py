"""`History`: trees of messages, streaming replies, two programs at once. The model in plain Python is the oracle."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seallm_edge import HistoryError, paths
from seallm_edge.chat import History, StoredConversation
from seallm_edge.chat.records import ROLES, title_from


@pytest.fixture
def history() -> Iterator[History]:
    with History() as opened:
        yield opened


def contents(history: History, leaf: int) -> list[str]:
    return [message.content for message in history.path(leaf)]


def test_the_file_is_in_the_home_and_private(history: History) -> None:
    history.create()
    assert history.file == paths.history_file() == paths.home() / "history.sqlite"
    if os.name == "posix":
        assert history.file.stat().st_mode & 0o777 == 0o600


def test_a_conversation_keeps_its_settings(history: History) -> None:
    key = history.create("Makan", model="smollm2", system="Be brief.", persona="guru")
    created = history.conversation(key).created
    assert history.conversation(key) == StoredConversation(
        *(key, "Makan", created, created, "smollm2", "Be brief.", "guru", None, None)
    )
    history.rename(key, "Minum")
    history.set_system(key, "Jawab singkat.", "murid")
    changed = history.conversation(key)
    assert (changed.title, changed.system, changed.persona) == ("Minum", "Jawab singkat.", "murid")


def test_messages_are_a_path_from_the_first_to_the_leaf(history: History) -> None:
    key = history.create()
    first = history.add_message(key, None, "user", "Hi")
    reply = history.add_message(key, first, "assistant", "Halo!", model="smollm2", figures={"tokens": 2})
    stored = history.path(reply)
    assert [(one.role, one.content, one.parent, one.state) for one in stored] == [
        ("user", "Hi", None, "complete"),
        ("assistant", "Halo!", first, "complete"),
    ]
    assert (stored[1].model, stored[1].figures, stored[0].figures) == ("smollm2", {"tokens": 2}, None)
    stands = history.conversation(key)
    assert (stands.leaf, stands.model, stands.updated) == (reply, "smollm2", stored[1].created)


def test_an_edit_and_a_retry_are_siblings_and_overwrite_nothing(history: History) -> None:
    key = history.create()
    first = history.add_message(key, None, "user", "Hi")
    reply = history.add_message(key, first, "assistant", "Halo!")
    retry = history.add_message(key, first, "assistant", "Hai!")
    edit = history.add_message(key, None, "user", "Hello")
    assert [one.id for one in history.branches(retry)] == [reply, retry]
    assert [one.id for one in history.branches(first)] == [first, edit]
    assert [one.id for one in history.children(first)] == [reply, retry]
    assert history.children(edit) == []
    assert contents(history, reply) == ["Hi", "Halo!"]
    assert history.conversation(key).leaf == edit
    history.set_leaf(key, reply)
    assert history.conversation(key).leaf == reply
    history.set_leaf(key, None)
    assert history.conversation(key).leaf is None


def test_a_message_of_another_conversation_is_no_parent_and_no_leaf(history: History) -> None:
    own, other = history.create(), history.create()
    message = history.add_message(other, None, "user", "Hi")
    for use in (
        lambda: history.add_message(own, message, "assistant", "Halo!"),
        lambda: history.set_leaf(own, message),
        lambda: history.set_context_start(own, message),
    ):
        with pytest.raises(HistoryError) as refused:
            use()
        assert refused.value.message == f"message {message} belongs to another conversation, {other!r}"
    assert history.tree(own).messages == ()


def test_the_list_shows_the_latest_first_under_titles_or_first_lines(history: History) -> None:
    long = history.create()
    history.add_message(long, None, "user", "\n  " + "น้ำ" * 100 + "\nxin")
    named = history.create("Makan")
    empty = history.create()
    history.add_message(named, None, "user", "Hi")
    listed = [(one.id, one.title, one.n_messages) for one in history.conversations()]
    assert listed == [(named, "Makan", 1), (empty, "", 0), (long, "น้ำ" * 60 + "…", 1)]
    assert [one.id for one in history.conversations(limit=1, offset=1)] == [empty]
    assert history.conversations(limit=0) == []


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("", ""),
        (" \n\t\n Hi \nthere", "Hi"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 60 + "…"),
        ("ກໍ່" * 60, "ກໍ່" * 60),
        ("👩\u200d🍳" * 66 + "xyz", "👩\u200d🍳" * 60 + "…"),
        (("e" + "\u0301" * 9) * 30, ("e" + "\u0301" * 9) * 19 + "…"),
    ],
)
def test_a_title_is_the_first_line_in_whole_grapheme_clusters(text: str, title: str) -> None:
    assert title_from(text) == title


def test_a_streaming_reply_reads_as_its_text_so_far_and_is_finished_whole(history: History) -> None:
    key = history.create()
    first = history.add_message(key, None, "user", "Hi")
    reply = history.add_message(key, first, "assistant", "", state="streaming")
    for delta in ("Ha", "", "lo\0", "!"):
        history.append(reply, delta)
    assert (history.message(reply).content, history.message(reply).state) == ("Halo\0!", "streaming")
    history.finish(reply, "Halo.", figures={"tokens": 3})
    finished = history.message(reply)
    assert (finished.content, finished.state, finished.figures) == ("Halo.", "complete", {"tokens": 3})
    assert history.conversation(key).updated > finished.created


def test_a_finished_reply_takes_no_more_text(history: History) -> None:
    key = history.create()
    reply = history.add_message(key, None, "assistant", "", state="streaming")
    history.finish(reply, "Halo", "cut")
    for use in (lambda: history.append(reply, "!"), lambda: history.finish(reply, "Halo!")):
        with pytest.raises(HistoryError, match=f"^message {reply} is finished: its state is 'cut'"):
            use()
    assert history.message(reply).content == "Halo"


def test_another_program_recovers_a_reply_and_its_living_writer_goes_on(history: History) -> None:
    key = history.create()
    reply = history.add_message(key, None, "assistant", "", state="streaming")
    history.append(reply, "Selamat ")
    assert history.recover(key) == []  # its own
    with History() as other:
        assert other.recover(key) == [reply]
        assert (other.message(reply).state, other.message(reply).content) == ("cut", "Selamat ")
        assert [match.message for match in other.search("selamat")] == [reply]
        history.append(reply, "pagi")
        assert (other.message(reply).state, other.message(reply).content) == ("streaming", "Selamat pagi")
        assert other.recover(key) == [reply]
    history.finish(reply, "Selamat pagi!")
    assert (history.message(reply).state, history.message(reply).content) == ("complete", "Selamat pagi!")
    assert [match.message for match in history.search("pagi!")] == [reply]


def test_removing_leaves_nothing_and_shrinks_the_file(history: History) -> None:
    kept = history.create("kept")
    message = history.add_message(kept, None, "user", "ข้าวผัด")
    key = history.create("gone")
    for _ in range(20):
        history.add_message(key, None, "user", "".join(map(chr, range(0x4E00, 0x5A00))))
    streaming = history.add_message(key, None, "assistant", "", state="streaming")
    history.append(streaming, "x" * 100_000)
    history.remove(key)
    assert history.file.stat().st_size < 200_000
    assert [one.id for one in history.conversations()] == [kept]
    assert history.search("一丁") == []
    assert [match.message for match in history.search("ข้าว")] == [message]
    for use in (lambda: history.conversation(key), lambda: history.remove(key), lambda: history.rename(key, "x")):
        with pytest.raises(HistoryError, match=f"^no conversation has the id {key!r}"):
            use()
    with pytest.raises(HistoryError, match=f"^no message has the id {streaming}"):
        history.append(streaming, "y")


def test_the_text_of_a_removed_conversation_is_in_no_byte_of_the_file() -> None:
    secrets = ("ខ្", "្ញ", "ဆန", "សួ", "ဟင")

    def stored() -> list[str]:
        content = paths.history_file().read_bytes()
        assert b"rice" in content
        return [text for text in secrets if text.encode() in content]

    with History() as history:
        kept, key = history.create(), history.create()
        history.add_message(kept, None, "user", "rice " * 50)
        history.add_message(key, None, "user", "ខ្ញុំ" * 50)
        reply, abandoned = (history.add_message(key, None, "assistant", "", state="streaming") for _ in range(2))
        history.append(reply, "ဆန်" * 50)
        with History() as other:
            other.recover(key)
        history.finish(reply, "សួស្តី")
        history.append(abandoned, "ဟင်း" * 50)
    assert len(stored()) >= 4
    with History() as history:
        history.remove(key)
    assert stored() == []


def test_figures_that_json_cannot_express_are_null(history: History) -> None:
    message = history.add_message(
        history.create(), None, "assistant", "", figures={"speed": float("inf"), "times": [float("nan"), 1.5]}
    )
    assert history.message(message).figures == {"speed": None, "times": [None, 1.5]}


def test_of_conversations_with_the_same_time_the_later_stored_comes_first(history: History) -> None:
    tree = history.tree(history.create())
    keys = history.insert([tree] * 5)
    assert [one.id for one in history.conversations(limit=5)] == keys[::-1]


def test_unknown_ids_roles_and_states_are_named(history: History) -> None:
    key = history.create()
    for use, message in (
        (lambda: history.conversation("\ud800"), "no conversation has the id '\\ud800'"),
        (lambda: history.message(7), "no message has the id 7"),
        (lambda: history.path(7), "no message has the id 7"),
        (lambda: history.children(-1), "no message has the id -1"),
        (lambda: history.branches(7), "no message has the id 7"),
        (lambda: history.message(1 << 70), "a number is too large for the history"),
        (lambda: history.add_message("x", None, "user", ""), "no conversation has the id 'x'"),
        (lambda: history.add_message(key, 7, "user", ""), "no message has the id 7"),
        (lambda: history.add_message(key, None, "tool", ""), "a message has the role 'tool'"),
        (lambda: history.add_message(key, None, "user", "", state="x"), "a message has the state 'x'"),
        (lambda: history.set_leaf(key, 7), "no message has the id 7"),
        (lambda: history.set_context_start(key, 0), "no message has the id 0"),
    ):
        with pytest.raises(HistoryError) as refused:
            use()
        assert refused.value.message == message
    assert history.tree(key).messages == ()


def test_lone_surrogates_are_stored_as_replacement_characters(history: History) -> None:
    key = history.create("a\ud800b", system="\udfff")
    message = history.add_message(key, None, "user", "🍚\udc00")
    assert history.conversation(key).title == "a\ufffdb"
    assert history.message(message).content == "🍚\ufffd"


def test_a_closed_history_says_so(history: History) -> None:
    history.create()
    history.close()
    history.close()
    with pytest.raises(HistoryError, match=r"^the history is closed"):
        history.conversations()


def test_a_conversation_is_found_by_title_or_by_a_beginning_of_title_or_id(history: History) -> None:
    rice, pho = history.create("Cơm tấm"), history.create()
    history.add_message(pho, None, "user", "Phở là gì?")
    for name in ("Cơm tấm", "cơm", rice, rice[:9], "Co\u031bm", " CƠM  TẤM "):
        assert history.find(name).id == rice
    assert history.find("phở").id == pho
    history.create("Cơm tấm sườn")
    assert history.find("cơm tấm").id == rice


def test_a_name_that_fits_none_or_several_is_refused_with_the_nearest(history: History) -> None:
    first, second = history.create("nasi lemak"), history.create("nasi goreng")
    with pytest.raises(HistoryError) as refused:
        history.find("nasi lemka")
    assert refused.value.message == "no conversation has the title or id 'nasi lemka'; did you mean 'nasi lemak'?"
    with pytest.raises(HistoryError) as refused:
        history.find("nasi")
    assert refused.value.message == "2 conversations have a title or id that begins with 'nasi'"
    assert str(refused.value.hint) == f"give an id: {second} (nasi goreng), {first} (nasi lemak)"
    history.create("nasi lemak")
    with pytest.raises(HistoryError, match=r"^2 conversations have the title 'nasi lemak'"):
        history.find("nasi lemak")
    with pytest.raises(HistoryError, match=r"^no conversation has the title or id ''"):
        history.find("")


class PlainModel:
    """The same conversations in dicts: {id: leaf} and {id: (conversation, parent, role, content, state)}."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.leaves: dict[str, int | None] = {}
        self.messages: dict[int, list[Any]] = {}

    def do(self, kind: str, number: int, text: str) -> None:
        keys = list(self.leaves)
        if not keys:
            kind = "create"
        key = keys[number % len(keys)] if keys else ""
        own = [id_ for id_, one in self.messages.items() if one[0] == key]
        streaming = [id_ for id_ in own if self.messages[id_][4] == "streaming"]
        if not streaming and kind in ("append", "finish"):
            kind = "stream"
        getattr(self, kind)(key, number, text, own, streaming)

    def create(self, key: str, number: int, text: str, own: list[int], streaming: list[int]) -> None:
        self.leaves[self.history.create(text)] = None

    def add(self, key: str, number: int, text: str, own: list[int], streaming: list[int], state="complete") -> None:
        parent, role = [None, *own][number % (len(own) + 1)], ROLES[number % 3]
        self.leaves[key] = self.history.add_message(key, parent, role, text, state=state)
        self.messages[self.leaves[key]] = [key, parent, role, text, state]

    def stream(self, *arguments: Any) -> None:
        self.add(*arguments, state="streaming")

    def append(self, key: str, number: int, text: str, own: list[int], streaming: list[int]) -> None:
        self.history.append(streaming[0], text)
        self.messages[streaming[0]][3] += text

    def finish(self, key: str, number: int, text: str, own: list[int], streaming: list[int]) -> None:
        self.history.finish(streaming[0], text)
        self.messages[streaming[0]][3:] = [text, "complete"]

    def leaf(self, key: str, number: int, text: str, own: list[int], streaming: list[int]) -> None:
        self.leaves[key] = [None, *own][number % (len(own) + 1)]
        self.history.set_leaf(key, self.leaves[key])

    def recover(self, key: str, number: int, text: str, own: list[int], streaming: list[int]) -> None:
        with History(self.history.file) as other:
            assert other.recover(key) == streaming
        for id_ in streaming:
            self.messages[id_][4] = "cut"

    def remove(self, key: str, number: int, text: str, own: list[int], streaming: list[int]) -> None:
        self.history.remove(key)
        del self.leaves[key]
        for id_ in own:
            del self.messages[id_]

    def path(self, leaf: int | None) -> list[int]:
        return [] if leaf is None else [*self.path(self.messages[leaf][1]), leaf]

    def branches(self, message: int) -> list[int]:
        return [id_ for id_, one in self.messages.items() if one[:2] == self.messages[message][:2]]

    def matches(self, letter: str) -> list[int]:
        found = [id_ for id_, one in self.messages.items() if letter in one[3] and one[4] != "streaming"]
        return sorted(found, reverse=True)


KINDS = ["create", "add", "add", "stream", "append", "append", "finish", "leaf", "recover", "remove"]
ACTIONS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 30), st.text("ab ก\n", max_size=6)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_random_edits_and_branches_agree_with_a_model_in_plain_python(actions: list[tuple[str, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder, History(Path(folder) / "history.sqlite") as history:
        model = PlainModel(history)
        for action in actions:
            model.do(*action)
        listed = [one.id for one in history.conversations()]
        assert {key: history.conversation(key).leaf for key in listed} == model.leaves
        stored = [one for key in listed for one in history.tree(key).messages]
        assert {
            one.id: [one.conversation, one.parent, one.role, one.content, one.state] for one in stored
        } == model.messages
        for id_ in model.messages:
            assert [one.id for one in history.path(id_)] == model.path(id_)
            assert [one.id for one in history.branches(id_)] == model.branches(id_)
        assert [match.message for match in history.search("ก", limit=100)] == model.matches("ก")


def test_threads_share_one_history(history: History) -> None:
    key = history.create()

    def write(number: int) -> None:
        reply = history.add_message(key, None, "assistant", "", state="streaming")
        for delta in range(30):
            history.append(reply, f"{number}.{delta} ")
            history.conversations()
        history.finish(reply, history.message(reply).content)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = sorted(one.content for one in history.tree(key).messages)
    assert stored == ["".join(f"{number}.{delta} " for delta in range(30)) for number in range(4)]


WRITER = """
import sys
from seallm_edge.chat.history import History
history = History()
key, name = sys.argv[1:]
reply = history.add_message(key, None, "assistant", "", state="streaming")
print(reply, flush=True)
for number in range(int(1e9) if name == "endless" else 300):
    delta = f"{name}{number} ข้าว "
    history.append(reply, delta)
    print(delta, flush=True)
history.finish(reply, history.message(reply).content)
"""


def writer(key: str, name: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", WRITER, key, name], stdout=subprocess.PIPE)


def test_two_programs_append_to_one_file_at_once(history: History) -> None:
    key = history.create()
    programs = {name: writer(key, name) for name in "ab"}
    for name, program in programs.items():
        output, _ = program.communicate(timeout=60)
        assert program.returncode == 0
        reply, _, acknowledged = output.decode().partition("\n")
        assert history.message(int(reply)).content == acknowledged.replace("\n", "")
        assert history.message(int(reply)).content == "".join(f"{name}{number} ข้าว " for number in range(300))
    assert [one.state for one in history.tree(key).messages] == ["complete", "complete"]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("n_deltas", [1, 40, 400])
def test_a_killed_writer_loses_no_acknowledged_delta(history: History, n_deltas: int) -> None:
    key = history.create()
    program = writer(key, "endless")
    assert program.stdout
    with program.stdout as lines:
        reply = int(lines.readline())
        acknowledged = [lines.readline() for _ in range(n_deltas)]
        program.send_signal(signal.SIGKILL)
        acknowledged += lines.readlines()
    program.wait()
    text = b"".join(line.removesuffix(b"\n") for line in acknowledged if line.endswith(b"\n")).decode()
    stored = history.message(reply)
    assert stored.state == "streaming"
    assert stored.content.startswith(text)
    assert len(stored.content) <= len(text) + 50  # at most the delta whose acknowledgement was lost
    assert history.recover(key) == [reply]
    assert history.message(reply).state == "cut"
    assert history.message(reply).content == stored.content
    assert history.recover(key) == []


def test_the_history_needs_no_model() -> None:
    code = "import seallm_edge.chat.history, sys, json; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert {"llama_cpp", "numpy", "seallm_edge.llm", "seallm_edge.engine"}.isdisjoint(loaded)
