"""`seallm sessions`: the stored conversations: list, search, show, rename, export, import, remove."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..text.lines import local_minute, one_line
from . import options
from .output import diagnostic, print_json, print_table

if TYPE_CHECKING:
    from ..chat import ConversationTree, History

_SHOWN = 20  # conversations of a list, and matches of a search
_MAX_BYTES = 1 << 30  # of a file to import

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=False)

Session = Annotated[
    str, typer.Argument(help="A title or an id from the list, or its beginning.", callback=options.as_text)
]
MaybeSession = Annotated[
    str | None, typer.Argument(help="A title or an id from the list, or its beginning.", callback=options.as_text)
]
Json = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]


class Format(StrEnum):
    """Formats of an export."""

    MARKDOWN = "md"
    TEXT = "txt"
    JSON = "json"


@app.callback(invoke_without_command=True)
def sessions(context: typer.Context) -> None:
    """List, search and move stored conversations; without a command, list the newest."""
    if context.invoked_subcommand is None:
        list_sessions()


@app.command("list")
def list_sessions(
    everything: Annotated[bool, typer.Option("--all", help=f"All, not only the {_SHOWN} newest.")] = False,
    json_output: Json = False,
) -> None:
    """List the conversations, the newest first."""
    with opened() as history:
        found = history.conversations(None if everything or json_output else _SHOWN + 1)
    if json_output:
        print_json([vars(one) for one in found])
        return
    if not found:
        diagnostic("no conversation is stored yet\n  begin one: seallm chat")
        return
    shown = found if everything else found[:_SHOWN]
    rows = ((one.id, local_minute(one.updated), str(one.n_messages), one_line(one.title, 60)) for one in shown)
    print_table(("id", "last message", "messages", "title"), rows, numbers=("messages",))
    if len(shown) < len(found):
        diagnostic("older ones: seallm sessions list --all")


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(help="Words, or parts of words.", callback=options.as_text)],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The most matches to show.")] = _SHOWN,
    json_output: Json = False,
) -> None:
    """Search all messages, in any script: those that hold every word, the newest first."""
    with opened() as history:
        found = history.search(" ".join(words), limit)
    if json_output:
        print_json([vars(one) for one in found])
        return
    if not found:
        diagnostic(f"no message holds {' '.join(words)!r}")
        raise typer.Exit(1)
    for one in found:
        print(f"{one.conversation}  {local_minute(one.created)}  {one_line(one.title, 60)}")
        print(f"    {one.role}: {one_line(one.snippet, 200)}")


@app.command()
def show(session: Session) -> None:
    """Print a conversation as text."""
    from ..chat.exporting import as_text
    from ..text.unicode import visible

    with opened() as history:
        print(visible(as_text(tree_of(history, session))), end="")


@app.command()
def rename(
    session: Session, title: Annotated[str, typer.Argument(help="The title.", callback=options.as_text)]
) -> None:
    """Give a conversation another title."""
    with opened() as history:
        history.rename(history.find(session).id, title)


@app.command()
def export(
    session: MaybeSession = None,
    everything: Annotated[bool, typer.Option("--all", help="All conversations, each in a file.")] = False,
    form: Annotated[
        Format, typer.Option("--format", "-f", help="Markdown and text have one branch, JSON has all.")
    ] = Format.MARKDOWN,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A file; with --all a folder. Default: stdout.")
    ] = None,
) -> None:
    """Write a conversation as Markdown, text or JSON. `import` reads the JSON again."""
    from ..chat.exporting import EXPORTS
    from ..errors import InvalidOption

    if everything == (session is not None):
        raise InvalidOption("an export needs one conversation, or --all", "seallm sessions lists them")
    with opened() as history:
        if session is not None:
            write(out, EXPORTS[form](tree_of(history, session)))
            return
        if out is None:
            raise InvalidOption("an export of all conversations needs a folder", "give one: --all --out FOLDER")
        out.mkdir(parents=True, exist_ok=True)
        for summary in history.conversations():
            write(out / f"{summary.id}.{form}", EXPORTS[form](history.tree(summary.id)))
            print(out / f"{summary.id}.{form}")


@app.command("import")
def import_sessions(
    files: Annotated[list[Path], typer.Argument(help="JSON of seallm, OpenAI, ChatGPT or Open WebUI.")],
) -> None:
    """Read conversations from JSON: our own export, chat messages as in OpenAI's API, ChatGPT's, Open WebUI's."""
    from ..chat.importing import conversations_from_json
    from ..errors import InvalidOption

    with opened() as history:
        for path in files:
            if path.stat().st_size > _MAX_BYTES:
                raise InvalidOption(f"{path.name} is larger than 1 GiB", "import it in parts")
            for id_ in history.insert(conversations_from_json(path.read_bytes())):
                print(id_)


@app.command()
def remove(
    session: Annotated[list[str] | None, typer.Argument(help="Titles or ids.", callback=options.as_text)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All conversations.")] = False,
    yes: Yes = False,
) -> None:
    """Remove conversations for good, with all their branches."""
    from ..errors import InvalidOption

    if everything == bool(session):
        raise InvalidOption("there is nothing to remove", "name conversations, or give --all")
    with opened() as history:
        found = [(one.id, one.title) for one in history.conversations()]
        if not everything:
            wanted = [history.find(name).id for name in session or []]
            found = [(id_, title) for id_, title in found if id_ in wanted]
        for id_, title in found:
            diagnostic(f"{id_}  {one_line(title, 60)}")
        if not yes and not confirmed(f"remove {len(found)} of the conversations?"):
            raise typer.Exit(1)
        for id_, _ in found:
            history.remove(id_)


@contextmanager
def opened() -> Iterator[History]:
    """The user's history."""
    from ..chat import History

    with History() as history:
        yield history


def tree_of(history: History, session: str) -> ConversationTree:
    """Conversation by its title or id."""
    return history.tree(history.find(session).id)


def write(path: Path | None, text: str) -> None:
    """Write a text to a file that is not there yet, whole or not at all, or to stdout. Raises InvalidOption."""
    from ..errors import InvalidOption
    from ..files.atomic import write_text

    if path is None:
        print(text, end="")
    elif path.exists():
        raise InvalidOption(f"{path} exists already", "give another name")
    else:
        write_text(path, text)


def confirmed(question: str) -> bool:
    """Whether the user at the terminal agrees; False where nobody can be asked."""
    if sys.stdin is None or not sys.stdin.isatty():
        diagnostic("nobody can be asked here\n  give --yes to remove them")
        return False
    return typer.confirm(question, err=True)
