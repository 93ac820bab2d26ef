"""Fingerprints of models: equal for equal contents, different for others, and cheap."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.errors import ModelFileError
from seallm_edge.gguf_file import Dimensions, Header, fingerprint, read_header
from support.gguf_files import TINY

WriteGguf = Callable[..., Path]
MATRIX, VECTOR, LAST = ("a.weight", (64, 8), 1), ("b.weight", (64,), 0), ("c.weight", (32, 4), 0)


def of(path: Path) -> str:
    return fingerprint(read_header(path))


def write_into(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.fixture
def parts(write_gguf: WriteGguf) -> list[Path]:
    """A model in three parts."""
    keys = read_header(write_gguf("whole.gguf")).metadata
    first = {"split.tensors.count": ("int32", 3)}
    written = []
    for number, (tensor, change) in enumerate([(MATRIX, first), (VECTOR, None), (LAST, None)]):
        split = {"split.no": ("uint16", number), "split.count": ("uint16", 3)}
        change = {**(change or dict.fromkeys(keys)), **split}
        written.append(write_gguf(f"m-0000{number + 1}-of-00003.gguf", tensors=[tensor], change=change))
    return written


def test_name_place_and_time_do_not_matter(write_gguf: WriteGguf, tmp_path: Path) -> None:
    path = write_gguf()
    before = of(path)
    elsewhere = tmp_path / "một nơi khác" / "x.gguf"
    elsewhere.parent.mkdir()
    shutil.copyfile(path, elsewhere)
    os.utime(elsewhere, (time.time() - 1e6,) * 2)

    assert of(elsewhere) == before
    assert len(before) == 32
    assert int(before, 16)


def test_demo_model_has_always_the_same(demo_file: Path) -> None:
    assert of(demo_file) == "72b5178f8493e0fde902185714607a78"


@pytest.mark.parametrize(
    "change",
    [
        {"change": {"general.name": ("string", "Tiny Tesu")}},
        {"change": {"qwen2.attention.layer_norm_rms_epsilon": ("float32", 1e-5)}},
        {"change": {"tokenizer.ggml.merges": ("string[]", ["t 1", "t t"])}},
        {"kind": 30},
        {"shape": replace(TINY, n_layer=3)},
    ],
    ids=["name", "a number", "a merge", "type", "shape"],
)
def test_any_change_of_the_header_matters(write_gguf: WriteGguf, change: dict[str, Any]) -> None:
    assert of(write_gguf("other.gguf", **change)) != of(write_gguf())


def test_change_of_any_one_tensor_matters(write_gguf: WriteGguf) -> None:
    path = write_gguf()
    header = read_header(path)
    found = {fingerprint(header)}
    for tensor in header.tensors:
        write_into(path, tensor.offset + tensor.n_bytes // 2, b"\1")
        found.add(fingerprint(header))
        write_into(path, tensor.offset + tensor.n_bytes // 2, b"\0")
    assert len(found) == len(header.tensors) + 1


def test_change_of_any_part_matters(parts: list[Path]) -> None:
    header = read_header(parts[0])
    found = {fingerprint(header)}
    for part, tensor in enumerate(header.tensors):
        write_into(parts[part], tensor.offset + 7, b"\1")
        found.add(fingerprint(header))
    assert len(found) == 4


def test_header_of_a_later_part_matters(parts: list[Path], write_gguf: WriteGguf) -> None:
    before = of(parts[0])
    keys = read_header(write_gguf("whole.gguf")).metadata
    change = {**dict.fromkeys(keys), "split.no": ("uint16", 2), "split.count": ("uint16", 3)}
    write_gguf(parts[2].name, tensors=[("d.weight", *LAST[1:])], change=change)
    assert of(parts[0]) != before


def test_parts_of_another_folder_are_the_same_model(parts: list[Path], tmp_path: Path) -> None:
    before = of(parts[0])
    (tmp_path / "moved").mkdir()
    moved = [path.rename(tmp_path / "moved" / path.name) for path in parts]
    assert of(moved[0]) == before


class Reading:
    """Counts the bytes that are read of any file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n_bytes = 0
        self._open = Path.open
        monkeypatch.setattr(Path, "open", lambda path, *arguments, **options: self._counted(path))

    def _counted(self, path: Path) -> Any:
        file, reading = self._open(path, "rb"), self

        class Counted:
            seek, fileno = file.seek, file.fileno

            def __enter__(self) -> "Counted":
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def read(self, size: int) -> bytes:
                reading.n_bytes += size
                return file.read(size)

        return Counted()


def test_little_of_a_large_model_is_read(write_gguf: WriteGguf, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Dimensions(
        n_layer=28, n_embd=3584, n_head=28, n_head_kv=4, n_ff=18944, n_vocab=152064, tied=True, qkv_bias=True
    )
    header = read_header(write_gguf(shape=shape, kind=12))
    reading = Reading(monkeypatch)
    fingerprint(header)
    assert header.file_size > 3e9  # a hole in the file
    assert reading.n_bytes < header.data_offset + 4_096 * len(header.tensors)


@pytest.mark.parametrize(("n_tensors", "n_text", "most"), [(3, 40 << 20, 32 << 20), (3_000, 1, 4 << 20)])
def test_no_model_can_ask_for_much(
    write_gguf: WriteGguf, monkeypatch: pytest.MonkeyPatch, n_tensors: int, n_text: int, most: int
) -> None:
    tensors = [("token_embd.weight", (64, 300), 1), *((f"t{number}", (64, 64), 0) for number in range(n_tensors))]
    path = write_gguf("wide.gguf", tensors=tensors, change={"a.blob": ("string", "x" * n_text)})
    header = read_header(path)
    reading = Reading(monkeypatch)
    fingerprint(header)
    assert most // 2 < reading.n_bytes < most + (1 << 19)


def test_file_that_is_shorter_than_its_header_said_is_refused(write_gguf: WriteGguf) -> None:
    path = write_gguf()
    header = read_header(path)
    os.truncate(path, header.data_offset + 100)
    with pytest.raises(ModelFileError) as caught:
        fingerprint(header)
    assert caught.value.problem == "has changed since its header was read"


def test_part_that_is_gone_is_named(parts: list[Path]) -> None:
    header = read_header(parts[0])
    parts[1].unlink()
    with pytest.raises(ModelFileError) as caught:
        fingerprint(header)
    assert str(caught.value) == (
        f"{parts[1].name}: cannot be read: No such file or directory\n  check the file's permissions"
    )


def test_header_without_tensors_has_one(write_gguf: WriteGguf) -> None:
    header = read_header(write_gguf())
    bare: Header = replace(header, tensors=())
    assert fingerprint(bare) != fingerprint(header)
