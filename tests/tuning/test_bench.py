"""Speed measurements in child processes, with the demo model and the real llama.cpp."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from seallm_edge.errors import EngineError
from seallm_edge.native.backends import load_backends
from seallm_edge.tuning import bench as bench_module
from seallm_edge.tuning.bench import Load, SpeedBench
from seallm_edge.tuning.search import Settings, Workload

pytestmark = pytest.mark.slow

SHORT = Workload(32, 4)
PARENT = """
import sys, time
from pathlib import Path
from seallm_edge.tuning.search import Workload, Settings
from seallm_edge.tuning import bench as bench_module
from seallm_edge.tuning.bench import Load, SpeedBench
with SpeedBench(Load(Path(sys.argv[1]), 10**8, 10**8)) as bench:
    bench.measure(Settings(sys.argv[2], True, 1, 32), Workload(32, 4))
    print("measured", flush=True)
    time.sleep(60)
"""

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture
def settings() -> Settings:
    return Settings(load_backends().variant, True, 1, 32)


@pytest.fixture
def load(demo_file: Path) -> Load:
    return Load(demo_file, 100_000_000, 200_000_000)


@pytest.fixture
def bench(load: Load) -> Iterator[SpeedBench]:
    with SpeedBench(load) as bench:
        yield bench
    assert children() == []


def children() -> list[psutil.Process]:
    """Children of this process that measure."""
    mine = psutil.Process().children()
    return [child for child in mine if any("bench_child" in word for word in child.cmdline())]


def test_a_try_gives_speeds(bench: SpeedBench, settings: Settings) -> None:
    sample = bench.measure(settings, SHORT)
    assert 1 < sample.write < sample.read < 1e6
    assert sample.turn_seconds == pytest.approx(256 / sample.read + 128 / sample.write)


def test_threads_and_batches_change_without_another_process(bench: SpeedBench, settings: Settings) -> None:
    bench.measure(settings, SHORT)
    first = children()
    for n_batch in (16, 64, 32):
        bench.measure(replace(settings, threads=2, n_batch=n_batch), SHORT)
    assert children() == first


def test_what_takes_another_process_leaves_the_first_where_memory_allows(bench: SpeedBench, settings: Settings) -> None:
    bench.measure(settings, SHORT)
    bench.measure(replace(settings, repack=False), SHORT)
    assert len(children()) == 2


@pytest.mark.parametrize(
    ("free", "n_alive"),
    [(50_000_000, 1), (199_999_999, 1), (200_000_000, 2)],
)
def test_only_one_process_has_weights_where_memory_is_short(
    bench: SpeedBench, settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, n_alive: int
) -> None:
    machine = bench_module.this_machine()
    monkeypatch.setattr(bench_module, "this_machine", lambda: replace(machine, memory_available=free))
    bench.measure(settings, SHORT)
    bench.measure(replace(settings, repack=False), SHORT)
    assert len(children()) == n_alive


def test_after_renewal_everything_is_measured_in_other_processes(bench: SpeedBench, settings: Settings) -> None:
    bench.measure(settings, SHORT)
    first = children()
    bench.restart_workers()
    assert children() == []
    bench.measure(settings, SHORT)
    assert set(first).isdisjoint(children())


def test_a_variant_that_is_refused_is_an_error_and_leaves_no_process(bench: SpeedBench, settings: Settings) -> None:
    if settings.variant == "built-in":
        pytest.skip("this llama-cpp-python has one CPU backend, linked in")
    with pytest.raises(EngineError, match="SEALLM_CPU_VARIANT names 'no-such'"):
        bench.measure(replace(settings, variant="no-such"), SHORT)
    assert children() == []


def test_a_file_that_llama_cpp_refuses_is_an_error(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "noise.gguf").write_bytes(b"noise")
    with SpeedBench(Load(tmp_path / "noise.gguf", 5, 5)) as bench, pytest.raises(EngineError) as caught:
        bench.measure(settings, SHORT)
    assert caught.value.message.startswith("llama.cpp cannot load noise.gguf")


@posix
@pytest.mark.parametrize(
    ("number", "end"),
    [
        (signal.SIGKILL, "was killed, most likely because memory ran out"),
        (signal.SIGSEGV, "died of SIGSEGV"),
    ],
)
def test_a_process_that_dies_is_an_error_and_the_next_try_starts_another(
    bench: SpeedBench, settings: Settings, number: signal.Signals, end: str
) -> None:
    bench.measure(settings, SHORT)
    children()[0].send_signal(number)
    with pytest.raises(EngineError) as caught:
        bench.measure(settings, SHORT)
    assert end in caught.value.message
    assert bench.measure(settings, SHORT).read > 0


@posix
def test_a_process_that_hangs_is_an_error_and_is_ended(
    bench: SpeedBench, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.measure(settings, SHORT)
    hanging = children()[0]
    hanging.suspend()
    monkeypatch.setattr(SpeedBench, "_patience", lambda *_: 0.2)
    with pytest.raises(EngineError, match="took longer than 0 s"):
        bench.measure(settings, SHORT)
    assert not hanging.is_running()


@posix
def test_ctrl_c_during_a_try_ends_the_process(load: Load, settings: Settings) -> None:
    with pytest.raises(KeyboardInterrupt):
        measure_until_interrupted(load, settings)
    assert children() == []


def measure_until_interrupted(load: Load, settings: Settings) -> None:
    with SpeedBench(load) as bench:
        bench.measure(settings, SHORT)
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        while True:
            bench.measure(settings, Workload(256, 64))


@posix
def test_no_process_outlives_a_parent_that_was_killed(load: Load, settings: Settings) -> None:
    command = [sys.executable, "-c", PARENT, str(load.path), settings.variant]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"measured\n"
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
    deadline = time.monotonic() + 20
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
