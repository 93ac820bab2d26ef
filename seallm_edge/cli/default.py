"""`seallm default`: the model that is used where none is named."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import InvalidOption
from . import options
from .output import diagnostic

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("default")
def command(
    model: options.ChatModelArgument = None,
    unset: Annotated[bool, typer.Option("--unset", help="Choose by this computer's memory again.")] = False,
) -> None:
    """Set the model that `seallm chat` uses where none is named, or print it."""
    from ..store import choose_default_model, default_chat_model, default_model, set_default_model

    if unset and model:
        raise InvalidOption("a model and --unset exclude one another", "give one of them")
    if unset:
        set_default_model(None)
        diagnostic("none is set: the largest chat model that fits in free memory")
        return
    if model:
        choose_default_model(model)
    path = default_chat_model()
    chosen = default_model()
    print(chosen or path.stem)
    if not chosen:
        diagnostic("none is set: the largest chat model that fits in free memory")
