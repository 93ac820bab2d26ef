"""Checks on emulated processors (qemu): the CPU code that is taken, a reply of the demo model, conversions with the
same bytes as here, snapshots of another processor, and the tests of faithful text.

    python tests/machines/run.py [nehalem sandybridge haswell cortex-a53 cortex-a76 arm-max] [--keep FOLDER]

On x86-64 this environment runs on other processors. On Arm it is set-up's own wheel, cross-built, in a Debian root for
arm64. Child processes are emulated too. Needs root on Debian or Ubuntu x86-64, and installs their packages. With --keep
a second run reuses the builds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from checks import check, reference
from commands import install_programs
from processors import KINDS, native, processor


def main() -> int:
    """Check the chosen processors; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("processors", nargs="*", choices=[[], *KINDS], default=[])
    parser.add_argument("--keep", type=Path, help="a folder for the wheel and the root, kept for another run")
    arguments = parser.parse_args()
    install_programs()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        work = (arguments.keep or Path(scratch)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        own = native(work)
        expected = reference(own)
        results = {name: check(processor(name, work), own, expected) for name in arguments.processors or KINDS}
    print(f"\n{'processor':12} {'CPU code':14} {'seconds':>8}  result")
    for name, found in results.items():
        result = "; ".join(found.problems) or "all is well"
        print(f"{name:12} {found.variant:14} {sum(found.seconds.values()):8.0f}  {result}")
    print(f"{time.monotonic() - started:.0f} s in all")
    return 1 if any(found.problems for found in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
