"""GPUs that fail: the driver gives up, the memory ends, they hang or die. faults.c makes a real one do so on demand.

Each test is a program of its own, since faults.c has to be loaded before Vulkan.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.native.backends import load_backends

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not load_backends().gpus, reason="llama.cpp sees no GPU here"),
    pytest.mark.skipif(sys.platform != "linux", reason="faults.c is preloaded, as Linux can"),
]
N_LAYERS = 31  # of the demo model, with the output
PROGRAM = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
from seallm_edge import SeaLLM, SeaLLMError
from seallm_edge.native import gpu_speed

fault, memory = Path(os.environ["GPU_FAULT"]), Path(os.environ["GPU_MEMORY"])
QUESTION = "What is the capital of Japan?"
GREEDY = {"temperature": 0, "max_tokens": 12}

def layers(llm):
    return {"n_layers": llm.plan.gpu_layers, "why": next(why for why in llm.plan.reasons if "layers on" in why)}

def fast(gpus, header, fingerprint):  # as if measured to be faster than the CPU, unless it has failed
    return tuple(gpu if gpu.problem else replace(gpu, speedup=3.0) for gpu in gpus)
"""


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def told(faults: Path, demo_file: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """What a program prints as JSON, with a GPU that has the fault `at_first`."""

    def run(program: str, at_first: str = "") -> dict[str, Any]:
        (tmp_path / "fault").write_text(at_first)
        environment = {
            **os.environ,
            "LD_PRELOAD": str(faults),
            "GPU_FAULT": str(tmp_path / "fault"),
            "GPU_MEMORY": str(tmp_path / "memory"),
        }
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM + program, demo_file],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    return run


def test_a_reply_goes_on_when_the_driver_gives_up(told: Callable[..., dict[str, Any]]) -> None:
    found = told("""
with SeaLLM(sys.argv[1], context=512, gpu_layers=0) as llm:
    expected = llm.chat("Count from one to ten.", temperature=0, max_tokens=20).text
with SeaLLM(sys.argv[1], context=512, gpu_layers=31) as llm:
    stream = llm.stream("Count from one to ten.", temperature=0, max_tokens=20)
    before = next(stream)
    fault.write_text("lost")
    reply = stream.read()
    again = llm.chat(QUESTION, **GREEDY).text
    print(json.dumps({"text": reply.text, "expected": expected, "again": again, **layers(llm)}))
""")
    assert found["text"] == found["expected"]
    assert "Tokyo" in found["again"]
    assert found["n_layers"] == 0
    assert "ErrorDeviceLost" in found["why"]


@pytest.mark.parametrize("then", ["llm.close()", "llm.chat(QUESTION, **GREEDY)"], ids=["closed", "used again"])
def test_a_driver_that_gives_up_while_the_model_is_idle_costs_nothing(
    told: Callable[..., dict[str, Any]], tmp_path: Path, then: str
) -> None:
    found = told(f"""
llm = SeaLLM(sys.argv[1], context=512, gpu_layers=31, prefix_cache=100_000_000, snapshots=Path({str(tmp_path)!r}))
llm.chat("Rice grows in water. " * 40, **GREEDY)
fault.write_text("lost")
{then}
llm.chat(QUESTION, **GREEDY) if llm.is_loaded else None
llm.close()
print(json.dumps({{"done": True}}))
""")
    assert found["done"]


def test_a_prompt_goes_on_when_the_memory_ends(told: Callable[..., dict[str, Any]]) -> None:
    found = told("""
with SeaLLM(sys.argv[1], context=1024, gpu_layers=31) as llm:
    short = llm.chat(QUESTION, **GREEDY).text
    before = llm.plan.gpu_layers
    fault.write_text("memory")
    long = llm.chat("Rice grows in water. " * 60 + QUESTION, **GREEDY).text
    print(json.dumps({"short": short, "long": long, "before": before, **layers(llm)}))
""")
    assert found["before"] == N_LAYERS
    assert "Tokyo" in found["short"]
    assert "Tokyo" in found["long"]
    assert found["n_layers"] == 0
    assert "ErrorOutOfDeviceMemory" in found["why"]


def test_a_model_is_loaded_without_the_gpu_where_that_has_no_memory(told: Callable[..., dict[str, Any]]) -> None:
    found = told("""
gpu_speed.compared = fast
fault.write_text("memory")
with SeaLLM(sys.argv[1], context=512) as llm:
    print(json.dumps({"text": llm.chat(QUESTION, **GREEDY).text, **layers(llm)}))
""")
    assert found["n_layers"] == 0
    assert "Tokyo" in found["text"]


def test_layers_that_were_asked_for_and_find_no_memory_are_an_error(told: Callable[..., dict[str, Any]]) -> None:
    found = told("""
fault.write_text("memory")
try:
    SeaLLM(sys.argv[1], context=512, gpu_layers=31)
except SeaLLMError as error:
    print(json.dumps({"error": str(error)}))
""")
    assert "llama.cpp cannot" in found["error"]


@pytest.mark.parametrize(
    ("fault", "why"), [("hang", "it gave no answer within 20 s"), ("die", "its trial died of SIGABRT")]
)
def test_a_gpu_that_hangs_or_dies_is_passed_over(told: Callable[..., dict[str, Any]], fault: str, why: str) -> None:
    found = told(
        """
with SeaLLM(sys.argv[1], context=512) as llm:
    print(json.dumps({"text": llm.chat(QUESTION, **GREEDY).text, **layers(llm)}))
""",
        fault,
    )
    assert found["n_layers"] == 0
    assert why in found["why"]
    assert "Tokyo" in found["text"]


@pytest.mark.parametrize("n_layers", [10, N_LAYERS], ids=["some layers", "all layers"])
def test_the_memory_that_is_taken_is_the_planned_one(told: Callable[..., dict[str, Any]], n_layers: int) -> None:
    found = told(f"""
with SeaLLM(sys.argv[1], context=2048, gpu_layers={n_layers}) as llm:
    llm.chat("Rice grows in water. " * 60 + QUESTION, **GREEDY)
    print(json.dumps({{"taken": int(memory.read_text()), "planned": llm.plan.gpu_bytes}}))
""")
    assert 0.8 < found["taken"] / found["planned"] < 1.25
