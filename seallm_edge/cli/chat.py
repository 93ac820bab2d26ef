"""`seallm chat`: a conversation, at a terminal or over standard input."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from . import options

if TYPE_CHECKING:
    from ..chat import Conversation

app = typer.Typer()


@app.command()
def chat(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A name from `seallm models`, or the path of a GGUF; default: the largest installed chat model.",
            autocompletion=options.complete_model,
        ),
    ] = None,
    system: options.System = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    top_k: options.TopK = None,
    min_p: options.MinP = None,
    repeat_penalty: options.RepeatPenalty = None,
    seed: options.Seed = None,
    max_tokens: options.MaxTokens = None,
    stop: options.Stop = None,
    context: options.Context = None,
    threads: options.Threads = None,
    gpu_layers: options.GpuLayers = None,
    force: options.Force = False,
) -> None:
    """Chat at the terminal. With piped input, each line is one message and the answers go to stdout."""
    from ..chat import Conversation
    from ..store import default_chat_model

    sampling = options.given(
        temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p,
        repeat_penalty=repeat_penalty, seed=seed, max_tokens=max_tokens, stop=stop,
    )  # fmt: skip
    name = model or str(default_chat_model())
    with options.loaded(name, context=context, threads=threads, gpu_layers=gpu_layers, force=force) as llm:
        hold(Conversation(llm, system, sampling))


def hold(conversation: Conversation) -> None:
    """Chat on the screen, or line by line where standard input is no terminal."""
    if sys.stdin is not None and sys.stdin.isatty():
        from ..terminal import Screen

        Screen(conversation).run()
        return
    from .standard_input import read_lines

    for line in read_lines():
        if line.strip():
            for piece in conversation.say(line):
                print(piece, end="", flush=True)
            print(flush=True)
