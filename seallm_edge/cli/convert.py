"""`seallm convert`: a Hugging Face checkpoint to GGUF files. Only parses options and prints results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import conversion as options
from .progress import ProgressLine
from .warnings import show_warnings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    source: Annotated[
        str, typer.Argument(metavar="SRC", help="Folder with config.json and *.safetensors, or hf:ORG/NAME[@REVISION].")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File or folder to write; without it, the models folder.")
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", "-t", help="Q4_K_M (the default), Q8_0, …; several times for several files."),
    ] = None,
    recipe: options.RecipeFile = None,
    tensors: options.Tensors = None,
    imatrix: options.Imatrix = None,
    split: options.Split = None,
    verify: options.Verify = "quick",
    dry_run: options.DryRun = False,
    threads: options.Threads = None,
    force: options.Force = False,
    restart: options.Restart = False,
) -> None:
    """Convert a Hugging Face checkpoint to quantized GGUF files; one on a hub is streamed, never stored."""
    from seallm_edge.convert.tasks import checkpoint_task, chosen_recipes

    show_warnings()
    line = ProgressLine()
    chosen = chosen_recipes(types or [], recipe, tensors or [])
    task = checkpoint_task(source, chosen, out, imatrix, options.part_bytes(split))
    options.carry_out(task, "converting", options.settings(threads, force, restart, verify), dry_run, line)
