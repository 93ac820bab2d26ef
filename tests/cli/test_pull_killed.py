"""Pulls that are killed at seeded moments, and two of the same at once: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import paths
from seallm_edge.convert import convert, split
from seallm_edge.store import installed
from support.pulls import NAME, sha256

READY = "SeaLLMs/tiny-GGUF"
ALL = 1 << 60  # resumed bytes where the run before had ended before it could be killed
SLOW = ("--limit-rate", "2M", "--json", "--accept-license")
SLOWER = ("--limit-rate", "1M", "--json", "--accept-license")


@contextmanager
def begun(seallm: Any, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A pull in a process of its own, killed at the end of the block."""
    with subprocess.Popen(seallm.command("pull", *words), stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What it tells, as it comes."""
    assert process.stdout
    for line in process.stdout:
        yield json.loads(line)


def kill_at(share: float, wait: float, seallm: Any, *words: str) -> int:
    """Kill a pull some time after it has told that a share of the bytes is there: the bytes it had from before."""
    resumed = 0
    with begun(seallm, *words) as process:
        for event in events(process):
            resumed = ALL if event.get("was_here") else event.get("resumed", resumed)
            if event["event"] == "progress" and event["done"] >= share * event["total"]:
                time.sleep(wait)
                break
    return resumed


def moments(seed: int, n: int) -> list[tuple[float, float]]:
    """Seeded (share of the bytes, seconds after) of `n` kills, in order."""
    chance = random.Random(seed)
    return [(share, chance.uniform(0, 0.4)) for share in sorted(chance.uniform(0, 0.9) for _ in range(n))]


@pytest.fixture
def source(hub: Any, checkpoint: Callable[..., Any]) -> Path:
    """A checkpoint of three shards, on the hub."""
    folder: Path = checkpoint(vocab=6000, layers=3, shards=3).path
    hub.add_repository(NAME, folder)
    return folder


@pytest.fixture
def ready(hub: Any, source: Path, tmp_path: Path) -> Path:
    """The checkpoint as GGUF, in one file and in parts, on the hub."""
    folder = tmp_path / "ready"
    (folder / "parts").mkdir(parents=True)
    convert(source, folder / "tiny-F16.gguf", "F16", verify="none")
    split(folder / "tiny-F16.gguf", "3.2M", folder / "parts" / "tiny-parts-F16.gguf")
    hub.add_repository(READY, folder, large="*.gguf")
    return folder


@pytest.mark.parametrize("seed", [1, 2])
def test_a_conversion_killed_ten_times_becomes_the_same_file(
    seed: int, seallm: Any, source: Path, tmp_path: Path
) -> None:
    local = convert(source, tmp_path / "local.gguf", "Q8_0")
    n_bytes = sum(path.stat().st_size for path in source.glob("*.safetensors"))
    # What was not synced within half a second is lost, and what is on its way through the converter.
    files = survived(seed, seallm, n_bytes, 3_000_000, NAME)
    assert [sha256(file) for file in files] == [sha256(local)]


@pytest.mark.parametrize("file", ["tiny-F16.gguf", "tiny-parts-F16"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_download_killed_ten_times_becomes_the_same_files(seed: int, file: str, seallm: Any, ready: Path) -> None:
    expected = sorted((ready / "parts").glob("*.gguf")) if "parts" in file else [ready / file]
    n_bytes = sum(path.stat().st_size for path in expected)
    # A kill loses what is on its way to the disk, not what waits for a sync.
    files = survived(seed, seallm, n_bytes, 1_100_000, "--gguf", f"{READY}:{file}", "--anyway")
    assert [sha256(path) for path in files] == [sha256(path) for path in expected]


def survived(seed: int, seallm: Any, n_bytes: int, n_lost: int, *words: str) -> tuple[Path, ...]:
    """Files of a model that was pulled by a run after ten killed ones, each of which resumed the one before."""
    shares = moments(seed, 10)
    resumed = [kill_at(share, wait, seallm, *words, *SLOW) for share, wait in shares]
    lost = [share * n_bytes - n for n, (share, _) in zip(resumed[1:], shares, strict=False)]
    assert max(lost) < n_lost, (resumed, shares)
    assert seallm("pull", *words, "--accept-license").returncode == 0
    (model,) = [one for one in installed() if one.entry]
    assert list(paths.incoming_dir().iterdir()) == []
    return model.files


@pytest.mark.skipif(sys.platform == "win32", reason="Windows halts no process")
def test_a_second_pull_of_the_same_shows_the_progress_of_the_first_and_finds_its_model(
    seallm: Any, hub: Any, source: Path
) -> None:
    with begun(seallm, NAME, *SLOWER) as first:
        events_of_first = events(first)
        seen = next(event for event in events_of_first if event["event"] == "progress" and event["done"] > 0)
        first.send_signal(signal.SIGSTOP)  # while the second one starts, however long that takes
        with begun(seallm, NAME, *SLOW) as second:
            events_of_second = events(second)
            waiting = next(event for event in events_of_second if event["event"] == "progress")
            first.send_signal(signal.SIGCONT)
            ends = [[*told][-1] for told in (events_of_first, events_of_second)]
            assert [process.wait(60) for process in (first, second)] == [0, 0]
    assert (waiting["phase"], waiting["total"]) == ("waiting", seen["total"])
    assert [end["event"] for end in ends] == ["done", "done"]
    assert ends[0]["path"] == ends[1]["path"]
    weights = sum(path.stat().st_size for path in source.glob("*.safetensors"))
    assert sum(n for name, n in hub.sent.items() if name.endswith(".safetensors")) < weights + 2 * 1_900_000


@pytest.mark.skipif(sys.platform == "win32", reason="Windows halts no process")
def test_a_second_pull_takes_over_where_the_first_is_killed(seallm: Any, hub: Any, source: Path) -> None:
    with begun(seallm, NAME, *SLOWER) as first:
        next(event for event in events(first) if event["event"] == "progress" and event["done"] > 0)
        first.send_signal(signal.SIGSTOP)
        with begun(seallm, NAME, *SLOW) as second:
            told = events(second)
            assert next(event for event in told if event["event"] == "progress")["phase"] == "waiting"
            first.kill()
            last = [*told]
            assert second.wait(60) == 0
    assert last[-1]["event"] == "done"
    assert "fetching" in {event.get("phase") for event in last}
