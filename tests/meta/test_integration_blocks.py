"""Code blocks of docs/integration.md, run as one program: each prints the output below it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import seallm_edge

PAGE = (Path(seallm_edge.__file__).parent.parent / "docs" / "integration.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```\n(?:\n((?: {4}[^\n]*\n|\n(?= {4}))+))?", PAGE, re.DOTALL | re.MULTILINE)
PROGRAM = """
import contextlib, importlib.util, io, json, sys, traceback

def outcome(code, names):
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "docs/integration.md", "exec"), names)
    except ImportError as error:
        return f"skipped: {error}"
    except Exception:
        return traceback.format_exc()
    return printed.getvalue()

names = {"__name__": "__main__"}
print(json.dumps([outcome(code, names) for code in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def outcomes(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block printed, or its traceback."""
    home = tmp_path_factory.mktemp("integration")
    (home / "cache").symlink_to(shared_cache, target_is_directory=True)
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([code for code, _ in BLOCKS]),
        env={**os.environ, "SEALLM_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    assert result.stderr == ""
    return json.loads(result.stdout)


def test_there_are_blocks_to_run() -> None:
    assert len(BLOCKS) == PAGE.count("```python\n") > 10


@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=[code.strip().splitlines()[-1][:60] for code, _ in BLOCKS])
def test_a_block_prints_what_the_page_shows(outcomes: list[str], number: int) -> None:
    code, shown = BLOCKS[number]
    if "PySide6" in code and outcomes[number].startswith("skipped: "):
        pytest.skip(f"Qt cannot be loaded: {outcomes[number]}")
    expected = re.sub(r"^ {4}", "", shown, flags=re.MULTILINE)
    assert outcomes[number] == expected
