"""`seallm sessions`: lists, searches, exports, imports and removals of stored conversations."""

import json
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.chat import History

SEALLM = Any  # the fixture that runs the command line
THAI, KHMER = "ต้มยำกุ้งทำอย่างไร", "តើ​រាជធានី​កម្ពុជា​ជា​អ្វី"


@pytest.fixture
def ids(home: Path) -> list[str]:
    """Ids of three stored conversations, the oldest first: one in Thai, one in Khmer, one with a title."""
    with History() as history:
        stored = []
        for title, question, reply in ((None, THAI, "ใส่กุ้ง"), (None, KHMER, "ភ្នំពេញ"), ("Ibu kota", "Apa?", "Jakarta")):
            id_ = history.create(title)
            user = history.add_message(id_, None, "user", question)
            history.add_message(id_, user, "assistant", reply)
            stored.append(id_)
    return stored


def test_the_list_has_the_newest_first(seallm: SEALLM, ids: list[str]) -> None:
    done = seallm("sessions")
    assert (done.returncode, done.stderr) == (0, b"")
    heading, *lines = done.stdout.decode().splitlines()
    assert heading.split("  ")[0] == "id"
    assert [line.split()[0] for line in lines] == ids[::-1]
    assert [line.rsplit("  ", 1)[1] for line in lines] == ["Ibu kota", KHMER, THAI]
    assert seallm("sessions", "list").stdout == done.stdout
    assert [one["title"] for one in json.loads(seallm("sessions", "list", "--json").stdout)] == [
        "Ibu kota",
        KHMER,
        THAI,
    ]


def test_without_conversations_it_says_how_to_begin(seallm: SEALLM) -> None:
    done = seallm("sessions")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr == b"no conversation is stored yet\n  begin one: seallm chat\n"


@pytest.mark.parametrize(("words", "place"), [("กุ้ง", 0), ("ភ្នំពេញ", 1), ("រាជធានីកម្ពុជា", 1), ("jakarta", 2)])
def test_a_search_finds_words_of_any_script(seallm: SEALLM, ids: list[str], words: str, place: int) -> None:
    done = seallm("sessions", "search", words)
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.decode().splitlines()[::2]} == {ids[place]}
    assert json.loads(seallm("sessions", "search", words, "--json").stdout)[0]["conversation"] == ids[place]


def test_a_search_without_a_match_says_so(seallm: SEALLM, ids: list[str]) -> None:
    done = seallm("sessions", "search", "mangosteen")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"no message holds 'mangosteen'\n"


def test_one_is_shown_renamed_and_found_by_its_new_title(seallm: SEALLM, ids: list[str]) -> None:
    assert seallm("sessions", "show", "ibu").stdout == b"User: Apa?\n\nAssistant: Jakarta\n"
    assert seallm("sessions", "rename", ids[0], "Tom yum").returncode == 0
    assert seallm("sessions", "show", "tom yum").stdout.decode() == f"User: {THAI}\n\nAssistant: ใส่กุ้ง\n"
    done = seallm("sessions", "show", "ibu koat")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == (
        "no conversation has the title or id 'ibu koat'; did you mean 'Ibu kota'?\n  see them all: seallm sessions\n"
    )


def test_an_export_is_imported_again(seallm: SEALLM, ids: list[str], tmp_path: Path) -> None:
    out = tmp_path / "one.json"
    assert seallm("sessions", "export", "ibu", "--format", "json", "-o", out).returncode == 0
    (new,) = seallm("sessions", "import", out).stdout.decode().split()
    with History() as history:
        copied, original = history.tree(new), history.tree(ids[2])
        assert [(one.role, one.content) for one in copied.messages] == [("user", "Apa?"), ("assistant", "Jakarta")]
        assert copied.conversation.title == original.conversation.title
    everything = seallm("sessions", "export", "--all", "-o", tmp_path / "all")
    assert sorted(everything.stdout.decode().split()) == sorted(str(path) for path in (tmp_path / "all").glob("*.md"))
    assert (tmp_path / "all" / f"{ids[0]}.md").read_text(encoding="utf-8").startswith(f"# {THAI}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export"], "an export needs one conversation, or --all\n  seallm sessions lists them\n"),
        (["export", "--all"], "an export of all conversations needs a folder\n  give one: --all --out FOLDER\n"),
        (["remove"], "there is nothing to remove\n  name conversations, or give --all\n"),
        (["import", "nowhere.json"], "no such file or directory: nowhere.json\n"),
    ],
)
def test_wrong_uses_name_the_right_one(seallm: SEALLM, ids: list[str], arguments: list[str], said: str) -> None:
    done = seallm("sessions", *arguments)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (1, b"", said)


def test_a_damaged_import_stores_nothing(seallm: SEALLM, ids: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"messages": [{"role": "user", "content": 5}]}', encoding="utf-8")
    done = seallm("sessions", "import", tmp_path / "bad.json")
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    with History() as history:
        assert len(history.conversations()) == 3


def test_removing_asks_first_and_needs_a_yes_where_nobody_can_be_asked(seallm: SEALLM, ids: list[str]) -> None:
    refused = seallm("sessions", "remove", "ibu")
    assert refused.returncode == 1
    assert refused.stderr.decode().splitlines()[1:] == ["nobody can be asked here", "  give --yes to remove them"]
    assert seallm("sessions", "remove", "ibu", "--yes").returncode == 0
    with History() as history:
        assert [one.id for one in history.conversations()] == ids[1::-1]
    assert seallm("sessions", "remove", "--all", "--yes").returncode == 0
    with History() as history:
        assert history.conversations() == []
