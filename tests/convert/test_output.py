"""Where the file goes, and that nothing but a whole file ever stands there."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seallm_edge.convert import convert, pipeline, plan_conversion, writer
from seallm_edge.errors import CheckpointError, ConversionError, InvalidOption, OutputExists

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
    assert caught.value.cure
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
    total = plan_conversion(source).source_bytes
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
    def refuse(path: Path, *_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConversionError, match="is not writable"), writer.written_beside(tmp_path / "out.gguf", 10):
        pass


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_with_no_right_to_write(source: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "is not writable" in refusal(source, tmp_path / "locked" / "out.gguf").message


def test_too_little_disk_is_said_before_anything_is_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    monkeypatch.setattr(pipeline, "write_weights", lambda *_: pytest.fail("it began to write"))
    error = refusal(source, tmp_path / "out.gguf", type="F32")
    assert error.message == f"out.gguf takes 5.03 MB but {tmp_path} has 0.00 MB free"
    assert not list(tmp_path.glob("out.gguf*"))


def test_missing_room_is_told_in_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_250_000_000))
    with pytest.raises(ConversionError) as caught, writer.written_beside(tmp_path / "out.gguf", 4_680_000_000):
        pass
    assert str(caught.value) == (
        f"out.gguf takes 4.68 GB but {tmp_path} has 1.25 GB free\n"
        "  free 3.43 GB, give another disk with -o, or choose a smaller --type"
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_a_disk_that_fills_up_leaves_nothing(
    threads: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def full(*arguments: Any) -> None:
        written.append(arguments)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pipeline, "_write_at", full)
    assert "out.gguf takes " in refusal(source, tmp_path / "out.gguf", threads=threads).message
    assert not list(tmp_path.glob("out.gguf*"))


def test_another_failure_to_write_names_the_file(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(pipeline, "_write_at", fail)
    assert refusal(source, tmp_path / "out.gguf").message == f"cannot write {tmp_path / 'out.gguf'}: Input/output error"


def test_a_shard_cut_short_meanwhile_is_noticed(source: Path, tmp_path: Path) -> None:
    planned = plan_conversion(source)
    os.truncate(source / "model.safetensors", 5000)
    out = tmp_path / "out.gguf"
    with (
        pytest.raises(CheckpointError, match="has become shorter while it was read"),
        writer.written_beside(out, planned.file_size) as partial,
    ):
        pipeline.write_weights(planned, partial, out, threads=2)
    assert not list(tmp_path.glob("out.gguf*"))


def test_a_partial_file_left_by_a_crash_is_written_over(source: Path, tmp_path: Path) -> None:
    clean = convert(source, tmp_path / "clean.gguf").read_bytes()
    (tmp_path / "out.gguf.partial").write_bytes(b"x" * 10_000_000)
    assert convert(source, tmp_path / "out.gguf").read_bytes() == clean
    assert not (tmp_path / "out.gguf.partial").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps open files by itself")
def test_two_conversions_to_one_name_do_not_mix(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    with writer.written_beside(out, 10) as partial:
        assert refusal(source, out).message == f"another conversion is writing {partial}"
        assert partial.stat().st_size == 10


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps open files by itself")
def test_a_file_renamed_by_another_conversion_is_not_written_to(tmp_path: Path) -> None:
    partial = tmp_path / "out.gguf.partial"
    with partial.open("ab") as file:
        partial.replace(tmp_path / "out.gguf")
        with pytest.raises(ConversionError, match="another conversion is writing"):
            writer._lock(file.fileno(), partial)


@pytest.mark.parametrize("threads", [0, -1, 100_000])
def test_absurd_numbers_of_threads(threads: int, source: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=f"{threads} threads cannot work"):
        convert(source, tmp_path / "out.gguf", threads=threads)


def test_an_interruption_stops_the_workers_and_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    written = []

    def write_slowly(*arguments: Any) -> None:
        written.append(arguments)
        time.sleep(0.05)

    monkeypatch.setattr(pipeline, "_write_at", write_slowly)
    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "out.gguf", threads=2, progress=interrupt)
    assert not list(tmp_path.glob("out.gguf*"))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("convert")]
    assert len(written) < len(plan_conversion(source).tensors)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for another process")
def test_ctrl_c_ends_the_command_at_once_with_130(trained: Path, tmp_path: Path, seallm: Any) -> None:
    out = tmp_path / "out.gguf"
    command = seallm.command("convert", trained, "-o", out, "--threads", "1")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not (tmp_path / "out.gguf.partial").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
    assert time.monotonic() - started < 5
    assert not list(tmp_path.glob("out.gguf*"))


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
