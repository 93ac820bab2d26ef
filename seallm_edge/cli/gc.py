"""`seallm gc`: shows and removes what no model needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidOption
from ..files.sizes import readable
from ..text.lines import local_minute
from . import options
from .output import diagnostic, plain, print_table

if TYPE_CHECKING:
    from ..store import Garbage, Kind

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("gc")
def command(
    kinds: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="KIND", help="Only partials, orphans or snapshots; may be repeated."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
) -> None:
    """Remove unfinished downloads, orphans and cached KV states. Shows them first, and asks."""
    from ..store import find_garbage, remove_garbage

    found = find_garbage(_kinds(kinds or []))
    if not found:
        diagnostic("nothing to remove")
        return
    print_table(("kind", "size", "last written", "what"), map(_row, found), numbers=("size",))
    total = sum(one.size for one in found)
    diagnostic(f"{readable(total)} in all; an unfinished download would begin again")
    if not yes:
        if not options.is_interactive():
            raise InvalidOption("standard input is no terminal to ask at", "give --yes")
        if not typer.confirm("remove all of it?", err=True):
            diagnostic("nothing was removed")
            return
    print(f"{readable(remove_garbage(found))} freed")


def _kinds(names: list[str]) -> list[Kind]:
    from ..store import Kind

    for name in names:
        if name not in set(Kind):
            raise InvalidOption(f"{name!r} is no kind of garbage", f"give {', '.join(Kind)}")
    return [Kind(name) for name in names] or list(Kind)


def _row(one: Garbage) -> tuple[str, ...]:
    return str(one.kind), readable(one.size), local_minute(one.modified), plain(one.what)
