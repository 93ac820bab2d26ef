"""`seallm verify`: a finished model, checked as far as it can be without its source. Parsing and showing only."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A GGUF file, or the first of a split set.")],
) -> None:
    """Check a model's file: its header, every number, its hashes, its tokenizer, and a trial by llama.cpp."""
    from seallm_edge.convert.checking.verification import verify_file

    with _Bar() as bar:
        verify_file(file, bar.show, lambda check: typer.echo(f"{check.name:<8} {check.result}"))


class _Bar:
    """A bar at a terminal while bytes are read, and gone before and after."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        console = Console(stderr=True)
        is_hidden = not console.is_terminal
        self._bar = Progress(*columns, console=console, transient=True, disable=is_hidden, redirect_stdout=False)
        self._task = self._bar.add_task("reading", total=None)

    def show(self, done: int, total: int) -> None:
        """Show how much is done; all of it removes the bar."""
        self._bar.update(self._task, completed=done, total=total)
        if done < total:
            self._bar.start()
        else:
            self._bar.stop()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()
