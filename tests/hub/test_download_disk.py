"""Downloads to disks that are full, small, or not writable."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seallm_edge.errors import ConversionError
from seallm_edge.files.positioned import PositionedFile
from seallm_edge.files.record_file import partial_path
from seallm_edge.hub import RemoteSource, download

NAME = "SeaLLMs/tiny"
FILE = "model.safetensors"


def test_the_disk_is_asked_for_space_before_the_network(
    hub, source: RemoteSource, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.requests.clear()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100_000})())
    with pytest.raises(ConversionError) as caught:
        download(source, out)
    assert caught.value.message == f"{FILE} takes 0.30 MB but {out.parent} has 0.10 MB free"
    assert str(caught.value.hint) == "free 0.20 MB, or set SEALLM_HOME to a folder on another disk"
    assert hub.requests == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk can be mounted here")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_disk_that_fills_up_keeps_what_came_and_says_what_to_free(
    hub, source: RemoteSource, small_disk: Path, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = small_disk / FILE
    with monkeypatch.context() as patch:
        patch.setattr("seallm_edge.hub.downloading.check_space", lambda *_, **__: None)
        with pytest.raises(ConversionError) as caught:
            download(source, out)
    kept = partial_path(out).stat().st_size
    assert 0 < kept < 262_144
    assert caught.value.message.startswith(f"the disk of {small_disk} is full: {FILE} needs ")
    assert str(caught.value.hint) == "free as much, then run the same command again: it resumes"
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    download(source, out)
    assert out.read_bytes() == weights


def test_a_disk_that_holds_no_file_of_that_size_is_noticed_before_the_network(
    hub, source: RemoteSource, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_file: PositionedFile, _size: int) -> None:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr(PositionedFile, "check_limit", refuse)
    hub.requests.clear()
    with pytest.raises(ConversionError) as caught:
        download(source, out)
    assert (caught.value.message, str(caught.value.hint)) == (
        f"the disk of {out.parent} cannot hold a file of 0.30 MB (FAT32 ends at 4.29 GB)",
        "use a disk whose file system is exFAT, NTFS, APFS or ext4",
    )
    assert hub.requests == []


READ_ONLY = """
import os, sys
from pathlib import Path
from seallm_edge.hub import Network, download, open_repository
from seallm_edge.errors import SeaLLMError
repository = open_repository("SeaLLMs/tiny")
source = repository.source(repository.files["model.safetensors"])
if os.getuid() == 0:
    os.setuid(65534)
try:
    download(source, Path(sys.argv[1]))
except SeaLLMError as error:
    print(error.message)
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="no users to change to")
def test_a_folder_that_is_not_writable_is_named(hub, folder: Path, out: Path) -> None:
    hub.add_repository(NAME, folder)
    out.parent.mkdir(mode=0o555)
    for parent in out.parent.parents:
        if parent.stat().st_uid == os.getuid() and parent.is_relative_to("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)
    told = subprocess.run([sys.executable, "-c", READ_ONLY, str(out)], capture_output=True, text=True, check=True)
    assert told.stdout == f"the folder {out.parent} is not writable\n"
