"""Candidate values of each setting on a machine."""

from pathlib import Path

import pytest

from seallm_edge.machine import Gpu, this_machine
from seallm_edge.native.backends import Backends
from seallm_edge.tuning import candidates


@pytest.mark.parametrize(
    ("default", "usable", "counts"),
    [
        (1, 1, [1]),
        (2, 2, [1, 2]),
        (4, 4, [1, 2, 3, 4]),
        (4, 12, [1, 2, 3, 4, 5, 8, 12]),
        (8, 8, [4, 7, 8]),
        (64, 64, [32, 63, 64]),
    ],
)
def test_threads_are_tried_about_the_default_and_on_all_cores(default: int, usable: int, counts: list[int]) -> None:
    assert candidates.thread_counts(default, usable) == counts


@pytest.mark.parametrize(
    ("possible", "tried"),
    [
        ("a", "a"),
        ("a b", "a b"),
        ("a b c d", "a b c"),
        ("zen4 icelake skylakex haswell sse42", "zen4 icelake haswell"),
        ("icelake haswell sandybridge sse42", "icelake haswell sandybridge"),
        ("haswell sandybridge sse42", "haswell sandybridge sse42"),
    ],
)
def test_the_best_variants_are_tried_and_one_without_avx512(possible: str, tried: str) -> None:
    names = tuple(possible.split())
    assert candidates.variants(Backends(names[0], names, {}, (), Path("x"), "0")) == tried.split()


def test_where_the_user_insists_on_a_variant_no_other_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALLM_CPU_VARIANT", "b")
    assert candidates.variants(Backends("b", ("a", "b", "c"), {}, (), Path("x"), "0")) == ["b"]


@pytest.mark.parametrize(("most", "layers"), [(0, None), (1, [0, 1]), (29, [0, 14, 29])])
def test_none_some_and_all_layers_are_tried_on_a_gpu(most: int, layers: list[int] | None) -> None:
    backends = Backends("a", ("a",), {}, (), Path("x"), "0")
    values = candidates.choices(this_machine(), backends, most)
    assert values.get("gpu_layers") == layers
    assert list(values)[-1] == "n_batch"


def test_gpus_are_tried_that_may_be_faster_than_a_first_measurement_said() -> None:
    gpus = [Gpu("a", "", 1, 1, speedup=0.1), Gpu("b", "", 1, 1, speedup=0.5), Gpu("c", "", 1, 1, is_integrated=True)]
    tried = candidates.worth_trying([*gpus, Gpu("d", "", 1, 1, problem="it hangs")])
    assert [gpu.name for gpu in tried] == ["b", "c"]
    assert all(gpu.is_worth_using for gpu in tried)
