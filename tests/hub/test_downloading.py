"""Downloads to the disk: resumed, refused, stopped."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.errors import HubError, StoreBusy
from seallm_edge.files.record_file import RecordFile, journal_path, partial_path
from seallm_edge.hub import Network, RemoteSource, download, open_repository

NAME = "SeaLLMs/tiny"
FILE = "model.safetensors"
AT_FILE = f"{NAME}/{FILE}"  # the storage's part of the path


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir())


def interrupted(hub: Any, source: RemoteSource, out: Path, after: int) -> None:
    """Download until `after` bytes have come and the connection is lost for good."""
    hub.trouble(on=AT_FILE, drop_after=after)
    hub.trouble(on=AT_FILE, status=503, times=3)
    with pytest.raises(HubError):
        download(source, out)
    assert names(out) == [f"{FILE}.journal", f"{FILE}.partial"]


def test_a_file_gets_its_name_when_it_is_complete_and_checked(
    hub, source: RemoteSource, out: Path, weights: bytes
) -> None:
    told: list[tuple[int, int]] = []
    sha256 = download(source, out, progress=lambda done, size: told.append((done, size)))
    assert sha256 == hashlib.sha256(weights).hexdigest() == source.sha256
    assert (out.read_bytes(), names(out)) == (weights, [FILE])
    assert (told[0], told[-1]) == ((0, 300_000), (300_000, 300_000))
    assert hub.sent[FILE] == 300_000


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "empty"])
def test_a_small_file_is_checked_by_its_git_blob(opened, folder: Path, out: Path, name: str) -> None:
    repository = opened()
    sha256 = download(repository.source(repository.files[name]), out)
    assert (out.read_bytes(), sha256) == ((folder / name).read_bytes(), hashlib.sha256(out.read_bytes()).hexdigest())


def test_an_ended_download_resumes_at_the_last_byte(hub, source: RemoteSource, out: Path, weights: bytes) -> None:
    interrupted(hub, source, out, 131_072)
    hub.requests.clear()
    told: list[int] = []
    download(source, out, progress=lambda done, _size: told.append(done))
    assert (out.read_bytes(), names(out)) == (weights, [FILE])
    assert (hub.ranges(), hub.sent[FILE], told[0]) == (["bytes=131072-"], 300_000, 131_072)


def test_a_power_loss_that_takes_unsynced_bytes_is_noticed(
    hub, source: RemoteSource, out: Path, weights: bytes
) -> None:
    """The journal says 131,072 bytes without a sync, and the disk has zeros for the last of them."""
    interrupted(hub, source, out, 131_072)
    lines = journal_path(out).read_bytes().splitlines(keepends=True)
    journal_path(out).write_bytes(b"".join(line for line in lines if b'"safe"' not in line))
    with partial_path(out).open("r+b") as file:
        file.seek(131_000)
        file.write(bytes(72))
    hub.requests.clear()
    download(source, out)
    assert out.read_bytes() == weights
    assert hub.ranges() == [None]


def test_a_journal_cut_off_by_a_power_loss_counts_up_to_its_last_whole_record(
    hub, source: RemoteSource, out: Path, weights: bytes
) -> None:
    interrupted(hub, source, out, 131_072)
    with journal_path(out).open("ab") as file:
        file.write(b'0badc0de {"at": 299999, "sta')
    hub.requests.clear()
    download(source, out)
    assert (out.read_bytes(), hub.ranges()) == (weights, ["bytes=131072-"])


@pytest.mark.parametrize("spoil", [partial_path, journal_path])
def test_a_partial_file_without_its_journal_or_the_reverse_starts_over(
    hub, source: RemoteSource, out: Path, weights: bytes, spoil: Callable[[Path], Path]
) -> None:
    interrupted(hub, source, out, 131_072)
    spoil(out).unlink()
    hub.requests.clear()
    download(source, out)
    assert (out.read_bytes(), hub.ranges()) == (weights, [None])


def test_a_partial_file_that_lost_its_end_resumes_before_it(
    hub, source: RemoteSource, out: Path, weights: bytes
) -> None:
    interrupted(hub, source, out, 131_072)
    os.truncate(partial_path(out), 131_071)
    hub.requests.clear()
    download(source, out)
    assert (out.read_bytes(), hub.ranges()) == (weights, [None])


def test_where_hash_states_cannot_be_saved_a_download_resumes_too(
    hub, source: RemoteSource, out: Path, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seallm_edge.hub.receipt.can_resume", lambda: False)
    interrupted(hub, source, out, 131_072)
    hub.requests.clear()
    assert download(source, out) == source.sha256
    assert (out.read_bytes(), hub.ranges()) == (weights, ["bytes=131072-"])


def test_the_same_content_from_another_hub_is_gone_on_with(
    hub, source: RemoteSource, out: Path, folder: Path, weights: bytes
) -> None:
    interrupted(hub, source, out, 131_072)
    hub.add_repository("Other/mirror", folder)
    mirror = open_repository("Other/mirror")
    hub.requests.clear()
    download(mirror.source(mirror.files[FILE]), out)
    assert (out.read_bytes(), hub.ranges()) == (weights, ["bytes=131072-"])


def test_another_content_starts_over_and_says_so(
    hub, opened, source: RemoteSource, out: Path, folder: Path, told: list[str]
) -> None:
    interrupted(hub, source, out, 131_072)
    (folder / FILE).write_bytes(bytes(300_000))
    told.clear()
    repository = opened()
    hub.requests.clear()
    download(repository.source(repository.files[FILE]), out)
    assert (out.read_bytes(), hub.ranges()) == (bytes(300_000), [None])
    assert told == [f"{FILE} starts over: {FILE} is not known to be the file that was begun"]


def test_a_complete_file_is_not_fetched_again(hub, source: RemoteSource, out: Path) -> None:
    download(source, out)
    hub.requests.clear()
    assert (download(source, out), hub.requests) == (source.sha256, [])


def test_a_kill_between_the_last_two_steps_leaves_a_complete_file(hub, source: RemoteSource, out: Path) -> None:
    download(source, out)
    journal_path(out).write_bytes(b"")
    hub.requests.clear()
    assert (download(source, out), hub.requests, names(out)) == (source.sha256, [], [FILE])


def test_another_file_of_that_name_is_replaced(source: RemoteSource, out: Path, weights: bytes) -> None:
    out.parent.mkdir()
    out.write_bytes(bytes(300_000))
    download(source, out)
    assert out.read_bytes() == weights


def test_a_second_download_of_the_same_file_is_refused_while_the_first_runs(source: RemoteSource, out: Path) -> None:
    out.parent.mkdir()
    first = RecordFile(journal_path(out))
    assert first.lock()
    with pytest.raises(StoreBusy) as caught:
        download(source, out)
    assert (caught.value.message, str(caught.value.hint)) == (
        f"another process is fetching {FILE}",
        "wait for it, or end it",
    )
    first.close()
    download(source, out)


def test_the_traffic_of_all_bodies_is_counted(hub, folder: Path, out: Path) -> None:
    hub.add_repository(NAME, folder)
    network = Network()
    repository = open_repository(NAME, network)
    listing = network.traffic.n_bytes
    repository.read("tokenizer.json")
    download(repository.source(repository.files[FILE]), out)
    assert 100 < listing < 2_000
    assert network.traffic.n_bytes - listing == 340_000


def test_a_server_without_ranges_sends_the_beginning_again(
    hub, source: RemoteSource, out: Path, weights: bytes
) -> None:
    interrupted(hub, source, out, 131_072)
    hub.trouble(on=AT_FILE, ignore_range=True)
    download(source, out)
    assert (out.read_bytes(), hub.sent[FILE]) == (weights, 431_072)


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ({"headers": {"Content-Length": "5"}}, "changed while it was read: it is 5 bytes now, and was 300000"),
        ({"headers": {"Content-Type": "text/html"}}, f"sends a web page instead of {FILE}"),
    ],
    ids=["length", "login"],
)
def test_what_is_no_file_leaves_the_partial_file_as_it_was(
    hub, source: RemoteSource, out: Path, weights: bytes, trouble: dict[str, Any], message: str
) -> None:
    interrupted(hub, source, out, 131_072)
    hub.trouble(on=AT_FILE, ignore_range=True, **trouble)
    with pytest.raises(HubError, match=message):
        download(source, out)
    hub.requests.clear()
    download(source, out)
    assert (out.read_bytes(), hub.ranges()) == (weights, ["bytes=131072-"])


def test_a_gated_file_is_refused_before_anything_is_written(hub, folder: Path, out: Path) -> None:
    hub.add_repository(NAME, folder, gated="manual", token="hf_secret")
    repository = open_repository(NAME)
    with pytest.raises(HubError, match=r"^SeaLLMs/tiny is gated"):
        download(repository.source(repository.files[FILE]), out)
    assert partial_path(out).stat().st_size == 0


def test_bytes_that_came_before_an_outage_are_written_before_it_ends(hub, opened, out: Path, told: list[str]) -> None:
    repository = opened(first_wait=600, longest_wait=600)
    network = repository.source(repository.files[FILE]).hub.network
    hub.trouble(on=AT_FILE, drop_after=131_000)

    def stop() -> None:
        while not told or partial_path(out).stat().st_size < 131_000:
            time.sleep(0.01)
        network.stop.set()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(HubError, match="was ended"):
        download(repository.source(repository.files[FILE]), out)
    thread.join()


def test_the_journal_tells_what_is_downloaded(hub, source: RemoteSource, out: Path) -> None:
    interrupted(hub, source, out, 131_072)
    first, *rest = (json.loads(line[9:]) for line in journal_path(out).read_bytes().splitlines())
    assert first == {"format": 1, "size": 300_000, "sha256": source.sha256, "identity": source.identity}
    assert [record.get("safe") for record in rest][-1] == 131_072
