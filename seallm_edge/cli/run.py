"""`seallm run`: one prompt, one answer."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from . import options

if TYPE_CHECKING:
    from ..reply import Reply

app = typer.Typer()


@app.command()
def run(
    model: options.ModelArgument,
    prompt: Annotated[
        list[str] | None, typer.Argument(help="What to say; text from standard input comes after it.")
    ] = None,
    system: options.System = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the reply and its figures as JSON.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Tell sizes and speed on stderr.")] = False,
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
    """Answer one prompt: the answer on stdout, all else on stderr. A base model goes on from the text."""
    sampling = options.given(
        temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p,
        repeat_penalty=repeat_penalty, seed=seed, max_tokens=max_tokens, stop=stop,
    )  # fmt: skip
    text = read_prompt(prompt or [])
    with options.loaded(model, context=context, threads=threads, gpu_layers=gpu_layers, force=force) as llm:
        stream = llm.stream(
            [*system_message(system), {"role": "user", "content": text}] if llm.chats else text, **sampling
        )
        if json_output:
            print(json.dumps({"model": llm.name} | stream.read().as_dict(), ensure_ascii=False))
        else:
            for piece in stream:
                print(piece, end="", flush=True)
            print(flush=True)
        if stats:
            print(describe(stream.reply), file=sys.stderr)


def read_prompt(words: list[str]) -> str:
    """The prompt of the arguments and of standard input. Raises InvalidOption where both are empty."""
    from ..errors import InvalidOption
    from .standard_input import read_text

    text = "\n\n".join(part for part in (" ".join(words), read_text().rstrip("\r\n")) if part.strip())
    if not text:
        raise InvalidOption("the prompt is empty", 'give one: seallm run MODEL "…", or on standard input')
    return text


def system_message(system: str | None) -> list[dict[str, str]]:
    """The messages that put `system` in force."""
    return [] if system is None else [{"role": "system", "content": system}]


def describe(reply: Reply) -> str:
    """One line on what a reply took."""
    return (
        f"{reply.usage.prompt_tokens:,} tokens read ({reply.usage.cached_tokens:,} of them kept from before) "
        f"in {reply.timings.prompt:.1f} s, {reply.usage.reply_tokens:,} tokens written, "
        f"{reply.characters_per_second:.0f} characters/s, ended by {reply.finish_reason}"
    )
