"""Reports as JSON, read again and compared; nothing in a file is trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.errors import InvalidOption
from seallm_edge.hints import command_line_words
from seallm_edge.speed import (
    Circumstances,
    Figure,
    LanguageSpeed,
    SpeedReport,
    check_same_model,
    compare,
    read_report,
)

HINT = "\n  write one: seallm bench MODEL --json > FILE"
REPORT = SpeedReport(
    model={"name": "demo", "type": "Q4_1", "fingerprint": "ab" * 16, "file_bytes": 98_000_000},
    machine={"cpu": "Celeron N4020", "cores": 2},
    settings={"variant": "sse42", "threads": 2, "n_batch": 128, "repack": True, "gpu_layers": 0},
    n_prompt=256,
    prefill=Figure.of([60.0, 64.0, 62.0]),
    ttft=Figure.of([4.2, 4.0, 4.1]),
    decode=Figure.of([40.0, 42.0, 41.0]),
    bandwidth=Figure.of([9e9, 10e9, 11e9]),
    languages=(
        LanguageSpeed("en", 4.5, Figure.of([1.0, 1.02])),
        LanguageSpeed("my", 0.5, Figure.of([1.8, 2.0])),
    ),
    memory={"weights": 97_000_000, "kv_per_1000_tokens": 23_000_000, "peak": 240_000_000},
    circumstances=Circumstances(41.0, 97_000_000, 10e9, threads=2, cores=2, background=0.01, faults_per_token=0.0),
)


def written(report: SpeedReport, path: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
    facts = report.as_dict()
    change(facts)
    path.write_text(json.dumps(facts), encoding="utf-8")
    return path


def test_json_holds_every_figure_with_the_facts() -> None:
    facts = REPORT.as_dict()
    assert facts["figures"]["decode, tokens/s"] == {
        "median": 41.0, "low": 40.0, "high": 42.0, "samples": [40.0, 42.0, 41.0],
    }  # fmt: skip
    assert facts["languages"]["my"]["characters_per_second"]["median"] == 20.5
    assert facts["languages"]["my"]["with_drafting"] == {
        "median": 38.9, "low": 36.0, "high": 42.0, "samples": [36.0, 37.8, 36.9, 40.0, 42.0, 41.0],
    }  # fmt: skip
    assert (facts["bandwidth_share"], facts["weights_per_token_bytes"]) == (0.398, 97_000_000)
    assert facts["limit"]["kind"] == "computation"
    assert json.loads(json.dumps(facts)) == facts


def test_an_unchanged_machine_is_within_the_spread(tmp_path: Path) -> None:
    earlier = read_report(written(REPORT, tmp_path / "old.json"))
    comparison = compare(earlier, REPORT)
    assert [change.name for change in comparison.changes] == [
        "prefill of 256 tokens, tokens/s",
        "time to first token after 256 tokens, s",
        "decode, tokens/s",
        "memory bandwidth, GB/s",
        "en, characters/s",
        "my, characters/s",
        "en with drafting, characters/s",
        "my with drafting, characters/s",
    ]
    assert {(round(change.times_as_fast, 9), change.is_within_spread) for change in comparison.changes} == {(1.0, True)}
    assert comparison.differences == ()


def test_a_faster_machine_is_told_with_what_differs(tmp_path: Path) -> None:
    earlier = read_report(written(REPORT, tmp_path / "old.json"))
    faster = replace(
        REPORT,
        machine={"cpu": "Ryzen", "cores": 2},
        settings={**REPORT.settings, "variant": "zen4"},
        ttft=REPORT.ttft.scaled(0.5),
        decode=REPORT.decode.scaled(2.0),
        n_prompt=128,
    )
    comparison = compare(earlier, faster)
    assert comparison.as_dict() == {
        "earlier": "old.json",
        "differences": ["cpu: Celeron N4020, now Ryzen", "variant: sse42, now zen4"],
        "figures": {
            "decode, tokens/s": {"before": 41.0, "now": 82.0, "times_as_fast": 2.0, "is_within_spread": False},
            "memory bandwidth, GB/s": {"before": 10.0, "now": 10.0, "times_as_fast": 1.0, "is_within_spread": True},
            "en, characters/s": {
                "before": pytest.approx(184.5), "now": pytest.approx(369.0), "times_as_fast": 2.0,
                "is_within_spread": False,
            },
            "my, characters/s": {
                "before": pytest.approx(20.5), "now": pytest.approx(41.0), "times_as_fast": 2.0,
                "is_within_spread": False,
            },
            "en with drafting, characters/s": {
                "before": pytest.approx(186.345), "now": pytest.approx(372.69), "times_as_fast": 2.0,
                "is_within_spread": False,
            },
            "my with drafting, characters/s": {
                "before": pytest.approx(38.9), "now": pytest.approx(77.8), "times_as_fast": 2.0,
                "is_within_spread": False,
            },
        },
    }  # fmt: skip


def test_seconds_are_faster_where_they_are_fewer_and_one_sample_proves_nothing(tmp_path: Path) -> None:
    earlier = read_report(written(REPORT, tmp_path / "old.json"))
    comparison = compare(earlier, replace(REPORT, ttft=Figure.of([2.05])))
    (change,) = (change for change in comparison.changes if change.name.startswith("time"))
    assert (change.times_as_fast, change.is_within_spread) == (2.0, True)


def test_another_model_is_refused(tmp_path: Path) -> None:
    earlier = read_report(written(REPORT, tmp_path / "old.json"))
    check_same_model(earlier, "ab" * 16, "demo Q4_1")
    with pytest.raises(InvalidOption) as error:
        check_same_model(earlier, "cd" * 16, "other Q8_0")
    assert error.value.worded(command_line_words) == (
        "old.json is of another model file: demo Q4_1, and this is other Q8_0\n  compare with a report of the same file"
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda facts: facts.pop("format"), "it is something else"),
        (lambda facts: facts.update(format=2), "its format is 2, and this version reads 1"),
        (lambda facts: facts.pop("machine"), "it has no 'machine'"),
        (lambda facts: facts.update(figures=[1]), "its 'figures' is no table"),
        (lambda facts: facts["model"].pop("fingerprint"), "it has no 'fingerprint'"),
        *(
            (
                lambda facts, samples=samples: facts["figures"].update({"decode, tokens/s": {"samples": samples}}),
                "the samples of 'decode, tokens/s' are no positive numbers",
            )
            for samples in ([], [0], [-1.0], [float("nan")], [True], ["1"], None, 5)
        ),
    ],
)
def test_a_damaged_report_is_refused_with_what_is_wrong(tmp_path: Path, change: Any, problem: str) -> None:
    with pytest.raises(InvalidOption) as error:
        read_report(written(REPORT, tmp_path / "old.json", change))
    words = f"old.json is no report of an earlier benchmark: {problem}{HINT}"
    assert error.value.worded(command_line_words) == words


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "line 1 is no JSON"),
        (b"{}", "it is something else"),
        (b"[1]", "it is something else"),
        (b'{"format": 1,\n', "line 2 is no JSON"),
        (b"\xff\xfe{\x00", "it is UTF-16, not UTF-8"),
        (b" " * (1 << 20) + b"{}", "it is larger than 1 MiB"),
        (b"[" * 500_000, "its JSON is nested too deeply"),
    ],
)
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    (tmp_path / "old.json").write_bytes(data)
    with pytest.raises(InvalidOption) as error:
        read_report(tmp_path / "old.json")
    words = f"old.json is no report of an earlier benchmark: {problem}{HINT}"
    assert error.value.worded(command_line_words) == words
