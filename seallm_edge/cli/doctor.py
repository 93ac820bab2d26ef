"""`seallm doctor`: what this computer has, what of it is used, and whether anything can run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .tables import gigabytes, plain, print_facts, print_json

if TYPE_CHECKING:
    from ..errors import EngineError
    from ..native.library import Backends

app = typer.Typer(add_completion=False, rich_markup_mode=None)

LIBRARIES = ("seallm-edge", "llama-cpp-python", "numpy", "gguf", "huggingface-hub")


@app.command()
def doctor(
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Check this computer, and say what it can run.

    CPU, memory, GPUs, libraries. Exits with 1 if nothing can run.
    """
    facts = examine()
    if json_output:
        print_json(facts)
    else:
        print_facts(lines(facts))
        print(f"\n{facts['verdict']}")
    raise typer.Exit(0 if facts["can_run"] else 1)


def examine() -> dict[str, Any]:
    """All facts, in bytes and names; `can_run` and `verdict` sum them up."""
    from dataclasses import asdict

    from .. import paths
    from ..catalogue import cards
    from ..machine import this_machine
    from ..memory import largest_that_fits
    from ..store import installed

    machine = this_machine()
    backends, problem = _backends()
    largest = largest_that_fits(cards().values(), machine)
    here = [entry.name for entry in installed()]
    can_run = problem is None and largest is not None
    return {
        **asdict(machine),
        "threads": machine.threads,
        "variant": backends.variant if backends else None,
        "possible": backends.possible if backends else (),
        "refused": backends.refused if backends else {},
        "gpus": [asdict(gpu) for gpu in backends.gpus] if backends else [],
        "library": str(backends.library) if backends else None,
        "versions": _versions(),
        "store": str(paths.models_dir()),
        "installed": here,
        "largest": {"model": largest[0].name, "type": largest[1]} if largest else None,
        "problem": str(problem) if problem else None,
        "can_run": can_run,
        "verdict": verdict(problem, largest is not None, here),
    }


def lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts as names and values for people."""
    largest = facts["largest"]
    gpus = [f"{plain(g['description'])}: {_of(g['memory_free'], g['memory_total'])}" for g in facts["gpus"]]
    return [
        ("system", f"{facts['os']}, {facts['architecture']}"),
        ("CPU", plain(facts["cpu_name"])),
        ("SIMD", " ".join(facts["simd"]) or "not known here"),
        ("CPU code", f"{facts['variant'] or 'none'} (could also run: {_others(facts) or 'no other'})"),
        *(("refused", f"{name}: {plain(reason)}") for name, reason in facts["refused"].items()),
        (
            "cores",
            f"{facts['cores_performance']} performance, {facts['cores_efficiency']} efficiency, "
            f"{facts['cores_usable']} usable; {facts['threads']} threads",
        ),
        ("memory", _of(facts["memory_available"], facts["memory_total"])),
        *(("GPU", gpu) for gpu in gpus or ["none that llama.cpp can use"]),
        ("libraries", ", ".join(f"{name} {version}" for name, version in facts["versions"].items())),
        ("llama.cpp", facts["library"] or "not usable"),
        ("store", facts["store"]),
        ("installed", ", ".join(map(plain, facts["installed"])) or "nothing yet"),
        ("largest", f"{largest['model']} ({largest['type']})" if largest else "no model of the catalogue fits"),
    ]


def verdict(problem: EngineError | None, fits: bool, here: list[str]) -> str:
    """One line that sums up: what llama.cpp refuses with, whether any model fits, what is installed."""
    if problem:
        return f"nothing can run here: {problem}"
    if not fits:
        return "nothing can run here: even the smallest model needs more memory than is free; close other programs"
    if not here:
        return "ready, but no model is installed; see which there are: seallm models"
    return "ready: seallm chat"


def _backends() -> tuple[Backends | None, EngineError | None]:
    from ..errors import EngineError
    from ..native.library import load_backends

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
    return f"{gigabytes(free)} of {gigabytes(total)} free"


def _others(facts: dict[str, Any]) -> str:
    return " ".join(name for name in facts["possible"] if name != facts["variant"])
