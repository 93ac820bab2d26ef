"""Models got and removed over HTTP, from a hub on loopback, where the owner allows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from seallm_edge.server import ServerSettings
from seallm_edge.store import installed
from support.loopback_hub import LoopbackHub
from support.pulls import LICENSED
from support.served import Served
from support.tiny_model import write_tiny

NAME = "ORG/tiny-gguf"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "repository"
    made.mkdir()
    write_tiny(made / "tiny-Q8_0.gguf")
    return made


@pytest.fixture
def served() -> Iterator[Served]:
    with Served(ServerSettings(port=0, allow_changes=True)) as running:
        yield running


def test_a_model_is_got_with_its_progress_listed_and_deleted(served: Served, hub: LoopbackHub, folder: Path) -> None:
    hub.add_repository(NAME, folder, card={"license": "apache-2.0"}, large="*.gguf")
    status, _, data = served.request("POST", "/api/pull", {"model": NAME})
    lines = [json.loads(line) for line in data.splitlines()]
    assert (status, lines[0], lines[-1]) == (200, {"status": f"pulling {NAME}"}, {"status": "success"})
    assert any(line.get("total") for line in lines)
    (name,) = [model["name"] for model in served.json("GET", "/api/tags")[1]["models"] if "tiny" in model["name"]]
    assert served.json("POST", "/api/pull", {"model": NAME, "stream": False}) == (200, {"status": "success"})
    assert served.json("DELETE", "/api/delete", {"model": name}) == (200, {})
    assert served.json("DELETE", "/api/delete", {"model": name})[0] == 404
    assert not [one for one in installed() if "tiny" in one.name]


def test_a_licence_that_the_owner_did_not_accept_is_not_accepted_by_a_request(
    served: Served, hub: LoopbackHub, folder: Path
) -> None:
    hub.add_repository(NAME, folder, card=LICENSED, large="*.gguf")
    data = served.request("POST", "/api/pull", {"model": NAME})[2]
    error = json.loads(data.splitlines()[-1])["error"]
    assert error.startswith("the licence of")
    assert not [one for one in installed() if "tiny" in one.name]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "http://127.0.0.1/x.gguf", "a/b/c", "", "C:\\x", "file:///x"])
def test_a_path_or_address_is_no_name(served: Served, name: str) -> None:
    status, found = served.json("POST", "/api/pull", {"model": name})
    assert (status, found["error"].partition("; ")[0]) == (400, f"{name!r} is no name of a model")


def test_without_the_owners_word_nothing_changes(hub: LoopbackHub) -> None:
    with Served(ServerSettings(port=0)) as served:
        for method, path in (("POST", "/api/pull"), ("DELETE", "/api/delete")):
            status, found = served.json(method, path, {"model": NAME})
            assert status == 403
            assert found["error"].startswith("the owner of this server does not let requests get or delete models")
    assert hub.requests == []
