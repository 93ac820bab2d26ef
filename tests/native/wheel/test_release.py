"""The index of a release's wheels, as pip reads it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from seallm_edge.native.wheel import release


def put_wheel(simple: Path, name: str, version: str) -> Path:
    """A wheel that holds nothing but its name."""
    path = simple / release.normalized(name) / f"{name}-{version}-py3-none-any.whl"
    path.parent.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def test_names_are_normalized_as_an_index_has_them() -> None:
    assert release.normalized("llama_cpp_python") == release.normalized("Llama.Cpp--Python") == "llama-cpp-python"


@pytest.mark.slow
def test_pip_downloads_from_the_index_and_checks_the_sha256(tmp_path: Path) -> None:
    simple = tmp_path / "site" / "simple"
    wheels = [put_wheel(simple, "some_thing", version) for version in ("1.0", "1.2")]
    put_wheel(simple, "other", "2.0")
    release.write_index(simple)
    assert (simple / "index.html").read_text().count("<a href=") == 2
    pages = (simple / "some-thing" / "index.html").read_text()
    assert all(hashlib.sha256(wheel.read_bytes()).hexdigest() in pages for wheel in wheels)

    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--index-url", simple.as_uri(), "-d", tmp_path]
    subprocess.run([*pip, "some-thing"], check=True)
    assert [path.name for path in tmp_path.glob("*.whl")] == [wheels[1].name]
    wheels[0].write_bytes(wheels[0].read_bytes() + b"damage")
    damaged = subprocess.run([*pip, "some-thing==1.0"], capture_output=True, text=True, check=False)
    assert damaged.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in damaged.stderr
