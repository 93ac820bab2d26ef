"""The container image is built from what it needs: what `.dockerignore` lets in, and the wheel's own sources first."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_the_package_is_built_from_is_let_in() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = project["tool"]["setuptools"]["package-dir"].values()
    files = {"pyproject.toml", "constraints.txt", project["project"]["readme"], *project["project"]["license-files"]}
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == {*folders, *files}


def test_the_wheel_is_built_before_the_rest_is_copied() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied, built, rest = (
        next(number for number, line in enumerate(lines) if line.startswith(start))
        for start in ("COPY seallm_edge/native/wheel /wheel", "RUN /opt/build/bin/python /wheel/build.py", "COPY . .")
    )
    assert copied < built < rest
