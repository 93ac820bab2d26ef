"""Export as Markdown, text and JSON, and import of our JSON and that of other programs, damaged ones included."""

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seallm_edge import HistoryError
from seallm_edge.chat import ConversationTree, History, StoredConversation, StoredMessage
from seallm_edge.chat.exporting import EXPORTS, as_json, as_markdown, as_text
from seallm_edge.chat.importing import conversations_from_json


@pytest.fixture
def history() -> Iterator[History]:
    with History() as opened:
        yield opened


def branched(history: History) -> ConversationTree:
    """A conversation with a retry, an edit, a reply that was cut, and settings."""
    key = history.create("ข้าวผัด", model="demo", system="Be brief.", persona="guru")
    first = history.add_message(key, None, "user", "Hi\n")
    history.add_message(key, first, "assistant", "Halo!", model="demo", figures={"tokens": 2, "rate": 1.5})
    retry = history.add_message(key, first, "assistant", "", state="streaming")
    history.finish(retry, "Hai", "cut")
    history.add_message(key, None, "user", "ສະບາຍດີ\0")
    history.set_leaf(key, retry)
    history.set_context_start(key, first)
    return history.tree(key)


def by_place(tree: ConversationTree) -> ConversationTree:
    """The tree with places in the list for ids, to compare trees that have ids of their own."""
    ids: dict[int | None, int | None] = {None: None} | {one.id: number for number, one in enumerate(tree.messages)}
    conversation = replace(
        tree.conversation,
        id="",
        leaf=ids[tree.conversation.leaf],
        context_start=ids[tree.conversation.context_start],
    )
    messages = (replace(one, id=ids[one.id], conversation="", parent=ids[one.parent]) for one in tree.messages)
    return ConversationTree(conversation, tuple(messages))


def imported(history: History, value: Any) -> list[ConversationTree]:
    return [history.tree(key) for key in history.insert(conversations_from_json(json.dumps(value)))]


def spoken(tree: ConversationTree) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in tree.branch]


def test_markdown_shows_the_branch_under_headings(history: History) -> None:
    tree = branched(history)
    dated = replace(tree, conversation=replace(tree.conversation, created=0.0))
    assert as_markdown(dated) == (
        "# ข้าวผัด\n\n1970-01-01 00:00 UTC · demo\n\n## System\n\nBe brief.\n\n"
        "## User\n\nHi\n\n\n## Assistant (cut)\n\nHai\n"
    )


def test_text_shows_the_branch_after_the_roles(history: History) -> None:
    assert as_text(branched(history)) == "System: Be brief.\n\nUser: Hi\n\n\nAssistant (cut): Hai\n"


def test_an_empty_conversation_is_exported_too(history: History) -> None:
    tree = history.tree(history.create())
    undated = replace(tree, conversation=replace(tree.conversation, created=1e300))
    assert (as_markdown(undated), as_text(tree)) == ("# Conversation\n\n\n", "\n")
    assert set(EXPORTS) == {"md", "txt", "json"}


def test_exported_json_is_imported_as_an_equal_conversation(history: History) -> None:
    tree = branched(history)
    (key,) = history.insert(conversations_from_json(as_json(tree)))
    again = history.tree(key)
    assert key != tree.conversation.id
    assert by_place(again) == by_place(tree)
    assert again.branch[-1].content == "Hai"
    assert len(history.search("ສະບາຍ")) == 2
    both = f"[{as_json(tree)}, {as_json(again)}]".encode("utf-8-sig")
    assert [by_place(one) for one in conversations_from_json(both)] == 2 * [by_place(tree)]


TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
TIME = st.floats(-1e9, 1e10)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner),
    max_leaves=4,
)


@st.composite
def trees(draw: st.DrawFn) -> ConversationTree:
    messages = [
        StoredMessage(
            *(
                number,
                "",
                draw(st.sampled_from([None, *range(1, number)])),
                draw(st.sampled_from(["user", "assistant"])),
            ),
            *(draw(TEXT), draw(TIME), draw(st.sampled_from(["complete", "cut"])), draw(st.none() | TEXT)),
            draw(st.none() | st.dictionaries(TEXT, JSON, max_size=2)),
        )
        for number in range(1, draw(st.integers(1, 8)))
    ]
    ids = st.sampled_from([None, *(one.id for one in messages)])
    settings_ = [draw(st.none() | TEXT), draw(TIME), draw(TIME), *(draw(st.none() | TEXT) for _ in range(3))]
    return ConversationTree(StoredConversation("", *settings_, draw(ids), draw(ids)), tuple(messages))


@settings(max_examples=80, deadline=None)
@given(tree=trees())
def test_any_tree_survives_export_import_and_the_file(tmp_path_factory, tree: ConversationTree) -> None:
    with History(tmp_path_factory.mktemp("home") / "history.sqlite") as history:
        (key,) = history.insert(conversations_from_json(as_json(tree)))
        assert by_place(history.tree(key)) == by_place(tree)


OPENAI = {
    "title": "Nasi",
    "model": "gpt",
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi, "}, {"type": "image_url"}, "you"]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": "Halo!"},
        {"role": "system", "content": "Jawab singkat."},
        {"role": "user", "content": ""},
    ],
}


def test_messages_as_in_openais_api_are_imported(history: History) -> None:
    for value in (OPENAI, [OPENAI], [{**OPENAI, "title": None}, OPENAI]):
        tree = imported(history, value)[-1]
        assert (tree.title, tree.conversation.system, tree.conversation.model) == ("Nasi", "Be brief.", "gpt")
        expected = [("user", "Hi, you"), ("assistant", "Halo!"), ("system", "Jawab singkat."), ("user", "")]
        assert spoken(tree) == expected
    (tree,) = imported(history, [{"role": "user", "content": "Hi"}])
    assert (spoken(tree), tree.conversation.leaf) == ([("user", "Hi")], tree.messages[0].id)
    (tree,) = imported(history, {"messages": []})
    assert (tree.messages, tree.conversation.leaf) == ((), None)
    assert imported(history, []) == []


def chatgpt_node(parent: str | None, role: str, parts: list[Any], **more: Any) -> dict[str, Any]:
    content = {"content_type": "text", "parts": parts}
    message = {"author": {"role": role}, "create_time": 1700000000.5, "content": content, "recipient": "all", **more}
    return {"message": message, "parent": parent, "children": []}


CHATGPT = {
    "title": "Phở",
    "create_time": 1700000000.25,
    "update_time": 1700000009,
    "default_model_slug": "gpt-x",
    "current_node": "call",
    "mapping": {
        "retry": chatgpt_node("asked", "assistant", ["Bún"], metadata={"model_slug": "gpt-y"}),
        "root": {"message": None, "parent": None},
        "hidden": chatgpt_node("root", "system", [""]),
        "asked": chatgpt_node("hidden", "user", [{"content_type": "image_asset_pointer"}, "Ăn gì?"]),
        "reply": chatgpt_node("asked", "assistant", ["Phở"]),
        "call": chatgpt_node("reply", "assistant", ["search()"], recipient="browser"),
        "thought": {"message": {"author": {"role": "assistant"}, "content": {"thoughts": []}}, "parent": "asked"},
    },
}


def test_an_export_of_chatgpt_is_imported_with_its_branches(history: History) -> None:
    (tree,) = imported(history, [CHATGPT])
    assert (tree.title, tree.conversation.created, tree.conversation.updated) == ("Phở", 1700000000.25, 1700000009.0)
    assert spoken(tree) == [("user", "Ăn gì?"), ("assistant", "Phở")]
    assert [(one.content, one.model) for one in history.children(tree.messages[0].id)] == [
        ("Bún", "gpt-y"),
        ("Phở", None),
    ]


OPEN_WEBUI = [
    {
        "id": "x",
        "created_at": 1700000000,
        "updated_at": 1700000001,
        "chat": {
            "title": "ဆန်",
            "models": ["qwen", "llama"],
            "history": {
                "currentId": "c",
                "messages": {
                    "b": {"id": "b", "parentId": "a", "childrenIds": [], "role": "assistant", "content": "one"},
                    "a": {"id": "a", "parentId": None, "childrenIds": ["b", "c"], "role": "user", "content": "Hi"},
                    "c": {
                        "parentId": "a",
                        "role": "assistant",
                        "content": "two",
                        "model": "m",
                        "timestamp": 1700000005,
                    },
                },
            },
            "messages": [{"role": "user", "content": "not this list"}],
        },
    }
]


def test_an_export_of_open_webui_is_imported_with_its_branches(history: History) -> None:
    (tree,) = imported(history, OPEN_WEBUI)
    assert (tree.title, tree.conversation.model, tree.conversation.created) == ("ဆန်", "qwen", 1700000000.0)
    assert spoken(tree) == [("user", "Hi"), ("assistant", "two")]
    assert [one.content for one in tree.messages] == ["Hi", "one", "two"]
    assert (tree.messages[2].model, tree.messages[2].created) == ("m", 1700000005.0)


OURS = json.loads(
    as_json(
        ConversationTree(
            StoredConversation("x", "t", 1.0, 2.0, None, None, None, 2, None),
            (StoredMessage(1, "x", None, "user", "Hi", 1.0), StoredMessage(2, "x", 1, "assistant", "Halo", 2.0)),
        )
    )
)


def changed(value: Any, place: tuple[str | int, ...], new: Any) -> Any:
    """A copy with another value at a place."""
    result = copy.deepcopy(value)
    inner = result
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = new
    return result


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "the file is no JSON: Expecting value: line 1 column 1 (char 0)"),
        ('{"messages": NaN}', "the file is no JSON: NaN is no number in JSON"),
        (b"\xff", "the file is no JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        ("[" * 100_000, "the file is nested too deeply"),
        (7, "conversation 1 is a number, not an object"),
        ([OPENAI, None], "conversation 2 is nothing, not an object"),
        ([OPENAI, {}], "conversation 2 has none of the fields format, mapping, chat, messages"),
        ({"messages": 1}, "conversation 1 has a number as 'messages', not a list"),
        ({"messages": [{"role": "user"}, 3]}, "conversation 1, message 2 is a number, not an object"),
        ({"messages": [{"content": "x"}]}, "conversation 1, message 1 has nothing as 'role', not a text"),
        (changed(OURS, ("version",), 2), "conversation 1 has the format 'seallm-edge conversation', version 2"),
        (changed(OURS, ("created",), True), "conversation 1 has true or false as 'created', not a time in seconds"),
        (changed(OURS, ("created",), 1e300), "conversation 1 has a number as 'created' that is no time in seconds"),
        (changed(OURS, ("leaf",), 3), "conversation 1 stands at the message 3, which does not exist"),
        (
            changed(OURS, ("leaf",), [1]),
            "conversation 1 has a message whose id or parent is no text and no whole number",
        ),
        (changed(OURS, ("messages", 1, "id"), 1), "conversation 1 has two messages 1"),
        (
            changed(OURS, ("messages", 1, "parent"), "y" * 100),
            f"conversation 1 has a message under the message '{'y' * 59}…, which does not exist",
        ),
        (
            changed(OURS, ("messages", 0, "parent"), 2),
            "conversation 1 has a cycle: message 1 is its own ancestor",
        ),
        (
            changed(OURS, ("messages", 0, "figures"), []),
            "conversation 1, message 1 has a list as 'figures', not an object",
        ),
        (
            changed(OURS, ("messages", 0, "state"), "x"),
            "conversation 1, message 1 has the state 'x'; the states are complete, streaming, cut",
        ),
        (
            changed(CHATGPT, ("mapping", "asked", "message", "author", "role"), "robot"),
            "conversation 1, message 'asked' has the role 'robot'; "
            "the roles are user, assistant, system, developer, tool, function",
        ),
        (
            changed(OPEN_WEBUI, (0, "chat", "history"), None),
            "conversation 1 has nothing as 'history', not an object",
        ),
    ],
)
def test_a_file_that_cannot_be_imported_says_where_and_why(history: History, value: Any, problem: str) -> None:
    with pytest.raises(HistoryError) as refused:
        history.insert(conversations_from_json(value if isinstance(value, str | bytes) else json.dumps(value)))
    assert refused.value.message == f"cannot import: {problem}"
    assert history.conversations() == []


def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([at] if at else []), *(place for name, one in inner for place in places(one, (*at, name)))]


HOSTILE = [
    None,
    True,
    0,
    -1,
    1 << 80,
    1.5,
    "",
    "x",
    "\ud800",
    "a",
    "root",
    [],
    [[]],
    {},
    {"text": 1},
    [None, {"a": []}],
]


@pytest.mark.parametrize("value", [[OPENAI], [CHATGPT], OPEN_WEBUI, [OURS]], ids=["openai", "chatgpt", "webui", "ours"])
def test_a_mutated_file_is_imported_whole_or_not_at_all(history: History, value: Any) -> None:
    refused = 0
    for seed in range(150):
        rng = random.Random(seed)
        mutated = value
        for _ in range(rng.choice((1, 1, 2, 4))):
            mutated = changed(mutated, rng.choice(places(mutated)), copy.deepcopy(rng.choice(HOSTILE)))
        before = [one.id for one in history.conversations()]
        try:
            keys = history.insert(conversations_from_json(json.dumps([OPENAI, *mutated])))
        except HistoryError as error:
            refused += 1
            assert error.message.startswith("cannot import: conversation 2")  # noqa: PT017
            keys = []
        assert {one.id for one in history.conversations()} == {*before, *keys}
        for key in keys:
            assert as_markdown(history.tree(key))
            history.recover(key)
            history.remove(key)
    assert 20 < refused < 150


def test_nothing_is_stored_if_the_file_cannot_hold_all(history: History) -> None:
    (tree,) = conversations_from_json(json.dumps(OURS))
    bad = replace(tree, messages=(replace(tree.messages[0], figures={"x": object()}),))
    with pytest.raises(HistoryError, match=r"^the figures of a message are no JSON"):
        history.insert([tree, bad])
    assert history.conversations() == []


def test_a_long_conversation_needs_no_deep_stack(history: History) -> None:
    n = 5000
    messages = [{"role": "user", "content": str(number)} for number in range(n)]
    (key,) = history.insert(conversations_from_json(json.dumps(messages)))
    tree = history.tree(key)
    assert [message.content for message in tree.branch] == [str(number) for number in range(n)]
    assert tree.conversation.leaf is not None
    assert [message.content for message in history.path(tree.conversation.leaf)] == [str(n_) for n_ in range(n)]
