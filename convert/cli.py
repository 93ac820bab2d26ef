"""`seallm convert`: a Hugging Face folder in, a GGUF out. Parsing and showing only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from .plan import Plan

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder with config.json and *.safetensors.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File or folder to write; without it, the models folder.")
    ] = None,
    type_name: Annotated[
        str, typer.Option("--type", "-t", help="F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q4_K_M Q4_K_S or Q4_0.")
    ] = "Q4_K_M",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")] = False,
    threads: Annotated[int | None, typer.Option(help="Worker threads; without it, one a logical processor.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output if it is there already.")] = False,
) -> None:
    """Convert a Hugging Face checkpoint to a quantized GGUF file."""
    from . import output_path, plan_conversion

    if dry_run:
        planned = plan_conversion(source, type_name)
        typer.echo(_described(planned, output_path(out, planned)))
        return
    _convert(source, out, type_name, threads, force)


def _convert(source: Path, out: Path | None, type_name: str, threads: int | None, force: bool) -> None:
    import time

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from . import convert
    from .writer import readable

    columns = (TextColumn("converting"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    started = time.monotonic()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("converting", total=None)
        path = convert(
            source,
            out,
            type_name,
            threads,
            force,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    seconds = time.monotonic() - started
    typer.echo(f"{path}\n{readable(path.stat().st_size)} in {seconds:.1f} s\nchat with it: {_chat_command(path)}")


def _chat_command(path: Path) -> str:
    import shlex

    from seallm_edge.paths import models_dir

    name = path.stem if path.parent == models_dir() else str(path)
    return f"seallm chat {shlex.quote(name)}"


def _described(plan: Plan, out: Path) -> str:
    """The plan as text: a line for each type, then the whole."""
    from .writer import readable

    kinds = [f"{name:<6}{count:>8,} tensors{readable(size):>14}" for name, (count, size) in plan.types().items()]
    weights = f"{plan.n_parameters:,} parameters, {plan.bits_per_weight:.2f} bits per weight"
    lines = [
        f"{plan.name} as {plan.recipe.name}",
        *kinds,
        f"{len(plan.tensors):,} tensors, {weights}",
        f"{readable(plan.file_size)} would be written to {out}",
    ]
    return "\n".join(lines)
