"""Snapshot files that are damaged, foreign or no files: never loaded, and removed."""

import hashlib
import os
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.engine.kv import snapshot_file
from seallm_edge.engine.kv.snapshots import Snapshots
from support.snapshots import KEY, PLENTY, STATE, TOKENS, after_restart

DAMAGES_A_SEED = 30


def contents(tokens: list[int], state: bytes, key: str = KEY, version: int = 1, magic: bytes = b"SEALLMKV") -> bytes:
    """A snapshot file, written anew from what its docstring says."""
    whole = magic + struct.pack("<I", version) + hashlib.sha256(key.encode()).digest()
    whole += struct.pack("<IQ", len(tokens), len(state)) + struct.pack(f"<{len(tokens)}i", *tokens) + state
    return whole + hashlib.sha256(whole).digest()


def refused(path: Path) -> bool:
    """Whether it is neither loaded after a restart nor by one who found it before, and is removed by both."""
    data = path.read_bytes()
    snapshots = Snapshots(path.parent, KEY, PLENTY)
    path.write_bytes(contents(TOKENS, STATE))
    found = snapshots.find(TOKENS)
    assert found
    path.write_bytes(data)
    is_refused = snapshots.load(found) is None and not path.exists()
    path.write_bytes(data)
    return is_refused and after_restart(path.parent) is None and not path.exists()


def test_file_is_as_documented(good: Path) -> None:
    assert good.read_bytes() == contents(TOKENS, STATE)


def test_every_flipped_bit_is_noticed(good: Path) -> None:
    whole = good.read_bytes()
    for bit in range(8 * len(whole)):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        good.write_bytes(data)
        assert after_restart(good.parent) is None, f"bit {bit}"
        assert not good.exists(), f"bit {bit}"


def test_every_truncation_is_noticed(good: Path) -> None:
    whole = good.read_bytes()
    for length in range(len(whole)):
        good.write_bytes(whole[:length])
        assert refused(good), f"{length} bytes"


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """`whole` with one of many kinds of damage."""
    data = bytearray(whole)
    start, end = sorted(rng.sample(range(len(data) + 1), 2))
    kind = rng.choice(("garbage", "zeros", "cut out", "twice", "longer", "swapped", "lengths", "all", "rehashed"))
    if kind == "garbage":
        data[start:end] = rng.randbytes(end - start)
    elif kind == "zeros":
        data[start:end] = bytes(end - start)
    elif kind == "cut out":
        del data[start:end]
    elif kind == "twice":
        data[start:start] = data[start:end]
    elif kind == "longer":
        data += rng.randbytes(rng.randint(1, 300))
    elif kind == "swapped":
        data[start:end] = data[start:end][::-1]
    elif kind == "lengths":
        numbers = (0, 1, 4, 5, 120, 2**31 - 1, 2**32 - 1)
        data[44:56] = struct.pack("<IQ", rng.choice(numbers), rng.choice((*numbers, 2**63, 2**64 - 1, 2**40)))
    elif kind == "all":
        data = bytearray(rng.randbytes(rng.randint(0, 400)))
    else:  # a wrong head, whose hash is right
        data[rng.randrange(56)] ^= 1 << rng.randrange(8)
        data[-32:] = hashlib.sha256(data[:-32]).digest()
    return bytes(data)


@pytest.mark.parametrize("seed", range(20))
def test_any_damage_is_noticed_or_changes_nothing(good: Path, seed: int) -> None:
    whole, rng = good.read_bytes(), random.Random(seed)
    for number in range(DAMAGES_A_SEED):
        data = damaged(whole, rng)
        good.write_bytes(data)
        assert refused(good) if data != whole else after_restart(good.parent) == (TOKENS, STATE), f"damage {number}"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        contents(TOKENS, STATE, key="ffff-first"),
        contents(TOKENS, STATE, key="0a1b-second"),
        contents(TOKENS, STATE, version=0),
        contents(TOKENS, STATE, version=2),
        contents(TOKENS, STATE, magic=b"SEALLMKW"),
        contents([], STATE),
        contents(TOKENS, b""),
        contents(TOKENS, STATE) + b"\0",
    ],
    ids=["empty", "model", "build", "version 0", "version 2", "magic", "no tokens", "no state", "longer"],
)
def test_foreign_file_under_our_name_is_refused(good: Path, data: bytes) -> None:
    good.write_bytes(data)
    assert refused(good)


@pytest.mark.parametrize("lengths", [(5, 2**62), (2**32 - 1, 120), (2**20, 120), (5, 2**64 - 1), (0, 0), (120, 5)])
def test_lengths_are_believed_only_if_they_are_those_of_the_file(good: Path, lengths: tuple[int, int]) -> None:
    data = bytearray(good.read_bytes())
    data[44:56] = struct.pack("<IQ", *lengths)
    data[-32:] = hashlib.sha256(data[:-32]).digest()
    good.write_bytes(data)
    assert refused(good)


def test_sound_file_under_the_name_of_another_is_refused(good: Path) -> None:
    good.write_bytes(contents([9, 9], STATE))
    assert after_restart(good.parent) is None
    assert not good.exists()


def test_link_is_removed_and_not_followed(good: Path, tmp_path: Path) -> None:
    elsewhere = good.rename(tmp_path / "elsewhere")
    good.symlink_to(elsewhere)
    assert after_restart(good.parent) is None
    assert not good.is_symlink()
    assert elsewhere.read_bytes() == contents(TOKENS, STATE)


def test_link_to_nothing_or_to_a_folder_is_removed(good: Path, tmp_path: Path) -> None:
    for target in (tmp_path / "nothing", tmp_path):
        good.unlink()
        good.symlink_to(target)
        assert after_restart(good.parent) is None
        assert not good.is_symlink()
        good.touch()


def test_empty_folder_is_removed_and_a_full_one_is_passed_over(good: Path) -> None:
    good.unlink()
    good.mkdir()
    assert after_restart(good.parent) is None
    assert not good.exists()

    good.mkdir()
    (good / "somebody's").touch()
    assert after_restart(good.parent) is None
    assert not Snapshots(good.parent, KEY, PLENTY).save(TOKENS, STATE)
    assert [path.name for path in good.parent.rglob("*")] == [good.name, "somebody's"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_pipe_is_removed_and_not_waited_for(good: Path) -> None:
    good.unlink()
    os.mkfifo(good)
    assert after_restart(good.parent) is None
    assert not good.exists()


def test_after_a_damaged_one_the_next_best_is_found(good: Path) -> None:
    snapshots = Snapshots(good.parent, KEY, PLENTY)
    snapshots.save([*TOKENS[:3], 8], b"other")
    data = bytearray(good.read_bytes())
    data[100] ^= 1
    good.write_bytes(data)

    first = snapshots.find(TOKENS)
    assert first
    assert (first.path, first.n_shared) == (good, 5)
    assert snapshots.load(first) is None
    second = snapshots.find(TOKENS)
    assert second
    assert second.n_shared == 3
    assert snapshots.load(second)


def test_no_memory_for_a_state_is_no_reason_to_remove_it(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = Snapshots(good.parent, KEY, PLENTY)
    found = snapshots.find(TOKENS)
    assert found

    def refuse(*arguments: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(snapshot_file, "_read_array", refuse)
    assert snapshots.load(found) is None
    assert good.exists()
