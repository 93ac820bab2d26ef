"""Real SIGINTs inside native calls; a traceback printed by ctypes would fail these tests, as every warning does."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from seallm_edge import SeaLLM
from seallm_edge.native import interruptible
from seallm_edge.native.interruptible import CallInterrupted, is_any_running, run_interruptibly
from seallm_edge.native.model import Model, vocabulary_of

DEMO = "smollm2-135m-instruct"
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

# Sends the process a SIGINT from inside a ctypes callback: the NUMBERth line of log, or the NUMBERth progress.
INTERRUPTED_CALLBACK = """
import os, signal, sys
from seallm_edge.native import log, model
owner, name = (log.LogRelay, "receive") if sys.argv[1] == "log" else (model._Loading, "__call__")
number = int(sys.argv[2])
plain, calls = getattr(owner, name), []
def counted(*arguments):
    calls.append(None)
    if len(calls) == number:
        os.kill(os.getpid(), signal.SIGINT)
    return plain(*arguments)
setattr(owner, name, counted)
del sys.argv[1:3]
from seallm_edge.cli import main
main()
"""


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_work_runs_beside_the_main_thread_and_its_result_comes_back() -> None:
    assert run_interruptibly(lambda _: threading.current_thread() is threading.main_thread()) is False


def test_on_another_thread_the_work_runs_right_there() -> None:
    found: list[bool] = []

    def caller() -> None:
        found.append(run_interruptibly(lambda _: threading.current_thread() is thread))

    thread = threading.Thread(target=caller)
    thread.start()
    thread.join()
    assert found == [True]


def test_what_the_work_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        run_interruptibly(lambda _: 1 // 0)


def test_shares_come_in_the_callers_thread() -> None:
    shares: list[tuple[float, bool]] = []

    def note(share: float) -> None:
        shares.append((share, threading.current_thread() is threading.main_thread()))

    run_interruptibly(lambda report: [report(0.25), report(1.0)], on_progress=note)
    assert shares == [(0.25, True), (1.0, True)]


def test_an_exception_of_on_progress_ends_the_work_at_its_next_report() -> None:
    seen: list[type[BaseException]] = []

    def work(report) -> None:
        try:
            while True:
                report(0.5)
                time.sleep(0.001)
        except CallInterrupted as error:
            seen.append(type(error))
            raise

    def refuse(_share: float) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        run_interruptibly(work, on_progress=refuse)
    assert (seen, is_any_running()) == ([CallInterrupted], False)


@posix
def test_a_result_that_comes_after_an_interrupt_is_discarded() -> None:
    discarded: list[str] = []

    def work(_report) -> str:
        interrupt()
        time.sleep(0.3)  # the main thread is interrupted meanwhile
        return "weights"

    with pytest.raises(KeyboardInterrupt):
        run_interruptibly(work, discard=discarded.append)
    assert (discarded, is_any_running()) == (["weights"], False)


@posix
def test_a_call_that_does_not_end_is_left_to_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruptible, "GRACE_SECONDS", 0.01)
    may_end, is_discarded = threading.Event(), threading.Event()

    def work(_report) -> None:
        interrupt()
        may_end.wait()

    with pytest.raises(KeyboardInterrupt):
        run_interruptibly(work, discard=lambda _: is_discarded.set())
    assert is_any_running()
    may_end.set()
    assert is_discarded.wait(60)


@posix
@pytest.mark.parametrize("repack", [True, False])
def test_an_interrupt_while_weights_load_frees_them_and_the_next_load_works(demo_file: Path, repack: bool) -> None:
    shares: list[float] = []

    def interrupt_midway(share: float) -> None:
        shares.append(share)
        if share > 0.4:
            interrupt()

    with pytest.raises(KeyboardInterrupt):
        Model(demo_file, repack=repack, on_progress=interrupt_midway)
    assert 0.4 < shares[-1] < 1
    assert not is_any_running()
    with vocabulary_of(demo_file) as vocabulary:
        assert vocabulary.n_tokens == 49_152


@pytest.mark.slow
@posix
def test_an_interrupt_while_a_model_loads_reaches_python_and_the_next_load_works() -> None:
    def interrupt_midway(share: float) -> None:
        if share > 0.4:
            interrupt()

    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        SeaLLM(DEMO, context=256, on_progress=interrupt_midway)
    assert set(threading.enumerate()) <= before  # no engine runs on
    with SeaLLM(DEMO, context=256) as llm:
        assert llm.chat("What is the capital of Japan?", temperature=0).text == "The capital of Japan is Tokyo."


@pytest.mark.slow
@posix
@pytest.mark.parametrize(
    ("callback", "number", "command"),
    [
        ("log", 1, ("run", DEMO, "hello")),
        ("log", 1_000, ("run", DEMO, "hello")),
        ("progress", 100, ("run", DEMO, "hello")),
        ("log", 1_000, ("chat", DEMO)),
    ],
)
def test_ctrl_c_inside_a_callback_ends_the_command_with_130_and_no_word(
    callback: str, number: int, command: tuple[str, ...]
) -> None:
    words = [sys.executable, "-c", INTERRUPTED_CALLBACK, callback, str(number), *command]
    result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (130, b"", b"")
