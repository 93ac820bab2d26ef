"""`seallm chat`: a conversation at a terminal, or one message for each line of standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options
from .output import diagnostic

if TYPE_CHECKING:
    from ..chat import Conversation, History, StoredConversation
    from ..chat.notices import Notice

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
    from ..chat import Conversation, History
    from ..store import default_chat_model

    if save is False and (session or last):
        from ..errors import InvalidOption

        raise InvalidOption("a stored conversation is continued, and --no-save is given", "leave out --no-save")
    given = "--persona" if persona else "--system"
    system = options.system_of(system, persona)
    is_kept = options.is_interactive() if save is None and not (session or last) else save is not False
    with History() if is_kept else History.in_memory() as history:
        stored = chosen(history, session, last, given if system is not None else None)
        name = model or str(default_chat_model())
        with options.loaded(name, settings.loading | {"snapshots": snapshots and save is not False}) as llm:
            told: dict[str, Any] = {"sampling": settings.sampling, "on_notice": tell}
            if stored is None:
                hold(Conversation(llm, system, history=history, title=session, persona=persona, **told), plain)
            else:
                hold(Conversation.resume(llm, history, stored.id, **told), plain)


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
            "a stored conversation has its own system message", "leave out --system, or begin a new one"
        )
    return stored


def tell(notice: Notice) -> None:
    """Print a notice on stderr, with what mends it."""
    from ..chat.notices import NotSaved
    from ..hints import command_line_words

    diagnostic(f"({notice})")
    if isinstance(notice, NotSaved):
        diagnostic(f"  {notice.error.hint.worded(command_line_words)}")


def hold(conversation: Conversation, is_plain: bool) -> None:
    """Chat on the screen, or line by line where standard input is no terminal."""
    if options.is_interactive():
        from ..terminal import Screen

        Screen(conversation, is_plain).run()
        return
    from .standard_input import read_lines

    try:
        for line in read_lines():
            if line.strip():
                for delta in conversation.say(line):
                    print(delta, end="", flush=True)
                print(flush=True)
    finally:
        conversation.save()
