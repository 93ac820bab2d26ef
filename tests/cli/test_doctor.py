import json
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.cli import doctor
from seallm_edge.errors import EngineError

SEALLM = Any  # the fixture that runs the command line


def test_doctor_names_what_is_used_and_ends_with_a_verdict(seallm: SEALLM, home: Path) -> None:
    done = seallm("doctor")

    assert (done.returncode, done.stderr) == (0, b"")
    lines = [" ".join(line.split()) for line in done.stdout.decode().splitlines()]
    words = {line.split()[0] for line in lines if line}
    assert {"system", "CPU", "SIMD", "cores", "memory", "GPU", "libraries", "store", "installed", "largest"} <= words
    assert f"store {home / 'models'}" in lines
    assert "installed SmolLM2-135M-Instruct.Q4_1" in lines
    assert lines[-1] == "ready: seallm chat"


def test_doctor_as_json_has_the_same_facts(seallm: SEALLM) -> None:
    done = seallm("doctor", "--json")
    facts = json.loads(done.stdout)

    assert done.returncode == 0
    assert facts["can_run"] is True
    assert facts["verdict"] == "ready: seallm chat"
    assert facts["variant"] in (*facts["possible"], "built-in")
    assert facts["threads"] >= 1
    assert facts["versions"]["llama-cpp-python"]
    assert facts["memory_available"] <= facts["memory_total"]


def test_doctor_exits_with_1_where_llama_cpp_cannot_run(seallm: SEALLM) -> None:
    done = seallm("doctor", env={"SEALLM_CPU_VARIANT": "no-such-variant"})

    if json.loads(seallm("doctor", "--json").stdout)["variant"] == "built-in":
        pytest.skip("this llama.cpp has its CPU code linked in")
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert any(line.startswith("nothing can run here: SEALLM_CPU_VARIANT names 'no-such-variant'") for line in lines)


def test_verdicts() -> None:
    error = EngineError("llama.cpp is broken", "build it again")
    assert doctor.verdict(error, True, ["a"]) == "nothing can run here: llama.cpp is broken\n  build it again"
    assert doctor.verdict(None, True, []) == "ready, but no model is installed; see which there are: seallm models"
    assert doctor.verdict(None, True, ["a"]) == "ready: seallm chat"
    assert doctor.verdict(None, False, ["a"]) == (
        "nothing can run here: even the smallest model needs more memory than is free; close other programs"
    )


def test_doctor_without_enough_memory_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seallm_edge.memory.largest_that_fits", lambda *_: None)
    facts = doctor.examine()

    assert facts["can_run"] is False
    assert ("largest", "no model of the catalogue fits") in doctor.lines(facts)
