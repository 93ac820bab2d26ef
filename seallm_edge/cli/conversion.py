"""Shared parts of the conversion commands: options, the progress line, and the closing message."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import diagnostic
from .progress import ProgressLine

if TYPE_CHECKING:
    from seallm_edge.convert.run import Options, Result, Task
    from seallm_edge.convert.writing.layout import Layout

RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="A recipe of your own, a TOML file.")]
Tensors = Annotated[
    list[str] | None,
    typer.Option("--tensor", metavar="REGEX=TYPE", help="Type of the tensors with REGEX in their names."),
]
Imatrix = Annotated[Path | None, typer.Option(help="An importance matrix by llama.cpp, GGUF or .dat.")]
Split = Annotated[str | None, typer.Option("--split", metavar="SIZE", help="Write files of at most 2G, 700M, …")]
Verify = Annotated[str, typer.Option(metavar="HOW", help="Checks before the final rename: quick, full or none.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")]
Threads = Annotated[int | None, typer.Option(help="Worker threads; without it, one a logical processor.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the output if it is there already.")]
Restart = Annotated[bool, typer.Option("--restart", help="Start over instead of resuming an interrupted run.")]

_CONTEXTS = (4_096, 8_192, 32_768)


def parsed_size(text: str) -> int:
    """Bytes of a size such as 2G. Raises InvalidOption."""
    from seallm_edge.files.sizes import parse_size

    return parse_size(text)


def part_bytes(split: str | None) -> int | None:
    """Maximum tensor bytes of a part; None for one file. Raises InvalidOption."""
    return parsed_size(split) if split else None


def settings(threads: int | None, force: bool, restart: bool, verify: str) -> Options:
    """Options of a conversion. Raises InvalidOption."""
    from seallm_edge.convert.run import Options

    return Options(threads, force, restart, verify)


def carry_out(task: Task, doing: str, options: Options, dry_run: bool, line: ProgressLine | None = None) -> None:
    """Run a conversion task with a progress line, and print its results; with `dry_run`, only print its layouts."""
    if task.source.license:
        diagnostic(task.source.license)
    if dry_run:
        for path, plan in task.plans.items():
            print(_described(plan, path))
        return
    import time

    started = time.monotonic()
    with line or ProgressLine() as shown:
        results = _run_shown(task, doing, options, shown)
    seconds = time.monotonic() - started
    for result, plan in zip(results, task.plans.values(), strict=True):
        print(_outcome(task, result, plan, seconds))


def _run_shown(task: Task, doing: str, options: Options, line: ProgressLine) -> list[Result]:
    from seallm_edge.convert.run import run

    share = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal share
        share = done / total if total else 0.0
        if done < total:
            line.show_bytes(doing, done, total)
        else:
            line.show("checking")

    try:
        return run(task, replace(options, progress=progress))[0]
    except KeyboardInterrupt:
        line.note(f"stopped at {share:.0%}; the same command resumes there")
        raise


def _outcome(task: Task, result: Result, plan: Layout, seconds: float) -> str:
    from seallm_edge.files.sizes import readable

    lines = [str(result.paths[0]), f"{readable(plan.file_size)}{_in_parts(plan)} in {seconds:.1f} s"]
    if result.report:
        lines.append(result.report.table())
    if task.source.is_runnable:
        lines.append(_next_command(result.paths[0]))
    return "\n".join(lines)


def _in_parts(plan: Layout) -> str:
    return f" in {len(plan.parts)} files" if plan.is_split else ""


def _next_command(path: Path) -> str:
    """The command for a model just written: chat, or run for a base model."""
    import shlex

    from seallm_edge.catalogue.chatting import chatting
    from seallm_edge.gguf_file import read_header
    from seallm_edge.paths import models_dir

    name = shlex.quote(path.stem if path.parent == models_dir() else str(path))
    if chatting(read_header(path)).is_chat_model:
        return f"chat with it: seallm chat {name}"
    return f"a base model, which continues a text: seallm run {name}"


def _described(plan: Layout, out: Path) -> str:
    """Layout as text: a line for each tensor type, then the totals, then the memory needed to run the model."""
    from seallm_edge.files.sizes import readable

    content = plan.content
    kinds = [f"{name:<8}{count:>6,} tensors{readable(size):>14}" for name, (count, size) in content.types().items()]
    weights = f"{content.n_parameters:,} parameters, {content.bits_per_weight:.2f} bits per weight"
    return "\n".join(
        [
            f"{content.name} as {content.label}",
            *kinds,
            f"{len(content.tensors):,} tensors, {weights}",
            f"{readable(plan.file_size)}{_in_parts(plan)} would be written to {out}",
            *_memory(plan),
            *content.notes,
        ]
    )


def _memory(plan: Layout) -> list[str]:
    """Memory needed to run the model at several context lengths; empty where its dimensions are unknown."""
    from seallm_edge.files.sizes import readable
    from seallm_edge.plan.memory import working_bytes

    dimensions = plan.content.dimensions
    if dimensions is None:
        return []
    needs = [readable(plan.content.tensor_bytes + working_bytes(dimensions, n_ctx)) for n_ctx in _CONTEXTS]
    shown = ", ".join(f"{need} at {n_ctx:,}" for need, n_ctx in zip(needs, _CONTEXTS, strict=True))
    return [f"memory to run it, by tokens of context: {shown}"]
