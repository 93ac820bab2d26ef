"""What a pull is asked for, by names, pages and URLs."""

from __future__ import annotations

import pytest

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
