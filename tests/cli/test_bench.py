"""`seallm bench` as a process of its own with the demo model, and its output for a made-up report."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from seallm_edge.cli import bench
from seallm_edge.gguf_file import fingerprint, read_header
from seallm_edge.speed import Circumstances, Figure, LanguageSpeed, SpeedReport, compare, read_report
from seallm_edge.text.languages import LANGUAGES

SEALLM = Any  # the fixture that runs the command line
DEMO = "smollm2-135m-instruct"
REPORT = SpeedReport(
    model={"name": "seallms-v3-1.5b-chat", "type": "Q4_K_M", "fingerprint": "ab" * 16},
    machine={"cpu": "Intel(R) Celeron(R) N4020", "cores": 2},
    settings={"threads": 2, "variant": "sse42", "repack": False, "gpu_layers": 0},
    n_prompt=128,
    prefill=Figure.of([13.0, 13.5, 12.5]),
    ttft=Figure.of([9.9, 9.7, 10.1]),
    decode=Figure.of([8.0, 8.2, 8.1]),
    bandwidth=Figure.of([9.0e9, 9.4e9, 9.2e9]),
    languages=(LanguageSpeed("en", 4.25, Figure.of([1.0, 1.04])), LanguageSpeed("my", 0.5, Figure.of([1.8, 2.0]))),
    memory={"weights": 986_000_000, "kv_per_1000_tokens": 28_672_000, "peak": 1_290_000_000},
    circumstances=Circumstances(8.1, 986_000_000, 9.2e9, threads=2, cores=2, faults_per_token=0.0),
)
TABLES = [
    "model seallms-v3-1.5b-chat Q4_K_M",
    "machine Intel(R) Celeron(R) N4020",
    "settings 2 threads, CPU code sse42, not repacked",
    "memory 0.99 GB of weights, 28.67 MB for 1,000 tokens of context, at most 1.29 GB in all",
    "",
    "median lowest to highest",
    "prefill of 128 tokens 13.0 tokens/s 12.5 to 13.5",
    "time to first token after 128 tokens 9.90 s 9.70 to 10.10",
    "decode 8.1 tokens/s 8.0 to 8.2",
    "memory bandwidth 9.2 GB/s 9.0 to 9.4",
    "share that decode reaches 87%",
    "",
    "language characters a token characters/s with drafting times as fast lowest to highest",
    "English 4.25 34.4 35.1 1.02 1.00 to 1.04",
    "Burmese 0.50 4.0 7.7 1.90 1.80 to 2.00",
    "",
]
LIMIT = (
    "Memory bandwidth limits this computer: decode reads 8.0 GB of weights a second, 87% of the 9.2 that 2 threads can "
    "read."
)


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_a_report_is_printed_with_its_spreads_and_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    bench.print_report(REPORT)
    assert printed(capsys) == [*TABLES, LIMIT]


def test_without_time_for_drafting_the_report_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    bench.print_report(replace(REPORT, languages=(LanguageSpeed("my", 0.5, None),)))
    assert printed(capsys)[-4:] == [
        "Burmese 0.50 4.0",
        "",
        "Drafting was not measured, for lack of time. Give more with --seconds.",
        LIMIT,
    ]


def test_a_comparison_is_printed_with_what_is_within_the_spread(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "old.json").write_text(json.dumps(REPORT.as_dict()), encoding="utf-8")
    now = replace(REPORT, decode=REPORT.decode.scaled(1.5), settings={**REPORT.settings, "variant": "haswell"})
    bench.print_comparison(compare(read_report(tmp_path / "old.json"), now))
    assert printed(capsys) == [
        "",
        "Compared with old.json:",
        "variant: sse42, now haswell",
        "before now times as fast",
        "prefill of 128 tokens, tokens/s 13 13 1.00 within the spread",
        "time to first token after 128 tokens, s 9.9 9.9 1.00 within the spread",
        "decode, tokens/s 8.1 12.15 1.50",
        "memory bandwidth, GB/s 9.2 9.2 1.00 within the spread",
        "en, characters/s 34.42 51.64 1.50",
        "my, characters/s 4.05 6.075 1.50",
        "en with drafting, characters/s 35.11 52.66 1.50",
        "my with drafting, characters/s 7.69 11.54 1.50",
    ]


def test_the_demo_model_is_measured_and_compared_with_itself(seallm: SEALLM, demo_file: Path, tmp_path: Path) -> None:
    first = seallm("bench", DEMO, "--seconds", "4", "--json")
    assert (first.returncode, first.stderr) == (0, b"")
    found = json.loads(first.stdout)
    assert found["model"]["fingerprint"] == fingerprint(read_header(demo_file))
    assert list(found["languages"]) == [language.code for language in LANGUAGES]
    for figure in found["figures"].values():
        assert 0 < figure["low"] <= figure["median"] <= figure["high"]
    assert all(len(figure["samples"]) >= 3 for name, figure in found["figures"].items() if "characters" not in name)
    assert 4.0 < found["languages"]["en"]["characters_per_token"] < 5.0
    assert found["languages"]["my"]["characters_per_token"] < 1.0
    assert found["weights_per_token_bytes"] == read_header(demo_file).tensor_bytes  # its embedding is its output too
    assert found["memory"]["weights"] < found["memory"]["peak"] < 2_000_000_000
    assert 0 < found["bandwidth_share"] < 2
    assert found["limit"]["words"]

    (tmp_path / "old.json").write_bytes(first.stdout)
    again = json.loads(
        seallm("bench", DEMO, "--seconds", "4", "--json", "--compare", str(tmp_path / "old.json")).stdout
    )
    assert again["compared"]["earlier"] == "old.json"
    assert again["compared"]["differences"] == []
    assert again["compared"]["figures"]["decode, tokens/s"]["times_as_fast"] > 0


def test_a_report_of_another_model_is_refused_before_loading(seallm: SEALLM, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps(REPORT.as_dict()), encoding="utf-8")
    done = seallm("bench", DEMO, "--compare", str(tmp_path / "old.json"))
    assert (done.returncode, done.stdout, done.stderr.decode()) == (
        1,
        b"",
        f"old.json is of another model file: seallms-v3-1.5b-chat Q4_K_M, and this is {DEMO} Q4_1\n"
        "  compare with a report of the same file\n",
    )


def test_a_damaged_or_missing_report_is_refused(seallm: SEALLM, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{", encoding="utf-8")
    done = seallm("bench", DEMO, "--compare", str(tmp_path / "old.json"))
    assert (done.returncode, done.stdout, done.stderr.decode()) == (
        1,
        b"",
        "old.json is no report of an earlier benchmark: line 1 is no JSON\n"
        "  write one: seallm bench MODEL --json > FILE\n",
    )
    missing = seallm("bench", DEMO, "--compare", str(tmp_path / "none.json"))
    assert (missing.returncode, missing.stdout) == (1, b"")
    assert b"none.json" in missing.stderr
    assert b"Traceback" not in missing.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_exits_with_130_and_leaves_no_process(seallm: SEALLM) -> None:
    command = seallm.command("bench", DEMO, "--seconds", "600")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        me = psutil.Process(process.pid)
        while process.poll() is None and me.cpu_times().user < 2:  # it measures by then
            time.sleep(0.05)
        children = me.children(recursive=True)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, (b"", b""))
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_an_unknown_model_is_named(seallm: SEALLM) -> None:
    done = seallm("bench", "no-such-model")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"no model named 'no-such-model'")
