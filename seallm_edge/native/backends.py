"""llama.cpp's backends: the best CPU variant that a child process has tried, and the GPUs that are there."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, wraps
from pathlib import Path
from typing import NamedTuple, ParamSpec

from ..errors import EngineError, did_you_mean
from ..hints import Command, Hint
from ..machine import Gpu
from . import log, symbols
from .cures import REBUILD, with_cure
from .interruptible import run_interruptibly
from .probe import Probe

# gcc 12 miscompiles AMX set-up (the tile configuration), and builds of it crash at the first product.
AMX_VARIANTS = frozenset({"sapphirerapids"})
BUILT_IN = "built-in"
UNNAMED = "cpu"  # the variant of a build whose one loadable CPU backend is plain libggml-cpu
KERNEL_TYPES = frozenset({"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"})

_P = ParamSpec("_P")

_BACKEND_FILE = re.compile(r"^(?:lib)?ggml-([a-z0-9]+)(?:-(.+?))?\.(?:so|dylib|dll)$")
_PARTS_OF_GGML = {"base"}
# ref: ggml/include/ggml-backend.h, enum ggml_backend_dev_type
_CPU, _GPU, _INTEGRATED_GPU = 0, 1, 2
_RETRY = Hint(f"{{again}} tries it once more; if it still fails, {REBUILD}", again=Command("doctor"))


@dataclass(frozen=True)
class Backends:
    """What runs here: the CPU `variant` chosen (`built-in` where llama.cpp has its CPU code linked in), the variants
    that this CPU could run (best first), those `refused` with the reason, and the GPUs. `kernel_types` are the types of
    weights that are multiplied by our own kernels, see docs/kernels.md: they need no repacking.
    """

    variant: str
    possible: tuple[str, ...]
    refused: dict[str, str] = field(hash=False)
    gpus: tuple[Gpu, ...]
    library: Path
    version: str
    kernel_types: frozenset[str] = frozenset()


class Choice(NamedTuple):
    """The CPU variant that was loaded, those possible (best first), and those refused with why."""

    variant: str
    possible: tuple[str, ...]
    refused: dict[str, str]


def _once(load: Callable[_P, Backends]) -> Callable[_P, Backends]:
    """`load`, which runs until it has succeeded; what came of it then is the answer to every later call."""
    loaded: list[Backends] = []
    turn = threading.Lock()

    @wraps(load)
    def first_result(*arguments: _P.args, **options: _P.kwargs) -> Backends:
        with turn:
            if not loaded:
                loaded.append(load(*arguments, **options))
            return loaded[0]

    return first_result


@_once
def load_backends(prefer: str = "") -> Backends:
    """Load llama.cpp's backends into this process, once; what was loaded.

    `prefer` names a variant to take before better scored ones, if it runs here; it counts in a process's first call
    only. `SEALLM_CPU_VARIANT` names one to use whatever else is said. Raises EngineError if no CPU code runs here.
    """
    log.relay()
    probe = Probe(symbols.libllama_path())
    forced = forced_variant()
    if run_interruptibly(lambda _: _has_linked_in_cpu()):
        choice, kernel_types = keep_linked_in(probe, forced), frozenset[str]()
    else:
        files = find_backends()
        variants = {variant: path for (kind, variant), path in files.items() if kind == "cpu"}
        choice = choose_variant(variants, probe, forced, prefer)
        kernel_types = _kernel_types(variants[choice.variant])
        for (kind, _), path in files.items():
            if kind != "cpu":
                _load_gpu_backend(kind, path, probe, choice.refused)
    run_interruptibly(lambda _: symbols.llama_cpp().llama_backend_init())
    return Backends(
        variant=choice.variant,
        possible=choice.possible,
        refused=choice.refused,
        gpus=run_interruptibly(lambda _: _gpus()),
        library=symbols.libllama_path(),
        version=importlib.metadata.version("llama-cpp-python"),
        kernel_types=kernel_types,
    )


def forced_variant() -> str:
    """The variant that the user insists on; "" for none."""
    return os.environ.get("SEALLM_CPU_VARIANT", "")


def kernels_setting() -> str:
    """What the user says of our kernels, which they read themselves: "off", or "" for their use."""
    return os.environ.get("SEALLM_KERNELS", "")


def choose_variant(variants: dict[str, Path], probe: Probe, forced: str = "", prefer: str = "") -> Choice:
    """Load the best of `variants` (name → file) that survives a trial in a child process; or `forced`, if named.

    One of them to `prefer` is tried first. Raises EngineError if none survives.
    """
    if forced and forced not in variants:
        raise EngineError(
            f"SEALLM_CPU_VARIANT names {forced!r}, which this build does not have{did_you_mean(forced, variants)}",
            f"one of: {' '.join(sorted(variants))}" if variants else REBUILD,
        )
    ranked, refused = _ranked(variants, probe)
    for name in AMX_VARIANTS.intersection(ranked) - {forced}:
        ranked.remove(name)
        refused[name] = "its AMX code is unreliable; SEALLM_CPU_VARIANT can name it"
    for name in [forced] if forced else sorted(ranked, key=lambda name: name != prefer):
        problem = probe.trial(variants[name])
        if not problem and _load(variants[name]):
            return Choice(name, tuple(n for n in ranked if n not in refused), refused)
        refused[name] = problem or "llama.cpp would not load it"
    if forced:
        message = f"SEALLM_CPU_VARIANT names a variant that does not run here ({forced}: {refused[forced]})"
        others = " ".join(name for name in ranked if name != forced)
        raise EngineError(message, f"unset it, or name one of: {others}" if others else "unset it")
    reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items()) or "it has none"
    raise EngineError(f"no CPU variant of {symbols.libllama_path()} runs here ({reasons})", _RETRY)


def _ranked(variants: dict[str, Path], probe: Probe) -> tuple[list[str], dict[str, str]]:
    """Variants that say that they can run here, best first; and the others, with the reason."""
    answers = probe.scores(tuple(variants.values()))
    scores: dict[str, int] = {}
    refused = {}
    for name, path in variants.items():
        answer = answers[path]
        if isinstance(answer, str):
            refused[name] = answer
        elif answer > 0:
            scores[name] = answer
        else:
            refused[name] = "this CPU lacks its instructions"
    return sorted(scores, key=lambda name: -scores[name]), refused


def keep_linked_in(probe: Probe, forced: str = "") -> Choice:
    """The one CPU backend of an ordinary build, once a child process has survived it. Raises EngineError if none has,
    or if another is `forced`.
    """
    if forced not in ("", BUILT_IN):
        raise EngineError(
            f"SEALLM_CPU_VARIANT names {forced!r}, but this build has one CPU code, linked in",
            f"unset it, or {REBUILD}",
        )
    if problem := probe.trial(None):
        raise EngineError(f"the CPU code of {symbols.libllama_path()} does not run here: {problem}", _RETRY)
    return Choice(BUILT_IN, (BUILT_IN,), {})


def find_backends() -> dict[tuple[str, str], Path]:
    """Loadable backends beside llama-cpp-python: (kind, variant) → file, such as ("cpu", "haswell"), ("cuda", "")."""
    library = symbols.library_folder()
    found: dict[tuple[str, str], Path] = {}
    for folder in (library.parent.parent / "bin", library):
        for path in sorted(folder.glob("*ggml-*")):
            match = _BACKEND_FILE.match(path.name)
            if match and match[1] not in _PARTS_OF_GGML:
                found.setdefault((match[1], match[2] or (UNNAMED if match[1] == "cpu" else "")), path)
    return found


def _load_gpu_backend(kind: str, path: Path, probe: Probe, refused: dict[str, str]) -> None:
    problem = probe.loads(path)
    if not problem and not _load(path):  # a driver that was there is gone
        problem = probe.loads(path, anew=True) or "llama.cpp would not load it"
    if problem:
        refused[kind] = with_cure(problem)


def _load(path: Path) -> bool:
    with symbols.short_spinning():
        return run_interruptibly(lambda _: _load_once(path))


@cache
def _load_once(path: Path) -> bool:
    """Whether ggml has the backend in `path`. Asked again, as after a Ctrl-C, it would register it a second time."""
    load = symbols.function("ggml_backend_load", ctypes.c_void_p, ctypes.c_char_p)
    return bool(load(os.fsencode(path)))


@cache
def _has_linked_in_cpu() -> bool:
    """Whether the build has its CPU code linked in; asked before any backend is loaded, and remembered."""
    return any(kind == _CPU for kind, _ in _devices())


def _kernel_types(path: Path) -> frozenset[str]:
    """The types of our kernels, if this CPU code was built with them and they are not switched off."""
    marker = getattr(ctypes.CDLL(str(path)), "seallm_has_kernels", None)
    return KERNEL_TYPES if marker is not None and marker() else frozenset()


def _devices() -> list[tuple[int, int]]:
    count = symbols.function("ggml_backend_dev_count", ctypes.c_size_t)()
    get = symbols.function("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    kind = symbols.function("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)
    return [(kind(device), device) for device in map(get, range(count))]


def _gpus() -> tuple[Gpu, ...]:
    name = symbols.function("ggml_backend_dev_name", ctypes.c_char_p, ctypes.c_void_p)
    description = symbols.function("ggml_backend_dev_description", ctypes.c_char_p, ctypes.c_void_p)
    size = ctypes.POINTER(ctypes.c_size_t)
    memory = symbols.function("ggml_backend_dev_memory", None, ctypes.c_void_p, size, size)
    found = []
    for kind, device in _devices():
        if kind in (_GPU, _INTEGRATED_GPU):
            free, total = ctypes.c_size_t(), ctypes.c_size_t()
            memory(device, ctypes.byref(free), ctypes.byref(total))
            words = [text(device).decode("utf-8", "replace") for text in (name, description)]
            found.append(Gpu(words[0], words[1], free.value, total.value, kind == _INTEGRATED_GPU))
    return tuple(found)
