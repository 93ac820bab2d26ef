"""`seallm rm`: removes models from this computer."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import InvalidOption
from ..files.sizes import readable
from . import options
from .output import diagnostic

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("rm")
def command(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Names from `seallm list`.", autocompletion=options.complete_model),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Remove models from this computer. Of a linked one, the file stays where it is."""
    from ..store import plan_removal, remove

    plans = [plan_removal(name) for name in models]
    removals = list({plan.model.path: plan for plan in plans}.values())  # two names may be one model's
    for removal in removals:
        kept = "" if removal.files else "; linked: its file stays"
        diagnostic(f"{removal.model.name}: {readable(removal.size)}{kept} ({removal.model.path})")
    if not yes and not _agreed():
        diagnostic("nothing was removed")
        return
    for removal in removals:
        remove(removal)
        print(f"removed {removal.model.name}")


def _agreed() -> bool:
    if not options.is_interactive():
        raise InvalidOption("standard input is no terminal to ask at", "give --yes")
    return typer.confirm("remove?", err=True)
