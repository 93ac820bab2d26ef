"""Reading ahead: a file's pages come into the kernel's cache, and nothing goes wrong without them."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from seallm_edge.files.read_ahead import read_ahead


def joined() -> None:
    for thread in threading.enumerate():
        if thread.name == "read-ahead":
            thread.join(20)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")
def test_a_file_is_asked_for_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(os, "posix_fadvise", lambda *call: asked.append(call[1:]))
    (tmp_path / "model.gguf").write_bytes(b"x" * 300_000)
    read_ahead(tmp_path / "model.gguf")
    joined()
    assert asked == [(start, 131_072, os.POSIX_FADV_WILLNEED) for start in (0, 131_072, 262_144)]


def test_a_file_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    read_ahead(tmp_path / "none.gguf")
    joined()
