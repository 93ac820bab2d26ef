"""Resumed conversions: however a run was stopped, the result has the bytes of an uninterrupted run."""

import errno
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.convert import convert, convert_many
from seallm_edge.convert.sources.shards import LocalShard
from seallm_edge.errors import ConversionError
from seallm_edge.files.positioned import PositionedFile

pytestmark = pytest.mark.slow

Checkpoints = Callable[..., Any]


class Stop(Exception):
    """What a test ends a conversion with."""


@pytest.fixture
def source(checkpoint: Checkpoints) -> Path:
    """A checkpoint of three shards and 60 pieces."""
    folder: Path = checkpoint(vocab=6000, layers=3, shards=3).path
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def leave_half_done(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch, type_name: str = "Q4_0") -> None:
    """Stop a conversion when two thirds of its reads are done, leaving its partial file and journal."""
    reads = []
    real = LocalShard.read

    def read(shard: LocalShard, offset: int, target: memoryview) -> None:
        reads.append(offset)
        if len(reads) == 40:
            raise Stop
        real(shard, offset, target)

    with monkeypatch.context() as patch:
        patch.setattr(LocalShard, "read", read)
        with pytest.raises(Stop):
            convert(source, out, type_name, threads=1)
    assert out.with_name(f"{out.name}.partial").exists()


def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the reads of weights from now on."""
    sizes: list[int] = []
    real = LocalShard.read

    def read(shard: LocalShard, offset: int, target: memoryview) -> None:
        sizes.append(len(target))
        real(shard, offset, target)

    monkeypatch.setattr(LocalShard, "read", read)
    return sizes


def test_a_stopped_conversion_goes_on_and_ends_in_the_same_bytes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = convert(source, tmp_path / "clean.gguf", "Q4_0")
    out = tmp_path / "out.gguf"
    leave_half_done(source, out, monkeypatch)
    again = bytes_read(monkeypatch)
    convert(source, out, "Q4_0", threads=1)
    resumed = sum(again)
    again.clear()
    convert(source, tmp_path / "other.gguf", "Q4_0", threads=1)
    assert sha256(out) == sha256(clean)
    assert resumed < 0.7 * sum(again)
    assert sorted(path.name for path in tmp_path.glob("out.gguf*")) == ["out.gguf"]


def test_a_conversion_that_was_killed_before_its_first_mark_begins_anew(source: Path, tmp_path: Path) -> None:
    clean = convert(source, tmp_path / "clean.gguf", "Q4_0")
    out = tmp_path / "out.gguf"
    (tmp_path / "out.gguf.partial").write_bytes(b"x" * clean.stat().st_size)
    (tmp_path / "out.gguf.journal").write_bytes(b"0123")
    assert sha256(convert(source, out, "Q4_0")) == sha256(clean)


def test_a_line_of_the_journal_that_was_not_written_whole_is_none(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, journal = tmp_path / "out.gguf", tmp_path / "out.gguf.journal"
    leave_half_done(source, out, monkeypatch)
    whole = journal.read_bytes()
    for cut in (1, 20, len(whole) // 2):
        journal.write_bytes(whole[:-cut])
        again = bytes_read(monkeypatch)
        convert(source, tmp_path / f"{cut}.gguf", "Q4_0")
        assert sum(again) > 0
    assert sha256(convert(source, out, "Q4_0")) == sha256(tmp_path / "1.gguf")


def test_a_journal_with_a_changed_byte_counts_up_to_there(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = convert(source, tmp_path / "clean.gguf", "Q4_0")
    out, journal = tmp_path / "out.gguf", tmp_path / "out.gguf.journal"
    leave_half_done(source, out, monkeypatch)
    raw = bytearray(journal.read_bytes())
    raw[-30] ^= 1
    journal.write_bytes(raw)
    assert sha256(convert(source, out, "Q4_0")) == sha256(clean)


def test_a_begun_conversion_of_another_type_is_refused_by_name(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.gguf"
    leave_half_done(source, out, monkeypatch)
    with pytest.raises(ConversionError) as caught:
        convert(source, out, "Q8_0")
    assert caught.value.message == "out.gguf was begun as Q4_0, and this is Q8_0"
    assert str(caught.value.hint) == "restart=True starts over; or give another name with out=…"
    assert sha256(convert(source, out, "Q8_0", restart=True)) == sha256(convert(source, tmp_path / "c.gguf", "Q8_0"))


def test_a_begun_conversion_of_other_weights_is_refused_by_name(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.gguf"
    leave_half_done(source, out, monkeypatch)
    os.utime(source / "model-00002-of-00003.safetensors", (1, 1))
    with pytest.raises(ConversionError) as caught:
        convert(source, out, "Q4_0")
    assert caught.value.message == f"out.gguf was begun from other weights ({source}) than these ({source})"


def test_a_begun_conversion_by_another_version_is_refused_by_name(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.gguf"
    leave_half_done(source, out, monkeypatch)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "9.9")
    with pytest.raises(ConversionError, match=r"^out\.gguf was begun by seallm-edge 0.*, and this is seallm-edge 9\.9"):
        convert(source, out, "Q4_0")


def test_a_full_disk_says_what_is_missing_and_loses_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = convert(source, tmp_path / "clean.gguf", "Q4_0")
    out = tmp_path / "out.gguf"
    written = []
    real = PositionedFile.write

    def fill(file: PositionedFile, offset: int, data: memoryview) -> None:
        written.append(offset)
        if len(written) > 30:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file, offset, data)

    with monkeypatch.context() as patch:
        patch.setattr(PositionedFile, "write", fill)
        with pytest.raises(ConversionError) as caught:
            convert(source, out, "Q4_0")
    assert caught.value.message.startswith(f"the disk of {tmp_path} is full: out.gguf needs ")
    assert str(caught.value.hint) == "free as much, then run the same command again: it resumes"
    assert not out.exists()
    again = bytes_read(monkeypatch)
    assert sha256(convert(source, out, "Q4_0")) == sha256(clean)
    assert sum(again) < sum(path.stat().st_size for path in source.glob("*.safetensors"))


def test_two_outputs_of_which_one_was_begun_read_what_both_lack(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["Q4_0", "Q8_0"]
    clean = [convert(source, tmp_path / f"{name}.gguf", name) for name in names]
    folder = tmp_path / "out"
    folder.mkdir()
    leave_half_done(source, folder / "tiny-Q4_0.gguf", monkeypatch)
    made = convert_many(source, names, folder)
    assert [sha256(path) for path in made] == [sha256(path) for path in clean]
    assert sorted(path.name for path in folder.iterdir()) == ["tiny-Q4_0.gguf", "tiny-Q8_0.gguf"]


def test_several_outputs_read_the_source_once(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = bytes_read(monkeypatch)
    convert(source, tmp_path / "one.gguf", "Q4_0", verify="none")
    n_bytes = sum(one)
    one.clear()
    convert_many(source, ["Q4_0", "Q8_0", "F16"], tmp_path, verify="none")
    assert sum(one) == n_bytes


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
class TestSignals:
    """Real processes, ended from outside."""

    def start(self, seallm: Any, source: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
        command = seallm.command("convert", source, "-o", out, "--threads", "2", *options)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_ctrl_c_says_how_to_go_on_and_ends_at_once_with_130(
        self, trained: Path, tmp_path: Path, seallm: Any
    ) -> None:
        process = self.start(seallm, trained, tmp_path / "out.gguf")
        while not (tmp_path / "out.gguf.partial").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130, errors
        assert re.fullmatch(rb"stopped at \d+%; the same command resumes there\n", errors)
        assert time.monotonic() - started < 5
        assert (tmp_path / "out.gguf.journal").exists()

    def test_a_second_conversion_to_one_name_is_refused(self, trained: Path, tmp_path: Path, seallm: Any) -> None:
        out = tmp_path / "out.gguf"
        first = self.start(seallm, trained, out)
        while not out.with_name("out.gguf.partial").exists() and first.poll() is None:
            time.sleep(0.01)
        with pytest.raises(ConversionError) as caught:
            convert(trained, out)
        first.kill()
        first.communicate()
        assert caught.value.message == f"another conversion is writing {out}.partial"

    @pytest.mark.parametrize("seed", range(4))
    def test_killed_at_any_moment_it_ends_in_the_same_file(
        self, seed: int, trained: Path, undisturbed: str, tmp_path: Path, seallm: Any
    ) -> None:
        out, chance = tmp_path / "out.gguf", random.Random(seed)
        for _ in range(5):
            process = self.start(seallm, trained, out, "--type", "Q4_K_M", "--verify", "none")
            time.sleep(chance.uniform(0.2, 1.4))
            process.kill()
            process.communicate()
        finished = out.exists() or self.start(seallm, trained, out, "--type", "Q4_K_M").communicate()
        assert finished
        assert sha256(out) == undisturbed
        assert [path.name for path in tmp_path.glob("out.gguf*")] == ["out.gguf"]
