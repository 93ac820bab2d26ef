"""`seallm quantize`, `seallm split`, `seallm merge`: one GGUF to another. Only parses options and prints results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import conversion as options

quantize = typer.Typer(add_completion=False, rich_markup_mode=None)
split = typer.Typer(add_completion=False, rich_markup_mode=None)
merge = typer.Typer(add_completion=False, rich_markup_mode=None)

SourceFile = Annotated[Path, typer.Argument(metavar="IN", help="A GGUF file; of a split model, the first part.")]


@quantize.command()
def quantize_command(
    source: SourceFile,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File or folder to write.")],
    type_name: Annotated[
        str | None, typer.Option("--type", "-t", help="Q4_K_M (the default), Q8_0, IQ4_XS, … as llama.cpp names them.")
    ] = None,
    recipe: options.RecipeFile = None,
    tensors: options.Tensors = None,
    imatrix: options.Imatrix = None,
    size: options.Split = None,
    verify: options.Verify = "quick",
    allow_requantize: Annotated[
        bool, typer.Option("--allow-requantize", help="Take a source that has lost precision already.")
    ] = False,
    dry_run: options.DryRun = False,
    threads: options.Threads = None,
    force: options.Force = False,
    restart: options.Restart = False,
) -> None:
    """Quantize a GGUF of any architecture that llama.cpp knows, to the bytes that llama.cpp would write."""
    from seallm_edge.convert.gguf_tasks import quantize_task
    from seallm_edge.convert.tasks import chosen_recipes

    chosen = chosen_recipes([type_name] if type_name else [], recipe, tensors or [])[0]
    task = quantize_task(source, out, chosen, imatrix, options.part_bytes(size), allow_requantize)
    options.carry_out(task, "quantizing", options.settings(threads, force, restart, verify), dry_run)


@split.command()
def split_command(
    source: SourceFile,
    size: Annotated[str, typer.Option("--size", "-s", metavar="SIZE", help="Maximum size of a file: 2G, 700M, …")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder, or name without numbers; else beside the source.")
    ] = None,
    verify: options.Verify = "quick",
    dry_run: options.DryRun = False,
    force: options.Force = False,
    restart: options.Restart = False,
) -> None:
    """Split a GGUF into files for FAT32 disks and slow links; every command takes the first of them."""
    from seallm_edge.convert.gguf_tasks import split_task

    task = split_task(source, options.parsed_size(size), out)
    options.carry_out(task, "splitting", options.settings(None, force, restart, verify), dry_run)


@merge.command()
def merge_command(
    source: SourceFile,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File or folder; else beside the source.")] = None,
    verify: options.Verify = "quick",
    dry_run: options.DryRun = False,
    force: options.Force = False,
    restart: options.Restart = False,
) -> None:
    """Make one file of a split GGUF, each part compared with its hash if the hashes came along."""
    from seallm_edge.convert.gguf_tasks import merge_task

    task = merge_task(source, out)
    options.carry_out(task, "merging", options.settings(None, force, restart, verify), dry_run)
