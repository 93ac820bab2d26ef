"""The CPU variant preferred by tuning: each case loads backends in a process of its own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.native.backends import BUILT_IN, load_backends

CRASHER = """
int ggml_backend_score(void) { return 1; }
void *ggml_backend_init(void) { __builtin_trap(); }
"""
LOAD = """
import json, sys
from pathlib import Path
from seallm_edge.native import backends as library
found = library.find_backends()
library.find_backends = lambda: found | {("cpu", Path(path).stem): Path(path) for path in sys.argv[2:]}
first = library.load_backends(prefer=sys.argv[1])
second = library.load_backends(prefer=first.possible[-1])
assert second is first is library.load_backends()
print(json.dumps({"variant": first.variant, "possible": first.possible, "refused": first.refused}))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        load_backends().variant == BUILT_IN, reason="this llama-cpp-python has one CPU backend, linked in"
    ),
]


def load(prefer: str, *backends: Path) -> Any:
    command = [sys.executable, "-c", LOAD, prefer, *map(str, backends)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_the_preferred_variant_is_used_and_the_others_keep_their_order() -> None:
    usual = load("")
    slowest = usual["possible"][-1]
    assert load(slowest) == {**usual, "variant": slowest}


def test_a_preferred_variant_that_is_not_there_changes_nothing() -> None:
    assert load("no-such-variant") == load("")


def test_the_users_own_choice_is_used_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    second, slowest = load("")["possible"][1], load("")["possible"][-1]
    monkeypatch.setenv("SEALLM_CPU_VARIANT", slowest)
    assert load(second)["variant"] == slowest


def test_a_preferred_variant_that_crashes_is_refused_and_the_best_is_used(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler to make a crashing backend with")
    crasher = tmp_path / "crasher.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-xc", "-", "-o", str(crasher)], input=CRASHER, text=True, check=True)
    found = load("crasher", crasher)
    assert found["variant"] == load("")["variant"]
    assert found["refused"]["crasher"].startswith("a trial run died of SIG")
    assert "crasher" not in found["possible"]
