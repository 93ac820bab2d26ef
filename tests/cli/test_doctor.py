import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import loading, store
from seallm_edge.cli import doctor
from seallm_edge.errors import EngineError, ModelNotFound
from seallm_edge.machine import Gpu, this_machine
from seallm_edge.native import gpu_speed
from seallm_edge.native.backends import load_backends
from seallm_edge.plan.memory import HEADROOM_BYTES

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


def test_doctor_says_whether_gpus_are_used_and_why(demo_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = Gpu("CUDA0", "Fast GPU", 8_000_000_000, 8_000_000_000, speedup=4.0)
    slow = Gpu("Vulkan0", "Graphics", 2_000_000_000, 8_000_000_000, is_integrated=True, speedup=0.5)
    monkeypatch.setattr(gpu_speed, "compared", lambda gpus, header, fingerprint: tuple(gpus))
    for gpus, why in [
        ([fast, slow], "31 of 31 layers on the GPU: Fast GPU is 4.0 times as fast as the CPU"),
        ([slow], "all layers on the CPU: the CPU is 2.0 times as fast as Graphics"),
    ]:
        there = replace(load_backends(), gpus=tuple(gpus))
        monkeypatch.setattr(loading, "load_backends", lambda prefer="", there=there: there)
        facts, use = doctor.gpu_facts(gpus)
        assert [gpu["name"] for gpu in facts] == [gpu.name for gpu in gpus]
        assert use == f"for smollm2-135m-instruct, {why}"
    monkeypatch.setattr(store, "default_chat_model", no_model)
    assert doctor.gpu_facts([fast])[1] == "seallm doctor MODEL says whether it is used"
    assert doctor.gpu_facts([]) == ([], "")


def no_model() -> str:
    raise ModelNotFound("")


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


@pytest.mark.parametrize("arguments", [(), ("smollm2-135m-instruct",)])
def test_doctor_asks_again_what_was_refused(seallm: SEALLM, home: Path, arguments: tuple[str, ...]) -> None:
    now = time.time()
    answers = {"good": "", "bad": "a trial run died of SIGILL"}
    kept = {question: {"machine": {"answer": answer, "time": now}} for question, answer in answers.items()}
    file = home / "cache" / "backends.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"format": 1, "questions": kept}))
    assert seallm("doctor", *arguments).returncode == 0
    assert answers.keys() & json.loads(file.read_text())["questions"].keys() == {"good"}


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
    monkeypatch.setattr("seallm_edge.plan.memory.largest_that_fits", lambda *_: None)
    facts = doctor.examine()

    assert facts["can_run"] is False
    assert ("largest", "no model of the catalogue fits") in doctor.lines(facts)


DEMO = "smollm2-135m-instruct"


def lines_of(done: Any) -> list[str]:
    return [" ".join(line.split()) for line in done.stdout.decode().splitlines()]


def test_doctor_of_a_model_gives_its_plan_the_reasons_and_the_memory(seallm: SEALLM, demo_file: Path) -> None:
    done = seallm("doctor", DEMO, "--context", "2048", "--threads", "1")

    assert (done.returncode, done.stderr) == (0, b"")
    lines = lines_of(done)
    assert lines[:2] == [f"model {DEMO} (Q4_1)", f"file {demo_file}"]
    assert lines[2:9] == [
        "plan context 2,048: as asked",
        "KV cache in f16: the usual type",
        "threads 1: as asked",
        "batch 128: usual on a CPU",
        "flash attention on: usual on a CPU",
        "all layers on the CPU",
        "weights not repacked: the fastest kernels read them as they are"
        if "Q4_1" in load_backends().kernel_types
        else "weights repacked: the fastest kernels want it",
    ]
    assert lines[10:14] == [
        "weights 96.58 MB",
        "KV cache 47.19 MB",
        "all else 0.10 GB: buffers for a step, vocabulary, the program",
        "in all 0.25 GB",
    ]
    assert lines[15] == "chat format the file's own template"
    assert lines[-1] == f"it fits: seallm chat {DEMO}"


def test_doctor_of_a_model_as_json_has_the_plan_in_bytes(seallm: SEALLM, demo_file: Path) -> None:
    done = seallm("doctor", demo_file, "--context", "2048", "--json")
    facts = json.loads(done.stdout)

    assert done.returncode == 0
    assert (facts["model"], facts["type"], facts["file"]) == (DEMO, "Q4_1", str(demo_file))
    assert (facts["n_ctx"], facts["n_batch"], facts["cache_type_k"], facts["can_run"]) == (2048, 128, "f16", True)
    assert facts["kv_bytes"] == 2048 * 30 * 3 * 64 * 2 * 2
    assert facts["total_bytes"] == facts["weights_bytes"] + facts["kv_bytes"] + facts["compute_bytes"]
    assert facts["verdict"] == f"it fits: seallm chat {demo_file}"


def test_doctor_of_a_model_shows_warnings(seallm: SEALLM) -> None:
    done = seallm("doctor", DEMO, "--threads", "512", "--cache-type-v", "q8_0")
    lines = lines_of(done)

    assert done.returncode == 0
    assert any(line.startswith("warning 512 threads share") for line in lines)
    assert "KV cache in f16 keys and q8_0 values: as asked" in lines


def test_doctor_of_a_model_that_does_not_fit_plans_it_all_the_same_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seallm_edge.loading.this_machine", lambda: replace(this_machine(), memory_available=10**8))
    facts = doctor.examine_model(DEMO)

    assert (facts["can_run"], facts["n_ctx"]) == (False, 2048)
    name = "SmolLM2-135M-Instruct.Q4_1 with a context of 2,048"
    needed = f"{(facts['main_bytes'] + HEADROOM_BYTES) / 1e9:.2f}"
    assert facts["verdict"].startswith(f"{name} needs {needed} GB of memory but 0.10 GB is free\n")
    assert ("warning", f"it needs {needed} GB of memory but 0.10 GB is free: it may be very slow, or be killed") in (
        doctor.model_lines(facts)
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no-such-model"], 1, b"no model named 'no-such-model'"),
        ([DEMO, "--context", "0"], 1, b"context is 0\n  give a whole number from 1 to 8,192"),
        ([DEMO, "--cache-type-k", "q9"], 1, b"cache_type_k is 'q9'"),
        (["--context", "4096"], 2, b"these options are for a MODEL: name one"),
    ],
)
def test_doctor_refuses_what_it_cannot_plan(seallm: SEALLM, arguments: list[str], code: int, message: bytes) -> None:
    done = seallm("doctor", *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert message in done.stderr
