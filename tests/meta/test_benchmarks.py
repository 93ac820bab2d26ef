"""Benchmarks measure; no test stands on them."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
BENCHMARKS = TESTS.parent / "benchmarks"


def test_no_test_uses_a_benchmark() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py") if path != Path(__file__)}
    assert [path.name for path, source in sources.items() if BENCHMARKS.name in source] == []
