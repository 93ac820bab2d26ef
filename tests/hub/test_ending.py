"""Stopping a read or a download: from another thread, and by Ctrl-C."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import HubError
from seallm_edge.hub import FileStream, Network, Patience, RemoteSource, download, open_repository

NAME = "SeaLLMs/tiny"
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


@pytest.mark.parametrize(
    "trouble", [{"stall_after": 70_000}, {"silent": True}, {"status": 503, "headers": {"Retry-After": "300"}}], ids=str
)
def test_stopping_the_network_ends_a_download_whatever_it_waits_for(
    hub, folder: Path, out: Path, weights: bytes, trouble: dict[str, Any]
) -> None:
    hub.add_repository(NAME, folder)
    waiting = threading.Event()
    network = Network(patience=Patience(stall_seconds=600), on_trouble=lambda _: waiting.set())
    repository = open_repository(NAME, network)
    hub.trouble(on=AT_FILE, **trouble)

    def stop() -> None:
        while not (waiting.is_set() or hub.silenced.is_set()):
            waiting.wait(0.01)
        network.stop.set()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(HubError, match=rf"^the reading of {FILE} was ended$"):
        download(repository.source(repository.files[FILE]), out)
    thread.join()
    again = open_repository(NAME)
    download(again.source(again.files[FILE]), out)
    assert out.read_bytes() == weights


def test_stopping_the_network_ends_a_download_that_hangs_in_a_name_lookup(
    source: RemoteSource, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, ended = threading.Event(), threading.Event()

    def hang(*_arguments: Any, **_options: Any) -> list[Any]:
        asked.set()
        ended.wait()
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    thread = threading.Thread(target=lambda: (asked.wait(), source.hub.network.stop.set()))
    thread.start()
    with pytest.raises(HubError, match=rf"^the reading of {FILE} was ended$"):
        download(source, out)
    thread.join()
    ended.set()


def test_a_stopped_network_opens_nothing(hub, folder: Path) -> None:
    hub.add_repository(NAME, folder)
    network = Network()
    network.stop.set()
    with pytest.raises(HubError, match=rf"^the reading of {NAME} was ended$"):
        open_repository(NAME, network)
    assert hub.requests == []
