"""Saved step costs: kept, found on the same machine, and checked before use."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import SeaLLM
from seallm_edge.drafting import Remembered, saved_costs
from seallm_edge.loading import resolve
from seallm_edge.plan import LoadOptions, Plan
from support.engine_internals import core_of

MODEL = "0123456789abcdef" * 2
COSTS = {1: Remembered(1.0, 0), 2: Remembered(1.25, 3), 5: Remembered(2.5, 900)}


@pytest.fixture
def file(home: Path) -> Path:
    """Where it is kept."""
    return home / "cache" / "step-costs.json"


@pytest.fixture
def plan(demo_file: Path) -> Plan:
    return resolve(demo_file, LoadOptions(context=256)).plan


def test_what_is_kept_is_found_again(plan: Plan) -> None:
    assert saved_costs.find(MODEL, plan) == {}
    saved_costs.keep(MODEL, plan, COSTS)
    assert saved_costs.find(MODEL, plan) == COSTS
    assert saved_costs.find("f" * 32, plan) == {}


def test_nothing_learnt_leaves_what_was_kept(plan: Plan) -> None:
    saved_costs.keep(MODEL, plan, COSTS)
    saved_costs.keep(MODEL, plan, {})
    assert saved_costs.find(MODEL, plan) == COSTS


@pytest.mark.parametrize(
    "change",
    [{"threads": 77}, {"gpu_layers": 7}, {"repack": None}, {"flash_attention": "other"}, {"cache_type_k": "q8_0"}],
    ids=str,
)
def test_other_settings_find_nothing(plan: Plan, change: dict[str, Any]) -> None:
    saved_costs.keep(MODEL, plan, COSTS)
    assert saved_costs.find(MODEL, replace(plan, **change)) == {}


@pytest.mark.parametrize(
    "costs",
    [
        [], None, 7, {"1": 1.0}, {"1": [1.0]}, {"1": [1.0, 0, 0]}, {"1": ["1", 0]}, {"1": [1.0, -1]}, {"1": [0, 0]},
        {"1": [-1.0, 0]}, {"1": [float("nan"), 0]}, {"1": [float("inf"), 0]}, {"1": [1e9, 0]}, {"1": [1.0, 0.5]},
        {"2": [1.0, 0]}, {"0": [1.0, 0]}, {"1": [10**400, 0]}, {"1": [True, 0]}, {"1": [1.0, True]}, {"1": [None, 0]},
    ],
    ids=str,
)  # fmt: skip
def test_values_out_of_range_are_not_believed(file: Path, plan: Plan, costs: object) -> None:
    saved_costs.keep(MODEL, plan, COSTS)
    content = json.loads(file.read_text())
    ((_, record),) = content["models"][MODEL].items()
    record["costs"] = costs
    file.write_text(json.dumps(content))
    assert saved_costs.find(MODEL, plan) == {}


def test_a_disk_that_cannot_keep_it_is_logged(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_arguments: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    caplog.set_level(logging.INFO, "seallm_edge")
    saved_costs.keep(MODEL, plan, COSTS)
    assert "what steps cost is not kept: [Errno 28] No space left on device" in caplog.text


def test_a_second_program_begins_with_what_the_first_has_learnt(file: Path, demo_file: Path) -> None:
    def known_costs(llm: SeaLLM) -> set[int]:
        costs = core_of(llm)._speculation.costs
        return {n for n in range(1, 9) if costs.is_known(n)}

    with SeaLLM(demo_file, context=256) as llm:
        assert known_costs(llm) == set()
        llm.complete("1 2 3 1 2 3 1 2 3", temperature=0, max_tokens=60)
        learnt = known_costs(llm)
        assert 1 in learnt
    assert file.exists()
    with SeaLLM(demo_file, context=256) as llm:
        llm.complete("1 2 3", temperature=0, max_tokens=6)
        assert known_costs(llm) >= learnt
    before = file.read_bytes()
    with SeaLLM(demo_file, context=256, drafting="off") as llm:
        llm.complete("1 2 3", temperature=0, max_tokens=8)
    assert file.read_bytes() == before
