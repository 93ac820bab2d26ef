"""Virtual environments of suites, and their sources from sdists."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path


def environment(folder: Path, packages: Sequence[str]) -> Path:
    """Python of a virtual environment with `packages`, made where it is missing or has others."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, wanted = folder / "packages.txt", "\n".join(packages)
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        _pip(python, "install", *packages)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def sources(folder: Path, requirement: str, inside: str, python: Path) -> Path:
    """Folder `inside` of an unpacked sdist, such as openai==3.57.0."""
    place = folder / requirement
    if not place.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        name = requirement.partition("==")[0]
        _pip(python, "download", "--no-deps", "--no-binary", name, "--dest", str(folder), requirement)
        with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
            members = [one for one in archive if inside == "." or f"{_below(one.name)}/".startswith(f"{inside}/")]
            archive.extractall(folder / "unpacked", members, filter="data")
        next((folder / "unpacked").iterdir()).rename(place)
    return place / inside


def _below(name: str) -> str:
    """A member's path below the folder of its sdist."""
    return name.partition("/")[2]


def _pip(python: Path, *words: str) -> None:
    """Run pip, without this repository's constraints: a suite has its own."""
    variables = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "-q", *words]
    subprocess.run(command, env=variables, check=True)
