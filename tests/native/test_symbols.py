"""Import of llama.cpp's bindings, in a process of its own."""

import subprocess
import sys


def test_no_file_is_left_open_at_the_end() -> None:
    words = [sys.executable, "-X", "dev", "-c", "from seallm_edge.native import symbols; symbols.llama_cpp()"]
    result = subprocess.run(words, capture_output=True, timeout=120)
    assert (result.returncode, result.stderr) == (0, b"")
