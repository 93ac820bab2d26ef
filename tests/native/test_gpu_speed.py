"""GPUs beside the CPU: what a child process measures, what is kept of it, and what a failing device leads to."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.errors import EngineError
from seallm_edge.gguf_file import Header, read_header
from seallm_edge.machine import Gpu
from seallm_edge.native import child, gpu_speed
from seallm_edge.native.child import Result

GPU = Gpu("Vulkan0", "Test GPU", 4_000_000_000, 8_000_000_000)
EVEN = {"cpu_decode": 2.0, "gpu_decode": 1.0, "cpu_prefill": 1.0, "gpu_prefill": 0.25}


class Children:
    """Child processes that end as told, the last one again and again; and what they were asked."""

    def __init__(self, *results: Result | dict[str, Any]) -> None:
        self.results = [one if isinstance(one, Result) else Result(0, json.dumps(one), "") for one in results]
        self.asked: list[dict[str, Any]] = []

    def __call__(self, target: str, *arguments: str, timeout: float, request: str = "") -> Result:
        self.asked.append(json.loads(request))
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]


@pytest.fixture
def header(demo_file: Path) -> Header:
    return read_header(demo_file)


@pytest.fixture
def children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Children]:
    monkeypatch.setenv("SEALLM_HOME", str(tmp_path / "fresh"))

    def made(*results: Result | dict[str, Any]) -> Children:
        fake = Children(*results)
        monkeypatch.setattr(gpu_speed.child, "run", fake)
        return fake

    return made


def compared(header: Header, **options: Any) -> Gpu:
    (found,) = gpu_speed.compared([GPU], header, "fingerprint", **options)
    return found


def test_a_gpu_is_measured_once_for_a_model_and_machine(children: Callable[..., Children], header: Header) -> None:
    asked = children(EVEN).asked
    assert compared(header, measures=False).speedup is None
    assert compared(header).speedup == (256 * 1.0 + 128 * 2.0) / (256 * 0.25 + 128 * 1.0)
    assert compared(header).is_worth_using
    assert compared(header, measures=False).speedup
    assert len(asked) == 1
    assert asked[0] == {
        "gpu": "Vulkan0",
        "matrices": [list(m) for m in gpu_speed.layer_matrices(header)],
        "n_layer": 30,
    }
    gpu_speed.compared([GPU], header, "another model")
    assert len(asked) == 2


def test_a_hopeless_gpu_is_judged_by_a_slice_alone(children: Callable[..., Children], header: Header) -> None:
    children({"cpu_decode": 0.001, "gpu_decode": 0.3})
    gpu = compared(header)
    assert gpu.speedup == pytest.approx(1 / 300)
    assert not gpu.is_worth_using


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (Result(-9, "", "", is_timed_out=True), "it gave no answer within 20 s"),
        (Result(1, "", "\na q4_K product came out wrong (status 0, nan for 256.1)\n"), "a q4_K product came out wrong"),
        (Result(1, "", "ggml_vulkan:\tlost \x1b[31mdevice"), "ggml_vulkan: lost  [31mdevice"),
        (
            child.error_as_data(EngineError("the device has too little memory for a layer")),
            "the device has too little memory for a layer",
        ),
        pytest.param(
            Result(-11, "", "loading"),
            "its trial died of SIGSEGV",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
        ),
    ],
)
def test_a_gpu_that_hangs_dies_or_lies_is_passed_over_for_a_day(
    children: Callable[..., Children],
    header: Header,
    monkeypatch: pytest.MonkeyPatch,
    result: Result | dict[str, Any],
    problem: str,
) -> None:
    asked = children(result, EVEN).asked
    gpu = compared(header)
    assert gpu.problem.startswith(problem)
    assert not gpu.is_worth_using
    assert compared(header) == gpu
    assert len(asked) == 1
    now = gpu_speed.time.time()
    monkeypatch.setattr(gpu_speed.time, "time", lambda: now + 25 * 3600)
    assert compared(header).speedup
    assert len(asked) == 2


def test_what_the_file_of_measurements_says_wrongly_is_measured_anew(
    children: Callable[..., Children], header: Header
) -> None:
    asked = children(EVEN).asked
    subject = f"fingerprint {GPU.description} {GPU.memory_total}"
    for record in (
        {"speedup": -1.0},
        {"speedup": 0.0},
        {"speedup": "2"},
        {"problem": "x"},
        {"problem": "x\n", "time": 0.0},
        [],
        None,
    ):
        gpu_speed._RECORDS.keep(subject, record)
        assert compared(header).speedup == 2.666666666666666666
    assert len(asked) == 7


def test_a_layer_has_the_matrices_of_most_layers(header: Header) -> None:
    matrices = gpu_speed.layer_matrices(header)
    assert sorted((columns, rows) for _, columns, rows in matrices) == [
        (576, 192), (576, 192), (576, 576), (576, 576), (576, 1536), (576, 1536), (1536, 576),
    ]  # fmt: skip


@pytest.mark.slow
def test_the_child_measures_a_device_of_ggml(header: Header) -> None:
    request = {"gpu": "CPU", "matrices": gpu_speed.layer_matrices(header), "n_layer": header.dimensions.n_layer}
    result = child.run("seallm_edge.native.gpu_speed_child", request=json.dumps(request), timeout=60)
    assert result.code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found.keys() == {"cpu_decode", "gpu_decode", "cpu_prefill", "gpu_prefill"}
    assert 0.1 < gpu_speed.speedup(found) < 10  # the same device, on a busy computer
    assert found["cpu_prefill"] < found["cpu_decode"]


@pytest.mark.slow
def test_a_gpu_that_is_gone_is_a_problem_with_its_name(header: Header) -> None:
    request = {"gpu": "Vulkan7", "matrices": gpu_speed.layer_matrices(header), "n_layer": 1}
    result = child.run("seallm_edge.native.gpu_speed_child", request=json.dumps(request), timeout=60)
    assert json.loads(result.stdout)["error"] == "llama.cpp no longer sees the GPU Vulkan7"
