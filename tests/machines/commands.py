"""Commands that the checks of other processors run, and the programs that they need."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time

PACKAGES = ("debootstrap", "g++", "g++-aarch64-linux-gnu", "libc6-dev", "qemu-user", "qemu-user-static")
_PROGRAMS = ("debootstrap", "g++", "aarch64-linux-gnu-g++", "qemu-x86_64", "qemu-aarch64-static")


def install_programs() -> None:
    """Install what is missing, as root on Debian or Ubuntu; exits with the command to give elsewhere."""
    if all(map(shutil.which, _PROGRAMS)):
        return
    if os.geteuid() or not shutil.which("apt-get"):
        sys.exit(f"programs are missing\n  sudo apt install {' '.join(PACKAGES)}")
    said("apt-get", "update")
    said("apt-get", "install", "-y", "--no-install-recommends", *PACKAGES)


def found(program: str) -> str:
    """Path of a program. Exits where it is missing."""
    return shutil.which(program) or sys.exit(f"{program} is missing\n  sudo apt install {' '.join(PACKAGES)}")


def output(*command: str, environment: dict[str, str] | None = None) -> str:
    """Standard output of a command; its stderr is shown."""
    started = time.monotonic()
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}, check=True
    )
    _tell(command, started)
    return done.stdout


def said(*command: str) -> None:
    """Run a command; exits with its last lines if it fails."""
    started = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(f"{shlex.join(command)}\n{done.stdout[-2000:]}")
    _tell(command, started)


def _tell(command: tuple[str, ...], started: float) -> None:
    if (seconds := time.monotonic() - started) > 5:
        print(f"  {seconds:.0f} s: {shlex.join(command)[:100]}", file=sys.stderr)
