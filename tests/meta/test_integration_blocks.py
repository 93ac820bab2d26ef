"""Code blocks of docs/integration.md, run as one program: each prints the output below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.page_blocks import blocks_of, outcomes_of

BLOCKS = blocks_of("integration.md")


@pytest.fixture(scope="module")
def outcomes(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block printed, or its traceback."""
    home = tmp_path_factory.mktemp("integration")
    (home / "cache").symlink_to(shared_cache, target_is_directory=True)
    return outcomes_of(BLOCKS, home, home)


def test_there_are_blocks_to_run() -> None:
    assert len(BLOCKS) > 10


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=[code.strip().splitlines()[-1][:60] for code, _ in BLOCKS])
def test_a_block_prints_what_the_page_shows(outcomes: list[str], number: int) -> None:
    code, shown = BLOCKS[number]
    if "PySide6" in code and outcomes[number].startswith("skipped: "):
        pytest.skip(f"Qt cannot be loaded: {outcomes[number]}")
    assert outcomes[number] == shown
