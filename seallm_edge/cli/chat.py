"""`seallm chat`: a conversation at a terminal, or one message for each line of standard input."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options
from .output import diagnostic

if TYPE_CHECKING:
    from ..chat import BackgroundLoad, Conversation, History, StoredConversation
    from ..chat.notices import Notice
    from ..llm import SeaLLM

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
    persona: options.Persona = None,
    session: Annotated[
        str | None,
        typer.Option(
            help="Continue the conversation of this title or id (`seallm sessions`); a new one gets it as its title.",
            callback=options.as_text,
        ),
    ] = None,
    last: Annotated[bool, typer.Option("--continue", "-c", help="Continue the last conversation.")] = False,
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
    from ..store import default_chat_model, locate

    if save is False and (session or last):
        from ..errors import InvalidOption

        raise InvalidOption("a stored conversation is continued, and --no-save is given", "leave out --no-save")
    given = "--persona" if persona else "--system"
    system = options.system_of(system, persona)
    is_kept = options.is_interactive() if save is None and not (session or last) else save is not False
    with History() if is_kept else History.in_memory() as history:
        stored = chosen(history, session, last, given if system is not None else None)
        name = model or str(default_chat_model())
        locate(name)  # an unknown name is told at once
        loading = settings.loading | {"snapshots": snapshots and save is not False}
        told: dict[str, Any] = {"sampling": settings.sampling, "on_notice": tell}
        if stored is None:
            told |= {"system": system, "persona": persona, "title": session}
        if options.is_interactive():
            at_terminal(history, stored, name, plain, loading, told)
        else:
            with options.loaded(name, loading) as llm:
                line_by_line(begun(llm, history, stored, told))


def begun(
    llm: SeaLLM | BackgroundLoad, history: History, stored: StoredConversation | None, told: dict[str, Any]
) -> Conversation:
    """Conversation that `stored` names, or a new one."""
    from ..chat import Conversation

    if stored is None:
        return Conversation(llm, history=history, **told)
    return Conversation.resume(llm, history, stored.id, **told)


def chosen(history: History, session: str | None, last: bool, system: str | None) -> StoredConversation | None:
    """Conversation to continue, None for a new one. `system` is the option that gives a system message, if one does.

    Raises InvalidOption for options that exclude one another.
    """
    from ..errors import InvalidOption

    if session is not None and last:
        raise InvalidOption("--session and --continue are both given", "give one of them")
    if last:
        newest = history.conversations(1)
        if not newest:
            raise InvalidOption("there is no conversation to continue yet", "begin one: seallm chat")
        stored: StoredConversation | None = history.conversation(newest[0].id)
    else:
        stored = history.named(session) if session else None
    if stored is not None and system is not None:
        raise InvalidOption(
            "a stored conversation has its own system message", f"leave out {system}, or begin a new one"
        )
    return stored


def tell(notice: Notice) -> None:
    """Print a notice on stderr, with what mends it."""
    from ..chat.notices import NotSaved
    from ..hints import command_line_words

    diagnostic(f"({notice})")
    if isinstance(notice, NotSaved):
        diagnostic(f"  {notice.error.hint.worded(command_line_words)}")


def at_terminal(
    history: History, stored: StoredConversation | None, name: str, plain: bool, loading: dict[str, Any],
    told: dict[str, Any],
) -> None:  # fmt: skip
    """Chat on the screen; the model loads behind it."""
    from ..terminal import Screen

    load = functools.partial(options.begin_load, loading=loading)
    first = load(name)
    conversation = begun(first, history, stored, told)
    try:
        Screen(conversation, plain, name=model_name(name), load=load).run()
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


def model_name(name: str) -> str:
    """Name of a model as it is shown: without the folder and the ending of a path."""
    return Path(name).name.removesuffix(".gguf")
