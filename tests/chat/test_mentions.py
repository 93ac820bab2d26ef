"""Files that a message mentions."""

from __future__ import annotations

from pathlib import Path

import pytest

from seallm_edge.chat.mentions import mentioned_files


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@a.txt", ["a.txt"]),
        ("read @a.txt, and @ข้อมูล.txt: which?", ["a.txt", "ข้อมูล.txt"]),
        ('compare\n@"my b.txt"\twith @a.txt.', ["my b.txt", "a.txt"]),
        ("@a.txt @a.txt", ["a.txt"]),
        ("（@a.txt", []),
        ("mail me@a.txt", []),
        ("@my b.txt", []),
        ("@none.txt @folder @ @@a.txt @a\0.txt", []),
        ("@v1.0.", ["v1.0."]),
        ("@a.txt។ @a.txt！", ["a.txt"]),
    ],
)
def test_a_mention_is_a_file_at_the_start_or_after_a_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, names: list[str]
) -> None:
    for name in ("a.txt", "my b.txt", "ข้อมูล.txt", "v1.0."):
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert mentioned_files(text) == [Path(name) for name in names]
