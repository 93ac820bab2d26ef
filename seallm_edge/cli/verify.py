"""`seallm verify`: checks of a finished GGUF without its source. Only parses options and prints results."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .progress import ProgressLine

if TYPE_CHECKING:
    from seallm_edge.convert.checking.verification import Check

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A GGUF file, or the first of a split set.")],
) -> None:
    """Check a model's file: its header, every number, its hashes, its tokenizer, and a trial by llama.cpp."""
    from seallm_edge.convert.checking.verification import verify_file

    with ProgressLine() as line:

        def passed(check: Check) -> None:
            line.erase()
            print(f"{check.name:<8} {check.result}", flush=True)

        verify_file(file, functools.partial(line.show_bytes, "reading"), passed)
