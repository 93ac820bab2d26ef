"""`seallm doctor`: this computer's CPU, memory and GPUs, and whether models can run; or the plan for one model."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..files.sizes import readable
from . import options
from .output import plain, print_facts, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..errors import EngineError
    from ..machine import Gpu
    from ..native.backends import Backends

app = typer.Typer(add_completion=False, rich_markup_mode=None)

LIBRARIES = ("seallm-edge", "llama-cpp-python", "numpy", "huggingface-hub")


@app.command()
def doctor(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A model: say how it would run here, and why. A name from `seallm models`, or the path of a GGUF.",
            autocompletion=options.complete_model,
        ),
    ] = None,
    context: options.Context = None,
    threads: options.Threads = None,
    gpu_layers: options.GpuLayers = None,
    cache_type_k: options.CacheTypeK = None,
    cache_type_v: options.CacheTypeV = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Check this computer, and say what it can run, or how it would run one model.

    CPU, memory, GPUs, libraries; of a model the settings, the reasons for them, the memory. Exits with 1 if nothing,
    or not this model, can run.
    """
    asked = options.given(
        context=context, threads=threads, gpu_layers=gpu_layers, cache_type_k=cache_type_k, cache_type_v=cache_type_v
    )
    if not model and asked:
        raise typer.BadParameter("these options are for a MODEL: name one")
    _forget_refusals()
    facts = examine_model(model, **asked) if model else examine()
    if json_output:
        print_json(facts)
    else:
        print_facts(model_lines(facts) if model else lines(facts))
        print(f"\n{facts['verdict']}")
    raise typer.Exit(0 if facts["can_run"] else 1)


def examine() -> dict[str, Any]:
    """Facts on this computer, sizes in bytes; `can_run` and `verdict` sum them up."""
    from dataclasses import asdict

    from .. import paths
    from ..catalogue.cards import cards
    from ..machine import this_machine
    from ..plan.memory import largest_that_fits
    from ..store import installed

    machine = this_machine()
    backends, problem = _backends()
    gpus, gpu_use = gpu_facts(backends.gpus if backends else ())
    largest = largest_that_fits(cards().values(), machine)
    here = [entry.name for entry in installed()]
    can_run = problem is None and largest is not None
    return {
        **asdict(machine),
        "threads": machine.threads,
        "variant": backends.variant if backends else None,
        "possible": backends.possible if backends else (),
        "refused": backends.refused if backends else {},
        "kernel_types": sorted(backends.kernel_types) if backends else [],
        "gpus": gpus,
        "gpu_use": gpu_use,
        "library": str(backends.library) if backends else None,
        "versions": _versions(),
        "store": str(paths.models_dir()),
        "installed": here,
        "largest": {"model": largest[0].name, "type": largest[1]} if largest else None,
        "problem": str(problem) if problem else None,
        "can_run": can_run,
        "verdict": verdict(problem, largest is not None, here),
    }


def gpu_facts(gpus: Sequence[Gpu]) -> tuple[list[dict[str, Any]], str]:
    """Facts on each GPU, and whether and why they are used for the model that `seallm chat` takes, in words."""
    from dataclasses import asdict

    from ..errors import SeaLLMError
    from ..loading import resolve
    from ..plan import LoadOptions
    from ..store import default_chat_model

    if not gpus:
        return [], ""
    try:
        target = resolve(default_chat_model(), LoadOptions(force=True))
    except (SeaLLMError, OSError):
        return [asdict(gpu) for gpu in gpus], "seallm doctor MODEL says whether it is used"
    return [asdict(gpu) for gpu in target.gpus], f"for {target.name}, {target.plan.why_layers}"


def lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of `examine` as names and values for people."""
    largest = facts["largest"]
    gpus = [f"{plain(g['description'])}: {_of(g['memory_free'], g['memory_total'])}" for g in facts["gpus"]]
    return [
        ("system", f"{facts['os']}, {facts['architecture']}"),
        ("CPU", plain(facts["cpu_name"])),
        ("SIMD", " ".join(facts["simd"]) or "not known here"),
        ("CPU code", f"{facts['variant'] or 'none'} (could also run: {_others(facts) or 'no other'})"),
        ("kernels", f"our own for {' '.join(facts['kernel_types'])}" if facts["kernel_types"] else "ggml's own"),
        *(("refused", f"{name}: {plain(reason)}") for name, reason in facts["refused"].items()),
        (
            "cores",
            f"{facts['cores_performance']} performance, {facts['cores_efficiency']} efficiency, "
            f"{facts['cores_usable']} usable; {facts['threads']} threads",
        ),
        ("memory", _of(facts["memory_available"], facts["memory_total"])),
        *(("GPU", gpu) for gpu in gpus or ["none that llama.cpp can use"]),
        *([("", plain(facts["gpu_use"], 500))] if facts["gpu_use"] else []),
        ("libraries", ", ".join(f"{name} {version}" for name, version in facts["versions"].items())),
        ("llama.cpp", facts["library"] or "not usable"),
        ("store", facts["store"]),
        ("installed", ", ".join(map(plain, facts["installed"])) or "nothing yet"),
        ("largest", f"{largest['model']} ({largest['type']})" if largest else "no model of the catalogue fits"),
    ]


def examine_model(model: str, **asked: Any) -> dict[str, Any]:
    """Plan for a model on this computer, sizes in bytes, even if it does not fit; `asked` are its options.

    Raises ModelNotFound, ModelFileError, InvalidOption or EngineError.
    """
    from dataclasses import asdict

    from ..errors import NotEnoughMemory
    from ..hints import command_line_words
    from ..loading import resolve
    from ..machine import this_machine
    from ..plan import LoadOptions

    problem = None
    try:
        target = resolve(model, LoadOptions(**asked))
    except NotEnoughMemory as error:
        problem = error
        target = resolve(model, LoadOptions(**asked, force=True))
    header, plan, chat = target.header, target.plan, target.chatting
    return {
        "model": target.name,
        "type": header.file_type_name,
        "file": str(header.path),
        "chat_format": chat.reason,
        **asdict(plan),
        "total_bytes": plan.total_bytes,
        "main_bytes": plan.main_bytes,
        "memory_available": this_machine().memory_available,
        "can_run": problem is None,
        "verdict": problem.worded(command_line_words)
        if problem
        else f"it fits: seallm {chat.command} {shlex.quote(model)}",
    }


def model_lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of `examine_model` as names and values for people."""
    on_gpu = f", {readable(facts['gpu_bytes'])} of it on the GPU" if facts["gpu_bytes"] else ""
    return [
        ("model", f"{plain(facts['model'])} ({facts['type']})"),
        ("file", plain(facts["file"], 1_000)),
        *(("" if number else "plan", reason) for number, reason in enumerate(facts["reasons"])),
        *(("warning", warning) for warning in facts["warnings"]),
        ("weights", readable(facts["weights_bytes"])),
        ("KV cache", readable(facts["kv_bytes"])),
        ("all else", f"{readable(facts['compute_bytes'])}: buffers for a step, vocabulary, the program"),
        ("in all", f"{readable(facts['total_bytes'])}{on_gpu}"),
        ("free", readable(facts["memory_available"])),
        ("chat format", plain(facts["chat_format"], 500)),
    ]


def verdict(problem: EngineError | None, fits: bool, here: list[str]) -> str:
    """One line: the error of llama.cpp, else whether any model fits, else whether one is installed."""
    if problem:
        return f"nothing can run here: {problem}"
    if not fits:
        return "nothing can run here: even the smallest model needs more memory than is free; close other programs"
    if not here:
        return "ready, but no model is installed; see which there are: seallm models"
    return "ready: seallm chat"


def _forget_refusals() -> None:
    """Forget cached refusals, so that CPU code is tried again: it may run now, or was tried on another CPU."""
    from ..native.verdicts import forget_refusals

    forget_refusals()


def _backends() -> tuple[Backends | None, EngineError | None]:
    from ..errors import EngineError
    from ..native.backends import load_backends

    try:
        return load_backends(), None
    except EngineError as error:
        return None, error


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def _of(free: int, total: int) -> str:
    return f"{readable(free)} of {readable(total)} free"


def _others(facts: dict[str, Any]) -> str:
    return " ".join(name for name in facts["possible"] if name != facts["variant"])
