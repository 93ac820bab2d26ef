"""Probes: whether a hub answers, whatever hangs; and how fast a file comes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.hub import Network, Patience, is_reachable, measured_speed, open_repository, open_url

NAME = "SeaLLMs/tiny"
LONG = 30.0  # seconds; no test waits for them


@pytest.fixture
def mute() -> Iterator[str]:
    """Address of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_hub_that_answers_is_reachable(hub) -> None:
    assert is_reachable(Network(), LONG)


@pytest.mark.parametrize("status", [401, 404, 429, 503])
def test_any_answer_counts(hub, status: int) -> None:
    hub.trouble(status=status)
    assert is_reachable(Network(), LONG)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_says_nothing_is_not_reachable(mute: str, scheme: str) -> None:
    assert not is_reachable(Network(endpoint=f"{scheme}://{mute}"), 0.2)


def test_a_server_that_is_not_there_is_not_reachable(hub) -> None:
    hub.close()
    assert not is_reachable(Network(), LONG)


def test_a_name_lookup_that_hangs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def hang(*_arguments: Any, **_options: Any) -> list[Any]:
        ended.wait()
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    assert not is_reachable(Network(endpoint="https://hub.invalid"), 0.2)
    ended.set()


def test_a_network_that_is_forbidden_or_badly_set_is_not_reachable(hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_reachable(Network(endpoint="http://example.org"), LONG)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not is_reachable(Network(), LONG)
    assert hub.requests == []


def test_speed_is_measured_on_a_part_of_the_largest_file(hub, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(bytes(3 << 20))
    hub.add_repository(NAME, folder)
    network = Network()
    repository = open_repository(NAME, network)
    before = network.traffic.n_bytes
    speed = measured_speed(repository, network)
    assert speed is not None
    assert speed > 0
    assert (hub.ranges(), network.traffic.n_bytes - before) == (["bytes=0-1048575"], 1 << 20)


def test_a_file_at_a_url_has_a_speed_too(hub, folder: Path) -> None:
    hub.plain = folder
    assert measured_speed(open_url(f"{hub.url}/plain/model.safetensors")) is not None


@pytest.mark.parametrize("trouble", [{"stall_after": 10_000}, {"status": 503}, {"silent": True}], ids=str)
def test_where_too_little_comes_there_is_no_speed(
    hub, folder: Path, monkeypatch: pytest.MonkeyPatch, trouble: dict[str, Any]
) -> None:
    monkeypatch.setattr("seallm_edge.hub.probing._PROBE_SECONDS", 0.2)
    hub.add_repository(NAME, folder)
    told: list[str] = []
    network = Network(patience=Patience(stall_seconds=600), on_trouble=told.append)
    repository = open_repository(NAME, network)
    hub.trouble(on="/cdn/", **trouble)
    assert (measured_speed(repository, network), told) == (None, [])
