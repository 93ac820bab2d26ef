"""Conversations over a restart: found by their prefix; a bad snapshot file never changes a reply."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from seallm_edge import SeaLLM
from support.engine_internals import forget_everything

GREEDY = {"temperature": 0, "repeat_penalty": 1.0, "max_tokens": 8}
TEXT = "the river rises in the mountains and runs for four hundred kilometres to the sea. " * 3


def open_tiny(tiny_file: Path, folder: Path | bool, **options: object) -> SeaLLM:
    return SeaLLM(tiny_file, context=1024, drafting="off", snapshots=folder, **options)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.kv"))


def test_after_a_restart_a_conversation_goes_on_without_being_read_again(tiny_file: Path, tmp_path: Path) -> None:
    with open_tiny(tiny_file, tmp_path) as llm:
        first = llm.complete(TEXT, **GREEDY)
        assert first.usage.cached_tokens == 0
    assert len(files(tmp_path)) == 1
    with open_tiny(tiny_file, tmp_path) as llm:
        more = llm.complete(TEXT + "and then", **GREEDY)
        assert more.usage.cached_tokens == first.usage.prompt_tokens
    with open_tiny(tiny_file, False) as llm:
        assert llm.complete(TEXT + "and then", **GREEDY).text == more.text


def test_without_being_asked_for_nothing_is_written(tiny_file: Path, home: Path) -> None:
    with SeaLLM(tiny_file, context=512, drafting="off") as llm:
        llm.complete(TEXT[:200], **GREEDY)
    assert list(home.rglob("*.kv")) == []


def test_the_usual_folder_is_in_the_users_home(tiny_file: Path, home: Path) -> None:
    with open_tiny(tiny_file, True) as llm:
        llm.complete(TEXT, **GREEDY)
    (found,) = home.rglob("*.kv")
    assert found.parent == home / "snapshots"
    assert found.stat().st_mode & 0o077 == 0


def test_what_rests_is_written_while_the_model_stays_open(
    tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seallm_edge.engine.worker.IDLE_SECONDS", 0.1)
    with open_tiny(tiny_file, tmp_path) as llm:
        llm.complete(TEXT, **GREEDY)
        end = time.perf_counter() + 10
        while not files(tmp_path) and time.perf_counter() < end:
            time.sleep(0.02)
        assert len(files(tmp_path)) == 1


def test_a_longer_conversation_takes_the_place_of_its_beginning(tiny_file: Path, tmp_path: Path) -> None:
    for n_words in (20, 40, 60):
        with open_tiny(tiny_file, tmp_path) as llm:
            llm.complete(" ".join(TEXT.split()[:n_words]), **(GREEDY | {"max_tokens": 1}))
    assert len(files(tmp_path)) == 1


@pytest.mark.slow
def test_another_models_snapshots_are_left_alone(tiny_file: Path, tmp_path: Path) -> None:
    with open_tiny(tiny_file, tmp_path) as llm:
        llm.complete(TEXT, **GREEDY)
    (before,) = files(tmp_path)
    with SeaLLM("smollm2-135m-instruct", context=1024, drafting="off", snapshots=tmp_path) as llm:
        assert llm.complete(TEXT * 2, temperature=0, max_tokens=2).usage.cached_tokens == 0
    assert before in files(tmp_path)
    assert len(files(tmp_path)) == 2


def test_another_kv_type_does_not_take_them(tiny_file: Path, tmp_path: Path) -> None:
    with open_tiny(tiny_file, tmp_path) as llm:
        llm.complete(TEXT, **GREEDY)
    with open_tiny(tiny_file, tmp_path, cache_type_k="f32") as llm:
        assert llm.complete(TEXT, **GREEDY).usage.cached_tokens == 0


def test_a_folder_that_cannot_be_written_costs_no_reply(tiny_file: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with open_tiny(tiny_file, blocked) as llm:
        assert llm.complete(TEXT, **GREEDY).usage.reply_tokens == 8


def mutated(data: bytes, dice: random.Random) -> bytes:
    """A file as a bad disk, a full one or another program leaves it."""
    kind = dice.randrange(6)
    at = dice.randrange(len(data))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data + dice.randbytes(dice.randrange(1, 100))
    if kind == 2:
        return data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1 :]
    if kind == 3:
        head = dice.randrange(min(len(data), 200))
        return data[:head] + dice.randbytes(8) + data[head + 8 :]
    if kind == 4:
        return data[:at] + bytes(len(data) - at)
    other = dice.randrange(len(data))
    n = min(64, len(data) - max(at, other))
    swapped = bytearray(data)
    swapped[at : at + n], swapped[other : other + n] = data[other : other + n], data[at : at + n]
    return bytes(swapped)


@pytest.mark.slow
def test_500_mutated_snapshots_never_crash_it_and_every_reply_is_right(tiny_file: Path, tmp_path: Path) -> None:
    with open_tiny(tiny_file, tmp_path) as llm:
        right = llm.complete(TEXT, **GREEDY).text
    (path,) = files(tmp_path)
    sound, dice, n_taken = path.read_bytes(), random.Random(7), 0
    with open_tiny(tiny_file, tmp_path) as llm:
        for _ in range(500):
            forget_everything(llm)
            bad = mutated(sound, dice)
            path.write_bytes(bad)
            reply = llm.complete(TEXT, **GREEDY)
            assert reply.text == right, "a wrong reply"
            n_taken += reply.usage.cached_tokens > 0
            assert bad == sound or reply.usage.cached_tokens == 0
    assert n_taken < 50
