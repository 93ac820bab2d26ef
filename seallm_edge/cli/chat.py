"""`seallm chat`: a conversation at a terminal, or one message for each line of standard input."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidOption
from . import options, stored

if TYPE_CHECKING:
    from ..chat import Conversation, History, StoredConversation
    from ..chat.notices import Notice

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@options.with_settings
def chat(
    model: options.ChatModelArgument = None,
    system: options.System = None,
    persona: options.Persona = None,
    session: Annotated[
        str | None,
        typer.Option(
            help="Continue the conversation of this title or id (`seallm sessions`); a new one gets it as its title.",
            callback=options.as_text,
        ),
    ] = None,
    last: Annotated[bool, typer.Option("--continue", "-c", help="Continue the last conversation.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Choose the conversation to continue from a list.")] = False,
    save: Annotated[
        bool | None,
        typer.Option(
            "--save/--no-save",
            help="Keep the conversation in the history. Default: yes at a terminal, no with piped input.",
        ),
    ] = None,
    snapshots: Annotated[
        bool,
        typer.Option(
            "--snapshots/--no-snapshots", help="Keep the KV caches of conversations on disk, for a quick restart."
        ),
    ] = True,
    plain: Annotated[
        bool, typer.Option("--plain", help="Show answers as they are written, for screen readers: no Markdown.")
    ] = False,
    *,
    settings: options.Settings,
) -> None:
    """Chat at the terminal. With piped input, each line is one message and the answers go to stdout."""
    from ..chat import History
    from ..store import locate
    from .first_model import chat_model

    if sum((session is not None, last, resume)) > 1:
        raise InvalidOption("--session, --continue and --resume exclude one another", "give one of them")
    is_continued = session is not None or last or resume
    if save is False and is_continued:
        raise InvalidOption("a stored conversation is continued, and --no-save is given", "leave out --no-save")
    given = "--persona" if persona else "--system"
    system = options.system_of(system, persona)
    given_system = given if system is not None else None
    is_kept = options.is_interactive() if save is None and not is_continued else save is not False
    with History() if is_kept else History.in_memory() as history:
        if resume and (chosen := stored.picked(history, given_system)) is None:
            return
        if last:
            chosen = stored.last(history, given_system)
        elif not resume:
            chosen = stored.named(history, session, given_system)
        name = model or chat_model()
        locate(name)  # an unknown name is told at once
        loading = settings.loading | {"snapshots": snapshots and save is not False}
        told = {"sampling": settings.sampling, "system": system, "persona": persona, "title": session}
        if options.is_interactive():
            at_terminal(history, chosen, name, plain, loading, told)
        else:
            with options.loaded(name, loading) as llm:
                line_by_line(stored.conversation_over(llm, history, chosen, **told))


def at_terminal(
    history: History, chosen: StoredConversation | None, name: str, plain: bool, loading: dict[str, Any],
    told: dict[str, Any],
) -> None:  # fmt: skip
    """Chat on the screen; the model loads behind it."""
    from ..terminal import Screen

    load = functools.partial(options.begin_load, loading=loading)
    first = load(name)
    notices: list[Notice] = []
    conversation = stored.conversation_over(first, history, chosen, on_notice=notices.append, **told)
    try:
        Screen(conversation, plain, name=name, notices=notices, load=load).run()
    finally:
        (conversation.load or first).close()


def line_by_line(conversation: Conversation) -> None:
    """Answer each line of standard input on stdout."""
    from .standard_input import read_lines

    try:
        for line in read_lines():
            if line.strip():
                for delta in conversation.say(line):
                    print(delta, end="", flush=True)
                print(flush=True)
    finally:
        conversation.save()
