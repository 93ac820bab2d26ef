"""The desktop example as a frozen app: moved to another folder, without a Python, and without a screen.

Freezing takes a minute or two, so this runs only where PyInstaller is installed: pip install pyinstaller.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support.desktop_window import EXAMPLES

pytest.importorskip("PyInstaller")
pytest.importorskip("PySide6")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = EXAMPLES.parent

APP = """
import sys
import desktop
from desktop import QtWidgets, SeaLLM
from PySide6.QtCore import QTimer

application = QtWidgets.QApplication([])
window = desktop.ChatWindow(lambda **options: SeaLLM(sys.argv[1], context=1024, **options))
window.show()

def ask():
    if window.composer.button.isEnabled():
        timer.stop()
        window.input.setPlainText("What is the capital of Japan?")
        window.send()

def end():
    print(window.messages[-1].content, flush=True)
    window.close()

window.talk.ended.connect(lambda *_: QTimer.singleShot(0, end))
timer = QTimer(interval=1)
timer.timeout.connect(ask)
timer.start()
sys.exit(application.exec())
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Program of the frozen app, in a folder other than the one in which it was frozen."""
    folder = tmp_path_factory.mktemp("frozen")
    others = shutil.ignore_patterns(".*", "build", "tests")  # setuptools builds in the folder of the sources
    source = shutil.copytree(ROOT, folder / "source", ignore=others)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder / "lib", source]
    subprocess.run(pip, check=True, cwd=folder)
    (folder / "talk.py").write_text(textwrap.dedent(APP))
    freeze = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", "talk.py"]
    paths = os.pathsep.join(map(str, (folder / "lib", EXAMPLES)))
    subprocess.run(freeze, check=True, cwd=folder, env={**os.environ, "PYTHONPATH": paths})
    moved = tmp_path_factory.mktemp("elsewhere") / "Hòa's app"
    shutil.move(folder / "dist" / "talk", moved)
    shutil.rmtree(folder)
    return moved / "talk"


def run(app: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "", "HOME": os.environ["HOME"], "SEALLM_HOME": os.environ["SEALLM_HOME"]}
    quiet = {"QT_QPA_PLATFORM": "offscreen", "QT_LOGGING_RULES": "*=false"}
    return subprocess.run(
        [app, *arguments], env=environment | quiet, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_frozen_app_answers_and_tries_native_code_in_a_child_of_its_own(
    app: Path, demo_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALLM_HOME", str(tmp_path))
    done = run(app, demo_file)
    assert done.returncode == 0, done.stderr
    assert "Tokyo" in done.stdout
    assert done.stderr == ""  # or it would say that it cannot try CPU code
    questions = json.loads((tmp_path / "cache" / "backends.json").read_text())["questions"]
    assert "" in [record["answer"] for records in questions.values() for record in records.values()]


def test_the_versions_that_libraries_look_up_are_there(app: Path) -> None:
    names = {folder.name.partition("-")[0] for folder in app.parent.glob("_internal/*.dist-info")}
    assert {"seallm_edge", "llama_cpp_python", "llguidance"} <= names


def test_cpu_code_that_cannot_be_loaded_is_passed_over_in_a_frozen_app(
    app: Path, demo_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALLM_HOME", str(tmp_path))
    for library in app.parent.glob("_internal/bin/*ggml-cpu-*"):
        if "x64" not in library.name and "sse42" not in library.name:
            library.write_bytes(b"no library")
    done = run(app, demo_file)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Tokyo" in done.stdout


def test_the_private_argument_runs_a_child_and_not_the_app(app: Path) -> None:
    done = run(app, "--seallm-edge-child", "seallm_edge.native.probe_child", "score", "nowhere.so")
    assert done.returncode == 1
    assert "nowhere.so" in done.stderr
