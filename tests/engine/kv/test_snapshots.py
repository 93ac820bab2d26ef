"""Snapshots in the engine: lookup, restored KV states, and their keys."""

import ctypes
import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seallm_edge.engine.kv import snapshot_file
from seallm_edge.engine.kv.snapshots import Snapshots, snapshot_key
from support.snapshots import DAY, KEY, PLENTY, age, loaded, size


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.mark.parametrize(
    "state",
    [
        b"state",
        bytearray(b"state"),
        memoryview(b"..state")[2:],
        np.frombuffer(b"state", np.uint8),
        (ctypes.c_uint8 * 5)(*b"state"),
    ],
    ids=lambda state: type(state).__name__,
)
def test_what_was_saved_comes_back_after_a_restart(folder: Path, state: Any) -> None:
    assert Snapshots(folder, KEY, PLENTY).save([5, 151_645, 0], state)
    assert loaded(Snapshots(folder, KEY, PLENTY), [5, 151_645, 0, 7]) == ([5, 151_645, 0], b"state")


def test_loaded_state_can_be_handed_to_native_code(snapshots: Snapshots) -> None:
    snapshots.save([1], b"state")
    found = snapshots.find([1])
    assert found
    kept = snapshots.load(found)
    assert kept
    assert bytes((ctypes.c_uint8 * 5).from_buffer(kept[1])) == b"state"


def test_state_of_several_megabytes_comes_back(snapshots: Snapshots) -> None:
    state = random.Random(1).randbytes(5_000_001)
    assert snapshots.save(range(9_000), state)
    assert loaded(snapshots, list(range(9_000))) == (list(range(9_000)), state)


def test_longest_shared_beginning_is_found(snapshots: Snapshots) -> None:
    for tokens in ([1, 2, 3, 9], [1, 2, 3, 4, 5, 8, 8], [2, 3, 4]):
        snapshots.save(tokens, b"state")

    found = snapshots.find([1, 2, 3, 4, 5, 6])

    assert found
    assert (found.n_shared, found.n_tokens, found.n_bytes) == (5, 7, size(7, 5))
    assert snapshots.find([7]) is None
    assert snapshots.find([]) is None


def test_no_more_than_asked_is_not_found(snapshots: Snapshots) -> None:
    snapshots.save([1, 2, 3], b"state")
    assert snapshots.find([1, 2, 9], more_than=1)
    assert snapshots.find([1, 2, 9], more_than=2) is None


def test_of_equals_the_smallest_is_found(snapshots: Snapshots) -> None:
    for last, n_bytes in ((7, 30), (8, 10), (9, 20)):
        snapshots.save([1, 2, last], bytes(n_bytes))
    found = snapshots.find([1, 2, 3])
    assert found
    assert found.n_bytes == size(3, 10)


def test_longer_than_the_context_is_passed_over(snapshots: Snapshots) -> None:
    snapshots.save([1, 2, 3, 4], b"long")
    snapshots.save([1, 2, 9], b"short")
    found = snapshots.find([1, 2, 3, 4], n_ctx=3)
    assert found
    assert (found.n_shared, found.n_tokens) == (2, 3)
    assert snapshots.find([1, 2, 3, 4], n_ctx=2) is None


def test_what_another_process_saves_or_removes_is_noticed(folder: Path) -> None:
    one, other = Snapshots(folder, KEY, PLENTY), Snapshots(folder, KEY, PLENTY)
    assert one.find([1, 2]) is None
    other.save([1, 2], b"state")
    found = one.find([1, 2])
    assert found

    found.path.unlink()

    assert one.load(found) is None
    assert one.find([1, 2]) is None


def test_head_is_read_once(folder: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots.save([1, 2], b"state")
    snapshots.save([3], b"state")
    snapshots.find([1])
    monkeypatch.setattr(snapshot_file, "_opened", lambda path: pytest.fail(f"opened {path}"))
    assert snapshots.find([1])
    assert snapshots.find([3])


def test_longer_conversation_replaces_its_own_beginnings_alone(folder: Path, snapshots: Snapshots) -> None:
    for tokens in ([1, 2], [1, 9], [3]):
        snapshots.save(tokens, b"state")
    snapshots.save([1, 2, 3], b"longer")

    assert len(names(folder)) == 3
    assert loaded(snapshots, [1, 2]) == ([1, 2, 3], b"longer")
    assert loaded(snapshots, [1, 9]) == ([1, 9], b"state")


@pytest.mark.parametrize("tokens", [[1, 2, 3], [1, 2]])
def test_what_is_there_already_is_touched_and_not_written(
    folder: Path, snapshots: Snapshots, tokens: list[int]
) -> None:
    snapshots.save([1, 2, 3], b"first")
    (path,) = folder.iterdir()
    age(path, days=3)

    assert snapshots.save(tokens, b"second")

    assert time.time() - path.stat().st_mtime < DAY
    assert list(folder.iterdir()) == [path]
    assert loaded(snapshots, [1, 2, 3]) == ([1, 2, 3], b"first")


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_only_the_user_can_read(folder: Path, snapshots: Snapshots) -> None:
    snapshots.save([1], b"state")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert next(folder.iterdir()).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("tokens", "state"), [([], b"state"), ([1], b""), (range((1 << 20) + 1), b"state")])
def test_what_is_no_state_is_not_written(folder: Path, snapshots: Snapshots, tokens: list[int], state: bytes) -> None:
    assert not snapshots.save(tokens, state)
    assert not names(folder)


def key(**change: Any) -> str:
    facts = {"kv_types": ("f16", "f16"), "build": "b7000", "flash_attention": True, "settings": ("rope", 1)}
    return snapshot_key("0a1b", **{**facts, **change})


def test_key_is_another_wherever_states_are_foreign() -> None:
    keys = {
        key(),
        key(kv_types=("f16", "q8_0")),
        key(kv_types=("q8_0", "f16")),
        key(build="b7001"),
        key(flash_attention=False),
        key(settings=("rope", 2)),
        key(settings=()),
        snapshot_key("0a1c", kv_types=("f16", "f16"), build="b7000", flash_attention=True, settings=("rope", 1)),
    }
    assert len(keys) == 8
    assert key() == key(settings=["rope", "1"])
    assert sum(one.startswith("0a1b-") for one in keys) == 7


def test_key_is_another_with_another_format(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr(snapshot_file, "FORMAT", 2)
    assert key() != before


@pytest.mark.parametrize("other", ["0a1b-second", "ffff-first"])
def test_other_keys_are_neither_found_nor_opened_nor_harmed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    Snapshots(folder, KEY, PLENTY).save([1, 2], b"state")
    stranger = Snapshots(folder, other, PLENTY)
    monkeypatch.setattr(snapshot_file, "_opened", lambda path: pytest.fail(f"opened {path}"))

    assert stranger.find([1, 2]) is None
    assert stranger.save([1, 2, 3], b"mine")

    assert len(names(folder)) == 2
