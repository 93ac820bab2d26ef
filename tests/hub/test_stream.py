"""Streaming a file of a hub, from its start or from an earlier stream's offset."""

import hashlib
from pathlib import Path

import pytest

from seallm_edge import HashMismatch, HubError
from seallm_edge.hub import digest

FILE = "model.safetensors"
AT_FILE = f"SeaLLMs/tiny/{FILE}"  # the storage's part of the path


def test_a_file_comes_whole_in_one_request_to_the_storage(hub, opened, weights: bytes, whole) -> None:
    assert whole(opened()) == weights
    assert (hub.ranges(), hub.sent[FILE]) == ([None], 300_000)


def test_a_file_without_a_sha256_is_checked_by_its_git_blob(hub, opened, folder: Path, whole) -> None:
    repository = opened()
    content = bytearray((folder / "tokenizer.json").read_bytes())
    assert whole(repository, "tokenizer.json") == bytes(content)
    content[-1] ^= 1
    (folder / "tokenizer.json").write_bytes(content)
    with pytest.raises(HashMismatch):
        whole(repository, "tokenizer.json")


def test_a_file_with_a_flipped_bit_is_refused_at_its_end_with_both_hashes(hub, opened, folder: Path, whole) -> None:
    repository = opened()
    hub.trouble(on="/resolve/", status=302, headers={"Location": hub.link("SeaLLMs/tiny", FILE)})
    content = bytearray((folder / FILE).read_bytes())
    content[123_456] ^= 1
    (folder / FILE).write_bytes(content)
    with pytest.raises(HashMismatch) as caught:
        whole(repository)
    error = caught.value
    assert (error.file, error.expected, error.found) == (
        FILE,
        repository.files[FILE].sha256,
        hashlib.sha256(content).hexdigest(),
    )


def test_a_stream_that_is_not_at_its_end_cannot_be_finished(opened) -> None:
    repository = opened()
    with repository.stream(repository.files[FILE]) as stream:
        stream.skip(299_999)
        with pytest.raises(HubError, match=r"^model\.safetensors was read to 299999 of 300000 bytes only\n"):
            stream.finish()


def test_bytes_past_the_end_are_refused(opened, read_on) -> None:
    repository = opened()
    with repository.stream(repository.files[FILE], 0) as stream:
        stream.skip(299_990)
        with pytest.raises(HubError, match=r"^model\.safetensors has 300000 bytes: 11 more after 299990 are not there"):
            stream.readinto(memoryview(bytearray(11)))
        assert len(read_on(stream, 10)) == 10


def test_skipped_bytes_are_hashed_too(opened, weights: bytes, read_on) -> None:
    repository = opened()
    with repository.stream(repository.files[FILE]) as stream:
        assert read_on(stream, 10) == weights[:10]
        stream.skip(199_990)
        assert (stream.position, read_on(stream, 100_000)) == (200_000, weights[200_000:])
        stream.finish()


@pytest.mark.parametrize("place", [1, 100_003, 299_999, 300_000])
def test_with_a_state_a_later_stream_fetches_only_what_is_missing(
    hub, opened, weights: bytes, place: int, read_on
) -> None:
    repository = opened()
    with repository.stream(repository.files[FILE]) as stream:
        stream.skip(place)
        state = stream.digest_state()
    hub.requests.clear()
    with repository.stream(repository.files[FILE], place, state) as stream:
        assert stream.position == place
        assert read_on(stream, 300_000 - place) == weights[place:]
        stream.finish()
    assert hub.ranges() == [f"bytes={place}-"] * (place < 300_000)


@pytest.mark.parametrize("state", [None, b"", b"nonsense", digest.Sha256().state()])
def test_without_its_state_a_later_stream_hashes_from_the_first_byte(
    hub, opened, weights: bytes, state, read_on
) -> None:
    repository = opened()
    with repository.stream(repository.files[FILE], 200_000, state) as stream:
        assert (stream.position, stream.digest_state()) == (200_000, None)
        assert read_on(stream, 100_000) == weights[200_000:]
        stream.finish()
    assert hub.ranges() == [None]


def test_a_file_that_has_only_a_git_blob_is_hashed_from_the_first_byte(hub, opened, read_on, folder: Path) -> None:
    repository = opened()
    with repository.stream(repository.files["tokenizer.json"], 30_000) as stream:
        assert read_on(stream, 10_000) == (folder / "tokenizer.json").read_bytes()[30_000:]
        stream.finish()


def test_a_stream_that_begins_at_the_end_still_checks_the_whole_file(hub, opened) -> None:
    repository = opened()
    with repository.stream(repository.files[FILE], 300_000) as stream:
        stream.finish()
    assert hub.sent[FILE] == 300_000


def test_a_stream_outside_its_file_is_refused(opened) -> None:
    repository = opened()
    with pytest.raises(HubError, match=r"^model\.safetensors has 300000 bytes: 0 from 300001 on are not among them$"):
        repository.stream(repository.files[FILE], 300_001)


def test_a_range_is_fetched_alone(hub, opened, weights: bytes) -> None:
    repository = opened()
    assert repository.read_range(repository.files[FILE], 1_000, 50) == weights[1_000:1_050]
    assert (hub.ranges(), hub.sent[FILE]) == (["bytes=1000-1049"], 50)


def test_a_dropped_range_goes_on_where_it_was(hub, opened, weights: bytes) -> None:
    repository = opened()
    hub.trouble(on=AT_FILE, drop_after=30)
    assert repository.read_range(repository.files[FILE], 1_000, 50) == weights[1_000:1_050]
    assert hub.ranges() == ["bytes=1000-1049", "bytes=1030-1049"]
