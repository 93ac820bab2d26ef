"""Output path of a conversion; only a complete file ever has it."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seallm_edge.convert import convert, plan_conversion
from seallm_edge.convert.writing import pipeline
from seallm_edge.errors import CheckpointError, ConversionError, InvalidOption, OutputExists
from seallm_edge.files.disk_space import check_space
from seallm_edge.files.positioned import PositionedFile
from seallm_edge.hints import command_line_words

pytestmark = pytest.mark.slow

Checkpoints = Callable[..., Any]


@pytest.fixture
def source(checkpoint: Checkpoints) -> Path:
    """A tiny checkpoint."""
    folder: Path = checkpoint().path
    return folder


def refusal(source: Path, out: Path, **options: Any) -> ConversionError:
    """The error with which the conversion is refused."""
    with pytest.raises(ConversionError) as caught:
        convert(source, out, **options)
    assert caught.value.hint
    return caught.value


def test_the_plan_knows_the_size_to_the_byte(source: Path, tmp_path: Path) -> None:
    for type_name in ("F32", "Q4_K_M"):
        path = convert(source, tmp_path / f"{type_name}.gguf", type_name)
        assert path.stat().st_size == plan_conversion(source, type_name).file_size


def test_without_a_name_it_goes_to_the_models_folder(source: Path, home: Path) -> None:
    assert convert(source) == home / "models" / "tiny-Q4_K_M.gguf"


def test_in_a_folder_it_gets_its_own_name(source: Path, tmp_path: Path) -> None:
    assert convert(source, str(tmp_path), "Q8_0") == tmp_path / "tiny-Q8_0.gguf"


def test_paths_may_have_any_name(checkpoint: Checkpoints, tmp_path: Path) -> None:
    source = checkpoint("โมเดล မော်ဒယ် mô hình").path
    out = tmp_path / "ผลลัพธ์ tệp ဖိုင်.gguf"
    assert convert(source, out) == out
    assert out.stat().st_size == plan_conversion(source).file_size


def test_progress_ends_with_all_bytes(source: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    convert(source, tmp_path / "out.gguf", progress=lambda done, total: seen.append((done, total)))
    total = sum(tensor.source.n_bytes for tensor in plan_conversion(source).content.tensors)
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)


def test_an_output_that_exists_is_kept(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"GGUF and more")
    with pytest.raises(OutputExists) as caught:
        convert(source, out)
    assert caught.value.message == f"{out} exists already"
    assert out.read_bytes() == b"GGUF and more"


def test_an_output_that_exists_is_replaced_by_force(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"GGUF and more")
    convert(source, out, force=True)
    assert out.stat().st_size == plan_conversion(source).file_size


def test_what_is_no_gguf_is_never_replaced(source: Path) -> None:
    out = source / "model.safetensors"
    before = out.read_bytes()
    assert refusal(source, out, force=True).message == f"{out} is no GGUF, so it is not replaced"
    assert out.read_bytes() == before


def test_a_folder_that_does_not_exist(source: Path, tmp_path: Path) -> None:
    error = refusal(source, tmp_path / "nowhere" / "out.gguf")
    assert error.message == f"no such folder: {tmp_path / 'nowhere'}"


def test_a_folder_that_is_not_writable(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert refusal(source, tmp_path / "out.gguf").message == f"the folder {tmp_path} is not writable"


def test_a_folder_that_refuses_after_all(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = Path.open

    def refuse(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode.startswith("a"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real_open(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(source, tmp_path / "out.gguf").message == f"the folder {tmp_path} is not writable"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_with_no_right_to_write(source: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "is not writable" in refusal(source, tmp_path / "locked" / "out.gguf").message


def test_too_little_disk_is_said_before_anything_is_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    monkeypatch.setattr("seallm_edge.convert.run.write_weights", lambda *_: pytest.fail("it began to write"))
    error = refusal(source, tmp_path / "out.gguf", type="F32")
    assert error.message == f"out.gguf takes 5.03 MB but {tmp_path} has 0.00 MB free"
    assert not list(tmp_path.glob("out.gguf*"))


def test_missing_room_is_told_in_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_250_000_000))
    with pytest.raises(ConversionError) as caught:
        check_space(tmp_path / "out.gguf", 4_680_000_000)
    assert str(caught.value) == (
        f"out.gguf takes 4.68 GB but {tmp_path} has 1.25 GB free\n"
        "  free 3.43 GB, give another disk with out=…, or choose a smaller type=…"
    )
    assert caught.value.hint.worded(command_line_words) == (
        "free 3.43 GB, give another disk with -o, or choose a smaller --type"
    )


def test_another_failure_to_write_names_the_file(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(PositionedFile, "write", fail)
    assert refusal(source, tmp_path / "out.gguf").message == f"cannot write {tmp_path / 'out.gguf'}: Input/output error"


def test_a_shard_cut_short_meanwhile_is_noticed(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_first(*arguments: Any) -> Any:
        os.truncate(source / "model.safetensors", 5000)
        return real(*arguments)

    real = pipeline.write_weights
    monkeypatch.setattr("seallm_edge.convert.run.write_weights", cut_first)
    with pytest.raises(CheckpointError, match="has become shorter while it was read"):
        convert(source, tmp_path / "out.gguf")
    assert not list(tmp_path.glob("out.gguf*"))


def test_a_shard_changed_meanwhile_is_noticed(source: Path, tmp_path: Path) -> None:
    def touch(done: int, total: int) -> None:
        os.utime(source / "model.safetensors", (1, 1))

    with pytest.raises(CheckpointError) as caught:
        convert(source, tmp_path / "out.gguf", progress=touch)
    assert caught.value.message == "model.safetensors: was changed while it was read"
    assert not list(tmp_path.glob("out.gguf*"))


def test_a_partial_file_left_by_a_crash_is_written_over(source: Path, tmp_path: Path) -> None:
    clean = convert(source, tmp_path / "clean.gguf").read_bytes()
    (tmp_path / "out.gguf.partial").write_bytes(b"x" * 10_000_000)
    assert convert(source, tmp_path / "out.gguf").read_bytes() == clean
    assert not (tmp_path / "out.gguf.partial").exists()


@pytest.mark.parametrize("threads", [0, -1, 100_000])
def test_absurd_numbers_of_threads(threads: int, source: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=f"{threads} threads cannot work"):
        convert(source, tmp_path / "out.gguf", threads=threads)


_MEASURED = """
import re, sys
from pathlib import Path
from seallm_edge.convert import convert


peak = 0
def look(done, total):
    global peak
    peak = max(peak, int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
convert(sys.argv[1], sys.argv[2], "Q8_0", threads=8, progress=look)
print(peak / 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account of memory")
def test_its_own_memory_stays_under_200_mb(trained: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _MEASURED, str(trained), str(tmp_path / "out.gguf")]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert 20 < float(finished.stdout) < 200
