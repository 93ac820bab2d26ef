"""`seallm chat`: a conversation at a terminal, or one message for each line of standard input."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from . import options

if TYPE_CHECKING:
    from ..chat import Conversation

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@options.with_settings
def chat(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A name from `seallm models`, or the path of a GGUF; default: the largest installed chat model.",
            autocompletion=options.complete_model,
        ),
    ] = None,
    system: options.System = None,
    snapshots: Annotated[
        bool,
        typer.Option(
            "--snapshots/--no-snapshots", help="Keep the KV caches of conversations on disk, for a quick restart."
        ),
    ] = True,
    *,
    settings: options.Settings,
) -> None:
    """Chat at the terminal. With piped input, each line is one message and the answers go to stdout."""
    from ..chat import Conversation
    from ..store import default_chat_model

    loading = settings.loading | {"snapshots": snapshots}
    with options.loaded(model or str(default_chat_model()), loading) as llm:
        hold(Conversation(llm, system, settings.sampling))


def hold(conversation: Conversation) -> None:
    """Chat on the screen, or line by line where standard input is no terminal."""
    if sys.stdin is not None and sys.stdin.isatty():
        from ..terminal import Screen

        Screen(conversation).run()
        return
    from .standard_input import read_lines

    for line in read_lines():
        if line.strip():
            for delta in conversation.say(line):
                print(delta, end="", flush=True)
            print(flush=True)
