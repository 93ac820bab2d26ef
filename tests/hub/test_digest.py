"""The resumable sha256, compared with hashlib."""

import hashlib
import random
import threading

import pytest

from seallm_edge.hub import Sha256, digest, new_sha256

DATA = random.Random(1).randbytes(10_000)
PLACES = [0, 1, 55, 56, 63, 64, 65, 128, 9_999, 10_000]


def hashed(data: bytes) -> Sha256:
    running = Sha256()
    running.update(data)
    return running


@pytest.mark.parametrize("place", PLACES)
def test_a_hash_goes_on_from_its_state_at_any_byte(place: int) -> None:
    resumed = Sha256.from_state(hashed(DATA[:place]).state())
    resumed.update(bytearray(DATA[place:]))
    assert resumed.hexdigest() == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize("place", PLACES)
def test_a_hash_tells_how_many_bytes_it_has_seen(place: int) -> None:
    assert hashed(DATA[:place]).n_bytes == place


def test_a_count_of_bytes_past_what_32_bits_hold_is_kept() -> None:
    running = Sha256()
    running._context.low_bits, running._context.high_bits = 0xFFFF_FE00, 0x1
    running.update(bytes(128))
    assert Sha256.from_state(running.state()).n_bytes == (0x1_FFFF_FE00 // 8) + 128


def test_telling_the_hash_midway_does_not_change_it() -> None:
    running = hashed(DATA[:100])
    assert running.hexdigest() == hashlib.sha256(DATA[:100]).hexdigest()
    running.update(DATA[100:])
    assert running.hexdigest() == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(bytearray(data))])
def test_every_kind_of_bytes_is_hashed(kind) -> None:
    assert hashed(kind(DATA)).hexdigest() == hashlib.sha256(DATA).hexdigest()


def test_two_threads_hash_at_once_each_its_own() -> None:
    found: dict[int, str] = {}
    blocks = [bytearray([n]) * 3_000_000 for n in range(2)]

    def work(n: int) -> None:
        found[n] = hashed(blocks[n]).hexdigest()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: hashlib.sha256(blocks[n]).hexdigest() for n in range(2)}


# A block that holds 65 of 64 bytes: OpenSSL would write past it.
OVERRUN = hashed(DATA).state()[:104] + b"\x41\0\0\0\x20\0\0\0"


@pytest.mark.parametrize(
    "spoilt",
    [b"", bytes(111), bytes(112), bytes(113), hashed(DATA).state()[:-4] + b"\x1c\0\0\0", OVERRUN, b"\xff" * 112],
    ids=["none", "short", "zeros", "long", "sha224", "overrun", "ones"],
)
def test_what_is_no_state_is_not_gone_on_from(spoilt: bytes) -> None:
    with pytest.raises(ValueError, match="a state "):
        Sha256.from_state(spoilt)
    assert new_sha256(spoilt, 64) is None


def test_the_state_of_another_place_is_not_gone_on_from() -> None:
    state = hashed(DATA[:640]).state()
    assert new_sha256(state, 640) is not None
    assert new_sha256(state, 641) is None


def test_without_openssls_functions_hashlib_hashes_and_keeps_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    state = hashed(DATA[:640]).state()
    for cached in (digest.can_resume, digest._sha256_library):
        cached.cache_clear()
    monkeypatch.setattr(digest, "_libraries", lambda: iter([]))
    try:
        plain = new_sha256()
        assert plain is not None
        plain.update(memoryview(DATA))
        assert (plain.hexdigest(), plain.state()) == (hashlib.sha256(DATA).hexdigest(), None)
        assert new_sha256(state, 640) is None
    finally:
        digest.can_resume.cache_clear()


def test_a_library_that_hashes_wrongly_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sha256, "update", lambda *_arguments: None)
    digest.can_resume.cache_clear()
    try:
        assert not digest.can_resume()
    finally:
        digest.can_resume.cache_clear()
