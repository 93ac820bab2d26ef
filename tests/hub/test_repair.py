"""Damaged downloads: bad blocks are fetched again, not the file."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.errors import HashMismatch, HubError
from seallm_edge.files.record_file import partial_path
from seallm_edge.hub import RemoteSource, download

NAME = "SeaLLMs/tiny"
FILE = "model.safetensors"
AT_FILE = f"{NAME}/{FILE}"  # the storage's part of the path
BLOCK = 4 << 20
SIZE = 2 * BLOCK + 1_000_000
CONTENT = random.Random(9).randbytes(SIZE)
ARRIVED = f"{FILE} arrived damaged: its bad part is looked for, and fetched again"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with a file of two blocks and a quarter."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / FILE).write_bytes(CONTENT)
    return folder


@pytest.fixture
def source(opened: Callable[..., Any], told: list[str]) -> RemoteSource:
    repository = opened()
    return repository.source(repository.files[FILE])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / FILE


@pytest.fixture(params=[True, False], ids=["states", "crc32"])
def can_resume(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both kinds of receipts: with the states of sha256, and where they cannot be saved."""
    if not request.param:
        monkeypatch.setattr("seallm_edge.hub.receipt.can_resume", lambda: False)
    return bool(request.param)


def interrupted(hub: Any, source: RemoteSource, out: Path, after: int, **trouble: Any) -> None:
    hub.trouble(on=AT_FILE, drop_after=after, **trouble)
    hub.trouble(on=AT_FILE, status=503, times=3)
    with pytest.raises(HubError):
        download(source, out)


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0] ^ 1
        file.seek(at)
        file.write(bytes([byte]))


def check(out: Path, sha256: str) -> None:
    assert (out.read_bytes() == CONTENT, sha256) == (True, hashlib.sha256(CONTENT).hexdigest())
    assert [path.name for path in out.parent.glob(f"{FILE}*")] == [FILE]


@pytest.mark.parametrize("at", [0, BLOCK - 1, BLOCK + 77])
def test_a_byte_that_changes_on_the_disk_costs_its_block(
    hub, source: RemoteSource, out: Path, told: list[str], can_resume: bool, at: int
) -> None:
    interrupted(hub, source, out, 2 * BLOCK)
    flip(partial_path(out), at)
    hub.requests.clear()
    told.clear()
    check(out, download(source, out))
    start = at // BLOCK * BLOCK
    assert hub.ranges() == [f"bytes={2 * BLOCK}-", f"bytes={start}-{start + BLOCK - 1}"]
    assert told == [f"{FILE} changed on the disk: a block of it will be fetched again"]


def test_two_damaged_blocks_are_fetched_again(hub, source: RemoteSource, out: Path, can_resume: bool) -> None:
    interrupted(hub, source, out, 2 * BLOCK)
    flip(partial_path(out), 5)
    flip(partial_path(out), 2 * BLOCK - 1)
    hub.sent.clear()
    check(out, download(source, out))
    assert hub.sent[FILE] == SIZE


def test_a_byte_that_changes_on_its_way_where_a_connection_went_on_costs_that_block(
    hub, source: RemoteSource, out: Path, told: list[str], can_resume: bool
) -> None:
    hub.trouble(on=AT_FILE, drop_after=BLOCK + 1_000)
    hub.trouble(on=AT_FILE, flip=BLOCK + 1_000)
    check(out, download(source, out))
    assert hub.ranges() == [None, f"bytes={BLOCK + 1_000}-", f"bytes={BLOCK}-{2 * BLOCK - 1}"]
    assert told[1:] == [ARRIVED]


def test_a_seam_of_an_earlier_run_is_remembered(hub, source: RemoteSource, out: Path) -> None:
    interrupted(hub, source, out, BLOCK + 1_000)
    hub.trouble(on=AT_FILE, flip=BLOCK + 1_000)
    hub.requests.clear()
    check(out, download(source, out))
    assert hub.ranges() == [f"bytes={BLOCK + 1_000}-", f"bytes={BLOCK}-{2 * BLOCK - 1}"]


@pytest.mark.parametrize("at", [3, BLOCK + 3])
def test_a_byte_that_changes_on_its_way_anywhere_is_found_by_fetching_up_to_it(
    hub, source: RemoteSource, out: Path, told: list[str], can_resume: bool, at: int
) -> None:
    hub.trouble(on=AT_FILE, flip=at)
    traffic = source.hub.network.traffic
    before = traffic.n_bytes
    check(out, download(source, out))
    assert (hub.ranges(), told) == ([None, None], [ARRIVED])
    assert traffic.n_bytes - before == SIZE + at // BLOCK * BLOCK + BLOCK


def test_a_repair_that_is_ended_is_gone_on_with(hub, source: RemoteSource, out: Path, told: list[str]) -> None:
    hub.trouble(on=AT_FILE, flip=BLOCK + 3)
    hub.trouble(on=AT_FILE, drop_after=BLOCK + 5)
    hub.trouble(on=AT_FILE, status=503, times=3)
    with pytest.raises(HubError):
        download(source, out)
    hub.requests.clear()
    check(out, download(source, out))
    assert hub.ranges()[-1] == f"bytes={BLOCK}-"


def test_a_block_repaired_just_before_a_kill_counts(
    hub, source: RemoteSource, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right bytes are on the disk, and the journal has the receipt of the wrong ones."""
    hub.trouble(on=AT_FILE, flip=BLOCK + 3)
    with monkeypatch.context() as patch:
        patch.setattr("seallm_edge.hub.downloading.check_arrived", killed)
        with pytest.raises(RuntimeError):
            download(source, out)
    flip(partial_path(out), BLOCK + 3)
    check(out, download(source, out))


def killed(*_arguments: object) -> str:
    raise RuntimeError("killed")


def test_a_file_that_always_comes_otherwise_than_listed_is_refused_and_removed(
    hub, source: RemoteSource, out: Path, told: list[str]
) -> None:
    hub.trouble(on=AT_FILE, flip=BLOCK + 3, times=99)
    with pytest.raises(HashMismatch) as caught:
        download(source, out)
    bad = bytearray(CONTENT)
    bad[BLOCK + 3] ^= 1
    assert (caught.value.expected, caught.value.found) == (source.sha256, hashlib.sha256(bad).hexdigest())
    assert list(out.parent.glob(f"{FILE}*")) == []
    assert hub.ranges() == [None, None]


def test_a_small_file_with_other_bytes_than_listed_is_refused(hub, opened, folder: Path, out: Path) -> None:
    (folder / "config.json").write_bytes(b"{}")
    repository = opened()
    (folder / "config.json").write_bytes(b"[]")
    with pytest.raises(HashMismatch, match=r"^config\.json was damaged on its way: its hash is 0637a088a01e…"):
        download(repository.source(repository.files["config.json"]), out)
