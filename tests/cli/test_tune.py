"""`seallm tune` as a process of its own with the demo model, and its output for a search."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from seallm_edge import tuning
from seallm_edge.cli import tune
from seallm_edge.errors import EngineError, NotEnoughMemory
from seallm_edge.gguf_file import fingerprint, read_header
from seallm_edge.tuning import saved_settings
from seallm_edge.tuning.saved_settings import Tuned
from seallm_edge.tuning.search import Result, Sample, Settings, SettingsSearch, Workload

SEALLM = Any  # the fixture that runs the command line
DEMO = "smollm2-135m-instruct"
DEFAULT = Settings("zen4", True, 4, 128)


def test_a_model_is_measured_and_what_was_found_is_kept_and_forgotten(seallm: SEALLM, demo_file: Path) -> None:
    identity = fingerprint(read_header(demo_file))
    done = seallm("tune", DEMO, "--seconds", "1", "--json")

    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout)
    kept = saved_settings.find(identity)
    assert kept is not None
    assert found["kept"] == asdict(kept)
    assert found["turn"] == {"prompt_tokens": 256, "reply_tokens": 128}
    default = found["measured"][0]
    assert default["times_as_fast"] == 1.0
    assert default["turn_seconds"] > 0
    assert len(found["measured"]) > 1
    assert kept.gain > 1 or [default[name] for name in ("threads", "n_batch", "repack", "variant")] == [
        kept.threads, kept.n_batch, kept.repack, kept.variant,
    ]  # fmt: skip

    assert seallm("tune", DEMO, "--forget").stdout == f"forgotten: what was kept for {demo_file.name}\n".encode()
    assert saved_settings.find(identity) is None
    assert seallm("tune", DEMO, "--forget").stdout == f"nothing was kept for {demo_file.name}\n".encode()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_keeps_nothing_and_leaves_no_process(seallm: SEALLM, home: Path) -> None:
    command = seallm.command("tune", DEMO, "--seconds", "60")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        measuring: list[psutil.Process] = []
        while not measuring and process.poll() is None:
            time.sleep(0.05)
            children = psutil.Process(process.pid).children()
            measuring = [child for child in children if any("bench_child" in word for word in child.cmdline())]
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=30)

    assert (process.returncode, output) == (130, (b"", b""))
    assert psutil.wait_procs(measuring, timeout=5)[1] == []
    assert not (home / "cache" / "tuning.json").exists()


def test_a_model_that_does_not_fit_is_refused_before_anything_is_loaded(
    demo_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import seallm_edge.machine

    small = replace(seallm_edge.machine.this_machine(), memory_available=10_000_000)
    monkeypatch.setattr(seallm_edge.machine, "this_machine", lambda: small)
    with pytest.raises(NotEnoughMemory, match=r"but 10\.00 MB is free"):
        tuning.tune(demo_file, seconds=1.0)


def test_an_unknown_model_is_named(seallm: SEALLM) -> None:
    done = seallm("tune", "no-such-model")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"no model named 'no-such-model'")


@pytest.mark.parametrize("seconds", ["0", "-1", "1e9", "nan", "soon"])
def test_impossible_seconds_are_a_usage_error(seallm: SEALLM, seconds: str) -> None:
    assert seallm("tune", DEMO, "--seconds", seconds).returncode == 2


def test_help_says_what_is_measured_and_what_becomes_of_it(seallm: SEALLM) -> None:
    text = " ".join(seallm("tune", "--help").stdout.decode().split())
    assert "Threads, CPU code, repacking of the weights, batch size" in text
    assert "What is kept is used for this model on this computer from then on." in text
    assert {"--seconds", "--forget", "--json", "--force"} <= set(text.split())


class Bench:
    """A bench whose tries all take what they truly take."""

    def __init__(self, slowness: dict[Settings, float], share: float = 0.0) -> None:
        self.now, self.slowness, self._share = 0.0, slowness, share

    def measure(self, settings: Settings, workload: Workload) -> Sample:
        if settings.variant == "icelake":
            raise EngineError("measuring demo on icelake died of SIGILL")
        slowness = self.slowness.get(settings, 1.25)
        self.now += 0.1 * slowness
        return Sample(256 / slowness, 128 / slowness)

    def restart_workers(self) -> None:
        pass

    def background_load(self) -> float:
        return self._share


def held(bench: Bench, seconds: float = 30.0) -> SettingsSearch:
    values = {"threads": (1, 4), "repack": (True, False), "variant": ("zen4", "icelake")}
    search = SettingsSearch(bench, DEFAULT, values, seconds, clock=lambda: bench.now)
    search.run()
    return search


def test_a_gain_is_printed_as_what_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    search = held(Bench({DEFAULT: 1.0, replace(DEFAULT, threads=1): 0.8}))

    assert saved_settings.as_tuned(search) == Tuned(threads=1, n_batch=128, repack=True, variant="zen4", gain=1.25)
    tune.print_search(search)
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "prompt tokens/s reply tokens/s a turn times as fast",
        "the defaults: 4 threads, repacked, zen4, batches of 128 256.0 128.0 2.0 s 1.00",
        "1 thread 320.0 160.0 1.6 s 1.25",
        "1 thread, not repacked 204.8 102.4 2.5 s 0.80",
        "1 thread, icelake failed",
        "",
        "A turn: 256 tokens read and 128 written. The last column compares what was measured side by side.",
        "kept: 1 thread (1.25 times as fast as the defaults)",
    ]


def test_where_nothing_is_faster_the_defaults_are_kept_and_what_was_left_out_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    search = held(Bench({DEFAULT: 1.0}, share=0.5), seconds=0.1)

    assert saved_settings.as_tuned(search) == Tuned(threads=4, n_batch=128, repack=True, variant="zen4", gain=1.0)
    tune.print_search(search)
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "A turn: 256 tokens read and 128 written. The last column compares what was measured side by side.",
        "Other programs are at work: the number of threads was left alone; tune again when they rest.",
        "Not tried, for lack of time: CPU code. Give more with --seconds.",
        "the defaults are the best here",
    ]


def test_what_only_seemed_faster_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench({DEFAULT: 1.0, replace(DEFAULT, threads=1): 0.8})
    bench.restart_workers = lambda: bench.slowness.update({replace(DEFAULT, threads=1): 1.1})
    search = held(bench)

    assert saved_settings.as_tuned(search).gain == 1.0
    tune.print_search(search)
    assert capsys.readouterr().out.splitlines()[-1] == (
        "the defaults stay: nothing was clearly faster, as 1 thread seemed to be at first"
    )


def test_failures_are_told_in_json() -> None:
    failed = tune._speeds(Result(failure="it died"))
    assert failed == {
        "prompt_tokens_per_second": None,
        "reply_tokens_per_second": None,
        "turn_seconds": None,
        "times_as_fast": None,
        "tries": 0,
        "failure": "it died",
    }
