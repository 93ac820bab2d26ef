"""`seallm path`: where a model's file is."""

from __future__ import annotations

import typer

from . import options

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("path")
def command(model: options.ModelArgument) -> None:
    """Print the path of a model's file, for other programs; of a split one, its first part's."""
    from ..store import locate

    print(locate(model).absolute())
