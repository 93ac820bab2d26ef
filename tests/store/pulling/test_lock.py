"""Tickets, folders and locks of pulls: one process at a time, whatever the model is called."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from seallm_edge import paths
from seallm_edge.errors import HubError, StoreError
from seallm_edge.files.locking import locked_alone
from seallm_edge.hub import Stop
from seallm_edge.store.pulling.lock import Ticket, alone, begun
from seallm_edge.store.pulling.progress import FETCHING, WAITING, Progress, share

TICKET = Ticket("SeaLLMs/tiny", "tiny-Q8_0", "Q8_0", "hf:SeaLLMs/tiny@c0ffee", "0123456789abcdef")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("tiny-Q8_0", "tiny-Q8_0-0123456789ab"),
        ("../../etc/passwd", "etc-passwd-0123456789ab"),
        ("မော်ဒယ် โมเดล", "model-0123456789ab"),
        ("x" * 300, "x" * 80 + "-0123456789ab"),
        ("CON:", "CON-0123456789ab"),
    ],
)
def test_a_key_is_a_harmless_file_name(name: str, key: str) -> None:
    ticket = replace(TICKET, name=name)
    assert ticket.key == key
    assert ticket.folder.parent == paths.incoming_dir()


def test_the_same_files_have_one_key_whatever_they_were_asked_for_as() -> None:
    assert replace(TICKET, model="tiny", is_chosen_here=False).key == TICKET.key
    assert replace(TICKET, digest="f" * 16).key != TICKET.key


def fail(ticket: Ticket) -> None:
    """Begin a pull, receive something, and fail."""
    with alone(ticket, Stop(), None):
        (ticket.folder / "tiny.gguf.partial").write_bytes(bytes(5_000))
        raise ZeroDivisionError


def test_a_pull_that_fails_leaves_its_ticket_and_one_that_succeeds_leaves_nothing() -> None:
    with pytest.raises(ZeroDivisionError):
        fail(TICKET)
    assert begun("SeaLLMs/tiny") == TICKET
    assert TICKET.allocated() > 5_000
    with alone(TICKET, Stop(), None):
        pass
    assert begun("SeaLLMs/tiny") is None
    assert TICKET.allocated() == 0
    assert list(paths.incoming_dir().iterdir()) == []


def test_only_a_type_that_the_program_chose_is_gone_on_with() -> None:
    for ticket in (
        replace(TICKET, is_chosen_here=False),
        replace(TICKET, model="other"),
        replace(TICKET, type_name=""),
    ):
        with pytest.raises(ZeroDivisionError):
            fail(ticket)
    assert begun("SeaLLMs/tiny") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": "SeaLLMs/tiny"}'])
def test_a_damaged_ticket_is_none(content: str) -> None:
    TICKET.folder.mkdir(parents=True)
    (TICKET.folder / "ticket.json").write_text(content)
    assert begun("SeaLLMs/tiny") is None


def test_a_wait_shows_the_other_pulls_progress_and_can_be_stopped() -> None:
    stop, told = Stop(), list[Progress]()

    def tell(progress: Progress) -> None:
        told.append(progress)
        stop.set()

    with alone(TICKET, Stop(), None):
        share(TICKET.progress_file, Progress(FETCHING, 3, 10, speed=1.0, seconds_left=7.0))
        with pytest.raises(HubError, match="the pull was stopped"), alone(TICKET, stop, tell):
            pytest.fail("two have the lock")
    assert told == [Progress(WAITING, 3, 10, speed=1.0, seconds_left=7.0)]


def test_a_wait_ends_with_the_lock_when_the_other_pull_ends() -> None:
    entered = threading.Event()

    def second() -> None:
        with alone(TICKET, Stop(), None):
            assert TICKET.folder.is_dir()
            entered.set()

    with alone(TICKET, Stop(), None):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.1)
    assert entered.wait(30)
    thread.join()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no open file")
def test_a_wait_for_a_lock_that_is_removed_goes_on_with_the_one_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the end of the first pull and the lock of the second, a third one began."""
    third, told = list[IO[bytes]](), list[Progress]()

    def locked(file: IO[bytes]) -> bool:
        if not third:
            TICKET.lock_file.unlink()  # as the first one does at its end
            third.append(TICKET.lock_file.open("ab"))
            assert locked_alone(third[0])
            share(TICKET.progress_file, Progress(FETCHING, 3, 10))
        return locked_alone(file)

    def tell(progress: Progress) -> None:
        told.append(progress)
        third[0].close()

    monkeypatch.setattr("seallm_edge.store.pulling.lock.locked_alone", locked)
    with alone(TICKET, Stop(), tell):
        assert TICKET.lock_file.exists()
    assert told == [Progress(WAITING, 3, 10)]


def test_a_folder_that_cannot_be_written_is_said(home: Path) -> None:
    paths.models_dir().write_text("in the way")
    with pytest.raises(StoreError, match="cannot write in ") as caught, alone(TICKET, Stop(), None):
        pass
    assert "SEALLM_HOME" in str(caught.value.hint)
