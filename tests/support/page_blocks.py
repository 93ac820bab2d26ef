"""Python blocks of a document, run as one program, with the output that the page shows for each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import seallm_edge

DOCS = Path(seallm_edge.__file__).parent.parent / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n((?: {4}[^\n]*\n|\n(?= {4}))+))?", re.DOTALL | re.MULTILINE)
_PROGRAM = """
import contextlib, io, json, sys, traceback

def outcome(code, names):
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "a block", "exec"), names)
    except ImportError as error:
        return f"skipped: {error}"
    except Exception:
        return traceback.format_exc()
    return printed.getvalue()

names = {"__name__": "__main__"}
print(json.dumps([outcome(code, names) for code in json.load(sys.stdin)]))
"""


def blocks_of(page: str) -> list[tuple[str, str]]:
    """(code, shown output) of each Python block of a page in docs/."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = [(code, re.sub(r"^ {4}", "", shown, flags=re.MULTILINE)) for code, shown in _BLOCK.findall(text)]
    assert len(found) == text.count("```python\n")
    return found


def outcomes_of(blocks: list[tuple[str, str]], home: Path, folder: Path) -> list[str]:
    """Output of each block, or its traceback; run in `folder`, with `home` as SEALLM_HOME."""
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps([code for code, _ in blocks]),
        env={**os.environ, "SEALLM_HOME": str(home)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    assert result.stderr == ""
    return list(json.loads(result.stdout))
