"""Runtime for a computer without a network: wheels of seallm-edge and of everything that it needs.

For this computer's platform the wheels are packed from what is installed here, llama.cpp's with all its CPU code. For
another platform they are fetched with pip, where their makers publish them.
"""

from __future__ import annotations

import contextlib
import platform as this_platform
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ...errors import StoreError
from .other_platforms import TARGETS, Target, fetched, target_named
from .wheels import OURS, installed_distribution, pack

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# Extras that the runtime has where they are installed here; the command does not use the 240 MB of `desktop`.
_EXTRAS = ("chat", "documents", "lan")


@dataclass(frozen=True)
class Runtime:
    """Runtime on a disk: its wheels, where it runs, the lines of a terminal that install it, and sentences about it.

    `command` is how the installed command is called. Without wheels it stands for none.
    """

    wheels: tuple[Path, ...] = ()
    platform: str = ""
    python: str = ""
    system: str = ""
    installing: tuple[str, ...] = ()
    command: str = "seallm"
    notes: tuple[str, ...] = ()


@contextlib.contextmanager
def packed_runtime(platform: str | None = None) -> Iterator[Runtime]:
    """Runtime with its wheels in a temporary folder: for this computer, or for another platform such as "win_amd64".

    Raises StoreError if a package is missing or changed here, or cannot be had for `platform`, and InvalidOption for an
    unknown one.
    """
    target = target_named(platform) if platform else None
    with tempfile.TemporaryDirectory(prefix="seallm-runtime-") as folder:
        if target is None or target.is_this:
            wheels = tuple(pack(one, Path(folder)) for one in _distributions({}))
            yield _described(wheels, _this_platform(), _this_system(), sys.platform == "win32", ())
        else:
            yield _for_target(target, Path(folder))


def needed(environment: Mapping[str, str]) -> dict[str, tuple[Requirement, Distribution | None]]:
    """Everything that seallm-edge needs where markers have the values of `environment`, itself first.

    {normalized name: (requirement, distribution that is installed here)}
    """
    from packaging.markers import default_environment
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    values: dict[str, str] = {**cast("dict[str, str]", default_environment()), **environment}
    found: dict[str, tuple[Requirement, Distribution | None]] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(f"{OURS}[{','.join(present_extras())}]")]
    while waiting:
        requirement = waiting.pop(0)
        name = canonicalize_name(requirement.name)
        distribution = installed_distribution(name)
        found.setdefault(name, (requirement, distribution))
        for extra in ("", *sorted(requirement.extras)):
            if distribution is None or (name, extra) in seen:
                continue
            seen.add((name, extra))
            others = map(Requirement, distribution.requires or ())
            waiting += [r for r in others if r.marker is None or r.marker.evaluate({**values, "extra": extra})]
    return found


def present_extras() -> tuple[str, ...]:
    """Extras of seallm-edge whose packages are all installed here."""
    from packaging.requirements import Requirement

    own = installed_distribution(OURS)
    if own is None:
        raise StoreError(f"{OURS} is not installed by pip here, so it cannot be packed", "install it with pip")
    requirements = [Requirement(text) for text in own.requires or ()]

    def is_present(extra: str) -> bool:
        of_extra = [r for r in requirements if r.marker and not r.marker.evaluate({"extra": ""})]
        wanted = [r for r in of_extra if r.marker and r.marker.evaluate({"extra": extra})]
        return bool(wanted) and all(installed_distribution(r.name) for r in wanted)

    return tuple(extra for extra in _EXTRAS if is_present(extra))


def _distributions(environment: Mapping[str, str]) -> list[Distribution]:
    found = needed(environment)
    if absent := [name for name, (_, distribution) in found.items() if distribution is None]:
        problem = f"{OURS} needs {', '.join(absent)}, which pip did not install here"
        raise StoreError(problem, f"run: {sys.executable} -m pip install {' '.join(absent)}")
    return [distribution for _, distribution in found.values() if distribution]


def _for_target(target: Target, folder: Path) -> Runtime:
    closure = needed(target.environment)
    _, own = closure.pop(OURS)
    wheels, notes = fetched(target, closure, folder)
    ours = (pack(own, folder),) if own else ()
    return _described((*ours, *wheels), target.name, target.system, target.is_windows, notes)


def _described(
    wheels: tuple[Path, ...], platform: str, system: str, is_windows: bool, notes: tuple[str, ...]
) -> Runtime:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = f'"{OURS}[{",".join(present_extras())}]"' if present_extras() else OURS
    install = f"-m pip install --no-index --find-links runtime {wanted}"
    if is_windows:
        programs = r"%USERPROFILE%\seallm\Scripts"
        lines = (rf"py -{python} -m venv %USERPROFILE%\seallm", rf"{programs}\python {install}")
        return Runtime(wheels, platform, python, system, lines, rf"{programs}\seallm", notes)
    lines = (f"python{python} -m venv ~/seallm", f"~/seallm/bin/python {install}")
    return Runtime(wheels, platform, python, system, lines, "~/seallm/bin/seallm", notes)


def _this_platform() -> str:
    """Name of this platform, as `sysconfig` and wheels spell it."""
    name = next((target.name for target in TARGETS.values() if target.is_this), "")
    return name or sysconfig.get_platform().replace("-", "_").replace(".", "_")


def _this_system() -> str:
    library, version = this_platform.libc_ver() if sys.platform == "linux" else ("", "")
    libc = f" ({library} {version} or later)" if library else ""
    return f"{this_platform.system()} {this_platform.machine()}{libc}"
