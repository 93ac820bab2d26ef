"""What a pull is asked for, by names, pages and URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

from seallm_edge.errors import InvalidOption
from seallm_edge.hints import command_line_words
from seallm_edge.store.pulling.wanted import parse_wanted


@pytest.mark.parametrize(
    ("page", "revision", "file"),
    [
        ("https://huggingface.co/A/b/blob/main/my%20model.gguf", "main", "my model.gguf"),
        ("https://huggingface.co/A/b/blob/refs%2Fpr%2F1/sub/b.gguf?download=true", "refs/pr/1", "sub/b.gguf"),
        ("https://huggingface.co/A/b/tree/refs%2Fpr%2F1", "refs/pr/1", ""),
    ],
)
def test_the_address_of_a_page_is_read_with_its_escapes(page: str, revision: str, file: str) -> None:
    wanted = parse_wanted(page, None, None, None)
    assert (wanted.repository, wanted.revision, wanted.file) == ("A/b", revision, file)


@pytest.mark.parametrize("way", ["model", "gguf"])
def test_a_file_on_this_computer_is_not_asked_of_a_hub(way: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"GGUF")
    names = {"model": "", "gguf": None} | {way: str(file)}
    with pytest.raises(InvalidOption) as caught:
        parse_wanted(names["model"] or "", None, names["gguf"], None)
    assert caught.value.worded(command_line_words) == (f"{file} is on this computer\n  import it: seallm import {file}")
