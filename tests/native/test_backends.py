"""Loading of backends, each case in a process of its own: a loaded library cannot be unloaded."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.errors import EngineError
from seallm_edge.native.backends import (
    AMX_VARIANTS,
    BUILT_IN,
    UNNAMED,
    find_backends,
    keep_linked_in,
    load_backends,
)

CRASHER = """
int ggml_backend_score(void) { return 1000000; }
void *ggml_backend_init(void) { __builtin_trap(); }
"""
CRASHES_AT_SCORING = """
int ggml_backend_score(void) { __builtin_trap(); }
void *ggml_backend_init(void) { return 0; }
"""
CRASHES_WITHOUT_A_SCORE = """
void *ggml_backend_init(void) { __builtin_trap(); }
"""
LOAD = """
import json, sys
from pathlib import Path
from seallm_edge.errors import EngineError
from seallm_edge.native import backends as library
found = library.find_backends()
extra = {(sys.argv[2], Path(path).stem): Path(path) for path in sys.argv[3:]}
library.find_backends = lambda: extra if sys.argv[1] == "only" else {**extra, **found}
try:
    backends = library.load_backends()
    print(json.dumps({"variant": backends.variant, "refused": backends.refused, "possible": backends.possible}))
except EngineError as error:
    print(json.dumps({"error": error.message, "hint": str(error.hint)}))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        load_backends().variant == BUILT_IN, reason="this llama-cpp-python has one CPU backend, linked in"
    ),
]


def load(*backends: Path, only: bool = False, prelude: str = "", kind: str = "cpu") -> Any:
    command = [sys.executable, "-c", prelude + LOAD, "only" if only else "also", kind, *map(str, backends)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def compiled(source: str, path: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler to make a crashing backend with")
    subprocess.run([compiler, "-shared", "-fPIC", "-xc", "-", "-o", str(path)], input=source, text=True, check=True)
    return path


def test_the_best_possible_variant_is_chosen() -> None:
    found = load()
    assert found["variant"] == found["possible"][0]
    assert not AMX_VARIANTS.intersection(found["possible"])


def test_a_variant_that_crashes_is_refused_and_the_next_best_is_used(tmp_path: Path) -> None:
    without = load()
    found = load(compiled(CRASHER, tmp_path / "crasher.so"))
    assert found["variant"] == without["variant"]
    assert found["refused"]["crasher"].startswith("a trial run died of SIG")


def test_a_variant_that_crashes_while_it_is_scored_costs_only_itself(tmp_path: Path) -> None:
    found = load(compiled(CRASHES_AT_SCORING, tmp_path / "crasher.so"))
    assert found["variant"] == load()["variant"]
    assert "crasher" in found["refused"]


def test_where_no_variant_is_left_the_error_names_library_variant_and_hint(tmp_path: Path) -> None:
    found = load(compiled(CRASHER, tmp_path / "crasher.so"), only=True)
    assert found["error"].startswith("no CPU variant of ")
    assert "libllama" in found["error"]
    assert "(crasher: a trial run died of SIG" in found["error"]
    assert found["hint"].startswith("seallm doctor tries it once more; if it still fails, build it for this machine: ")
    assert "GGML_CPU_ALL_VARIANTS=ON" in found["hint"]


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noise.so").write_bytes(b"noise")
    assert load(tmp_path / "noise.so")["refused"]["noise"] == "it cannot be loaded: file too short"


def test_the_one_cpu_backend_of_a_build_without_scores_is_used(tmp_path: Path) -> None:
    best = find_backends()["cpu", load()["variant"]]
    (tmp_path / "plain.so").write_bytes(best.read_bytes().replace(b"ggml_backend_score\0", b"not_for_the_loader\0"))
    assert load(tmp_path / "plain.so", only=True) == {"variant": "plain", "refused": {}, "possible": ["plain"]}


def test_a_backend_without_a_score_is_tried_in_the_child_and_after_those_with_one(tmp_path: Path) -> None:
    crasher = compiled(CRASHES_WITHOUT_A_SCORE, tmp_path / "crasher.so")
    assert "(crasher: a trial run died of SIG" in load(crasher, only=True)["error"]
    found = load(crasher)
    assert found["variant"] == found["possible"][0]
    assert "crasher" in found["possible"][-2:]  # beside the plainest of those with one


@pytest.mark.parametrize("name", ["libggml-cpu.so", "ggml-cpu.dll"])
def test_a_cpu_backend_without_a_name_of_its_own_is_called_cpu(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr("seallm_edge.native.symbols.library_folder", lambda: tmp_path)
    assert find_backends() == {("cpu", UNNAMED): tmp_path / name}


def test_a_variant_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    slowest = load()["possible"][-1]
    monkeypatch.setenv("SEALLM_CPU_VARIANT", slowest)
    assert load()["variant"] == slowest


def test_a_misspelt_forced_variant_is_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    slowest = load()["possible"][-1]
    monkeypatch.setenv("SEALLM_CPU_VARIANT", f"{slowest}0")
    found = load()
    assert f"; did you mean {slowest!r}?" in found["error"]


def test_a_forced_variant_that_crashes_is_an_error_not_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALLM_CPU_VARIANT", "crasher")
    compiled(CRASHER, tmp_path / "crasher.so")
    found = load(tmp_path / "crasher.so")
    assert found["error"].startswith("SEALLM_CPU_VARIANT names a variant that does not run here (")
    assert "crasher: a trial run died of SIG" in found["error"]
    assert found["hint"].startswith("unset it, or name one of: ")


class Verdict:
    """A probe that has made up its mind."""

    def __init__(self, problem: str) -> None:
        self.trial = lambda _backend: problem


def test_an_ordinary_build_is_used_as_it_is() -> None:
    assert keep_linked_in(Verdict("")).variant == BUILT_IN


def test_an_ordinary_build_that_crashes_is_an_error_that_says_how_to_rebuild() -> None:
    with pytest.raises(EngineError) as caught:
        keep_linked_in(Verdict("a trial run died of SIGILL"))
    assert caught.value.message.endswith("does not run here: a trial run died of SIGILL")
    assert "GGML_CPU_ALL_VARIANTS=ON" in str(caught.value.hint)


def test_an_ordinary_build_has_no_other_variant_to_force() -> None:
    with pytest.raises(EngineError, match="SEALLM_CPU_VARIANT names 'haswell', but this build has one CPU code"):
        keep_linked_in(Verdict(""), "haswell")


def test_a_gpu_backend_that_crashes_is_passed_over(tmp_path: Path) -> None:
    crasher = compiled(CRASHES_AT_SCORING, tmp_path / "cuda.so")
    found = load(crasher, kind="cuda")
    assert found["variant"] == load()["variant"]
    assert found["refused"]["cuda"].startswith("a trial run died of SIG")


def test_verdicts_are_remembered_so_that_the_second_load_starts_no_child(home: Path) -> None:
    first = load()
    forbid = "import subprocess\ndef no(*a, **k): raise AssertionError('a child was started')\nsubprocess.run = no\n"
    assert load(prelude=forbid) == first


def test_a_damaged_memory_of_verdicts_is_made_anew(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALLM_HOME", str(tmp_path))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "backends.json").write_text("[broken")
    assert load()["variant"] == load_backends().variant
    assert json.loads((tmp_path / "cache" / "backends.json").read_text())


def test_an_unwritable_cache_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    monkeypatch.setenv("SEALLM_HOME", str(tmp_path / "file"))
    assert load()["variant"] == load_backends().variant


INTERRUPTED = """
import json
from seallm_edge.native import backends

def interrupt():
    raise KeyboardInterrupt

with_gpus, backends._gpus = backends._gpus, interrupt
try:
    backends.load_backends()
except KeyboardInterrupt:
    backends._gpus = with_gpus
found = backends.load_backends()
n_cpus = sum(kind == 0 for kind, _ in backends._devices())
print(json.dumps({"variant": found.variant, "kernel types": sorted(found.kernel_types), "CPUs": n_cpus}))
"""


def test_backends_that_were_interrupted_are_the_same_when_they_are_asked_for_again() -> None:
    result = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, timeout=120, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    usual = load_backends()
    assert json.loads(result.stdout) == {
        "variant": usual.variant,
        "kernel types": sorted(usual.kernel_types),
        "CPUs": 1,
    }
