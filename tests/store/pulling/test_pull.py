"""Pulls from a hub on loopback: conversions of official weights, ready GGUFs, refusals, and what is here already."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any

import pytest

import seallm_edge
from seallm_edge import store
from seallm_edge.convert import convert
from seallm_edge.errors import HubError, StoreError
from seallm_edge.hub import Network
from seallm_edge.store import Garbage, Kind, find_garbage, installed, locate, remove_garbage
from seallm_edge.store.pulling.choosing import Free
from seallm_edge.store.pulling.offer import Offer
from seallm_edge.store.pulling.progress import Progress
from seallm_edge.store.pulling.pull import plan_pull, pull
from support.pulls import NAME, quick, sha256

pytestmark = pytest.mark.slow


def test_a_checkpoint_is_converted_while_it_comes_and_added_with_its_origin(
    hub: Any, commit: str, source: Path, tmp_path: Path, home: Path
) -> None:
    local = convert(source, tmp_path / "local.gguf", "Q8_0")
    model = pull(NAME, type="q8_0", accept_license=True, network=quick())
    assert (model.name, model.type_name, sha256(model.path)) == ("tiny-Q8_0", "Q8_0", sha256(local))
    assert model.path == home / "models" / sha256(local)[:12] / "tiny-Q8_0.gguf"
    assert model.entry
    assert model.entry.origin == f"hf:{NAME}@{commit}"
    assert model.entry.license == "seallms: https://example.org/LICENSE"
    assert model.entry.files[0].sha256 == sha256(local)
    assert model.entry.verified
    assert list((home / "models" / ".incoming").iterdir()) == []


def test_an_offer_comes_before_any_weight_and_states_the_bytes_that_come(hub: Any, commit: str, source: Path) -> None:
    offers: list[Offer] = []
    sent_before: list[int] = []
    told: list[Progress] = []

    def on_offer(offer: Offer) -> None:
        offers.append(offer)
        sent_before.append(sum(n for name, n in hub.sent.items() if name.endswith(".safetensors")))

    network = quick()
    model = pull(NAME, network=network, accept_license=True, on_offer=on_offer, progress=told.append)
    (offer,) = offers
    assert (offer.way, offer.type_name, offer.resumed, offer.seconds) == ("convert", "Q8_0", 0, None)
    assert offer.reason.startswith("Q8_0: 3.76 MB, the most exact there is; it needs 0.12 GB of the ")
    assert offer.origin == f"hf:{NAME}@{commit}"
    assert sent_before == [0]
    assert offer.disk == pytest.approx(model.size, rel=0.1)
    assert sum(hub.sent.values()) <= 1.02 * offer.network
    assert told[0].network_plan == offer.network
    assert told[-1].phase == "checking"
    assert {one.phase for one in told} == {"fetching", "checking"}


def test_what_is_here_is_not_got_again_and_no_hub_is_asked(hub: Any, commit: str) -> None:
    model = pull(NAME, type="Q8_0", accept_license=True, network=quick())
    hub.requests.clear()
    assert pull(NAME, network=quick()) == pull(NAME, type="Q8_0", network=quick()) == model
    assert pull(NAME, revision=commit[:8], network=quick()) == model
    assert hub.requests == []
    assert pull(NAME, revision="main", network=quick()) == model  # which the hub has to say
    with pytest.raises(HubError):  # a branch of that name, which the hub has not
        pull(NAME, revision=commit[:6], network=quick())
    assert not [path for path in hub.paths("hub") if path.endswith(".safetensors")]


def test_another_type_is_got_beside_it(hub: Any, commit: str) -> None:
    pull(NAME, type="Q8_0", accept_license=True, network=quick())
    pull(NAME, type="Q4_0", network=quick())
    assert [one.name for one in installed() if one.entry] == ["tiny-Q4_0", "tiny-Q8_0"]
    assert locate("tiny-Q4_0").name == "tiny-Q4_0.gguf"


def test_a_stopped_pull_goes_on_where_it_was_with_the_type_that_was_begun(
    hub: Any, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = quick()

    def stop(progress: Progress) -> None:
        if progress.done > progress.total // 2:
            network.stop.set()

    with pytest.raises(HubError):
        pull(NAME, network=network, accept_license=True, progress=stop)
    received = network.traffic.n_bytes
    # Less memory is free now: another type would be the best.
    monkeypatch.setattr("seallm_edge.store.pulling.pull.free_here", lambda: Free(memory=1, disk=10**12))
    offers: list[Offer] = []
    second = quick()
    model = pull(NAME, network=second, on_offer=offers.append)
    assert model.type_name == "Q8_0"
    assert offers[0].reason.endswith(", begun in an earlier run")
    assert offers[0].resumed > 0
    assert received > second.traffic.n_bytes


def test_a_conversion_killed_before_its_model_was_added_is_added_without_the_hubs_weights(
    hub: Any, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("seallm_edge.store.pulling.pull.add", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pull(NAME, network=quick(), accept_license=True)
    hub.sent.clear()
    assert pull(NAME, network=quick()).name == "tiny-Q8_0"
    assert not [name for name in hub.sent if name.endswith(".safetensors")]


def test_a_damaged_shard_is_fetched_again_in_the_same_call(hub: Any, commit: str, source: Path, tmp_path: Path) -> None:
    shard = source / "model-00002-of-00003.safetensors"
    local = convert(source, tmp_path / "local.gguf", "Q8_0")
    good = shard.read_bytes()
    shard.write_bytes(good[:-10] + bytes([good[-10] ^ 1]) + good[-9:])
    etag = f'"{hashlib.sha256(good).hexdigest()}"'
    hub.trouble(on=shard.name, times=1000, headers={"ETag": etag, "X-Linked-Etag": etag})
    told: list[str] = []

    def on_trouble(problem: str) -> None:
        told.append(problem)
        shard.write_bytes(good)

    network = Network(patience=quick().patience, on_trouble=on_trouble)
    assert sha256(pull(NAME, type="Q8_0", accept_license=True, network=network).path) == sha256(local)
    assert told[0].startswith("model-00002-of-00003.safetensors was damaged on its way: ")
    assert told[0].endswith("; again now")


def test_what_a_pull_is_writing_is_no_garbage_and_what_it_left_is(hub: Any, commit: str) -> None:
    network = quick()
    found: list[Garbage] = []

    def look(progress: Progress) -> None:
        if progress.done > progress.total // 2:
            found.extend(find_garbage([Kind.PARTIALS]))
            network.stop.set()

    with pytest.raises(HubError):
        pull(NAME, type="Q8_0", network=network, accept_license=True, progress=look)
    assert found == []
    (left,) = find_garbage([Kind.PARTIALS])
    assert left.what.startswith("unfinished: tiny-Q8_0-")
    assert {path.name for path in left.files} > {"ticket.json", "tiny-Q8_0.gguf.partial", "tiny-Q8_0.gguf.journal"}
    remove_garbage([left])
    assert pull(NAME, type="Q8_0", network=quick()).name == "tiny-Q8_0"


def test_the_store_names_its_pulls() -> None:
    assert store.pull is pull
    assert store.plan_pull is plan_pull


def test_the_documents_have_every_parameter_of_a_pull_with_its_default() -> None:
    page = (Path(seallm_edge.__file__).parent.parent / "docs" / "python.md").read_text(encoding="utf-8")
    table = page.partition("| parameter of `pull` |")[2].partition("\n\n")[0]
    shown = [tuple(cell.strip().strip('`"') for cell in row.split("|")[1:3]) for row in table.splitlines()[2:]]
    parameters = inspect.signature(pull).parameters.values()
    assert shown == [(parameter.name, str(parameter.default)) for parameter in parameters]


def test_a_hub_that_lists_other_weights_for_the_same_commit_is_not_trusted(hub: Any, commit: str) -> None:
    model = pull(NAME, type="Q8_0", accept_license=True, network=quick())
    listed = next(entry for entry in hub.listing(NAME) if entry["rfilename"].endswith(".safetensors"))
    name, digits = listed["rfilename"], listed["lfs"]["sha256"]
    assert model.entry
    assert model.entry.sources[name] == digits
    listed["lfs"]["sha256"] = "0" * 64
    with pytest.raises(StoreError) as caught:
        pull(NAME, type="Q4_0", network=quick())
    assert caught.value.message == (
        f"{name} of {NAME} is another file than the one got before from the same commit {commit[:12]}: "
        f"its sha256 was {digits[:12]}…, and is 000000000000… now"
    )
