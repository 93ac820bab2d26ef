"""Stopping a read: from another thread, and by Ctrl-C."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from seallm_edge import HubError
from seallm_edge.hub import FileStream

FILE = "model.safetensors"
AT_FILE = f"SeaLLMs/tiny/{FILE}"  # the storage's part of the path


@contextmanager
def reading(stream: FileStream) -> Iterator[list[Exception]]:
    """Another thread that reads on while the block runs; what it raised, when the block has ended."""
    raised: list[Exception] = []

    def work() -> None:
        try:
            stream.skip(300_000)
        except HubError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    yield raised
    thread.join()


@pytest.mark.parametrize(
    "trouble", [{"stall_after": 5}, {"silent": True}, {"stall_after": 5, "ignore_range": True}], ids=repr
)
def test_closing_from_another_thread_ends_a_read_that_waits_for_bytes(hub, opened, trouble) -> None:
    repository = opened(stall_seconds=600)
    hub.trouble(on=AT_FILE, **trouble)
    stream = repository.stream(repository.files[FILE])
    with reading(stream) as raised:
        assert hub.silenced.wait(60)
        stream.close()
    assert [error.message for error in raised] == [f"the reading of {FILE} was ended"]


def test_closing_from_another_thread_ends_a_read_that_waits_to_try_again(hub, opened, told: list[str]) -> None:
    repository = opened(first_wait=600, longest_wait=600)
    hub.trouble(on=AT_FILE, status=503, times=99)
    stream = repository.stream(repository.files[FILE])
    with reading(stream) as raised:
        while not told:
            time.sleep(0.01)
        stream.close()
    assert [error.message for error in raised] == [f"the reading of {FILE} was ended"]


def test_a_closed_stream_asks_for_nothing(hub, opened) -> None:
    repository = opened()
    stream = repository.stream(repository.files[FILE])
    stream.close()
    stream.close()
    with pytest.raises(HubError, match=rf"^the reading of {FILE} was ended$"):
        stream.skip(1)
    assert hub.paths("cdn") == []


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
@pytest.mark.parametrize("trouble", [{"stall_after": 5}, {"silent": True}, {"status": 503}], ids=repr)
def test_ctrl_c_ends_a_wait(hub, opened, told: list[str], trouble) -> None:
    repository = opened(stall_seconds=600, first_wait=600, longest_wait=600)
    hub.trouble(on=AT_FILE, **trouble)

    def interrupt() -> None:
        while not (told or hub.silenced.is_set()):
            time.sleep(0.01)
        time.sleep(0.1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt), repository.stream(repository.files[FILE]) as stream:
        stream.skip(300_000)
    thread.join()
