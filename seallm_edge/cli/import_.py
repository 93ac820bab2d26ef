"""`seallm import`: models from files, from an export's folder, and from other programs on this computer.

Only parses options, asks and prints.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..files.sizes import readable
from .options import is_interactive
from .output import diagnostic, plain, print_table
from .progress import ProgressLine

if TYPE_CHECKING:
    from ..errors import SeaLLMError
    from ..store.carrying.discovery import Found
    from ..store.carrying.importing import How, Imported

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_WORDS = {"copy": "copied", "move": "moved", "link": "linked in place"}


@app.command()
def command(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="FILE|FOLDER", help="A GGUF, one part of a split one, or a folder with models."),
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files; the default for another disk.")] = False,
    move: Annotated[bool, typer.Option("--move", help="Move the files: they leave their folder.")] = False,
    link: Annotated[
        bool, typer.Option("--link", help="Leave the files where they are; default for this disk.")
    ] = False,
    find: Annotated[
        bool, typer.Option("--find", help="Look for models of Ollama, LM Studio, Hugging Face and llama.cpp.")
    ] = False,
) -> None:
    """Take in a model from a file, a USB stick or another program. Every byte is checked.

    Without FILE it lists the models of other programs on this computer.
    """
    from ..store.carrying.importing import How

    ways = [way for way, given in ((How.COPY, copy), (How.MOVE, move), (How.LINK, link)) if given]
    if len(ways) > 1:
        raise typer.BadParameter("give one of --copy, --move and --link")
    if path is not None and find:
        raise typer.BadParameter("give a file or folder, or --find")
    way = ways[0] if ways else None
    if path is None:
        _import_found(way)
    else:
        _import_path(path, way or _asked_way(path))


def _import_path(path: Path, way: How | None) -> None:
    from ..store.carrying.importing import import_model

    with _line() as line:
        import_model(path, way, progress=line.show_bytes, tell=lambda result: _tell(result, line))


def _import_found(way: How | None) -> None:
    """List what other programs have; at a terminal, or with a way to import, import what is chosen."""
    from ..store.carrying.discovery import discover
    from ..store.carrying.importing import import_found, way_of_found

    way_of_found(way)
    with ProgressLine() as line:
        line.show("looking for models of other programs")
        found = discover()
    if not found:
        diagnostic("no model of Ollama, LM Studio, Hugging Face or llama.cpp is on this computer")
        return
    rows = [(str(n), plain(one.name), readable(one.size), one.program, str(one.path)) for n, one in enumerate(found, 1)]
    print_table(("", "model", "size", "of", "file"), rows, numbers=("", "size"))
    chosen = found if way else _chosen(found)
    with _line() as line:
        import_found(chosen, way, progress=line.show_bytes, tell=lambda result: _tell(result, line))


@contextlib.contextmanager
def _line() -> Iterator[ProgressLine]:
    """Progress line of an import, which Ctrl-C ends in words."""
    with ProgressLine() as line:
        try:
            yield line
        except KeyboardInterrupt:
            line.note("stopped; the same command resumes there")
            raise


def _chosen(found: list[Found]) -> list[Found]:
    """Models that the user chooses by number; none where nobody can be asked."""
    if not is_interactive():
        diagnostic("to link them all in place: seallm import --find --link; or one: seallm import FILE")
        return []
    answer = typer.prompt("link which (numbers, or all; they stay where they are)", default="none", err=True)
    if answer.strip().lower() == "all":
        return found
    numbers = set()
    for word in () if answer.strip().lower() == "none" else answer.replace(",", " ").split():
        if not (word.isascii() and word.isdigit() and 1 <= int(word) <= len(found)):
            raise typer.BadParameter(f"{word!r} is none of the numbers 1 to {len(found)}")
        numbers.add(int(word))
    return [one for number, one in enumerate(found, 1) if number in numbers]


def _asked_way(path: Path) -> How | None:
    """Way that the user chooses at a terminal, where the files are on the disk of the models folder."""
    from ..store.carrying.importing import How, default_way

    if not is_interactive() or not path.exists() or default_way(path) is not How.LINK:
        return None
    diagnostic("these files are on the disk of the models folder already")
    answer = typer.prompt("link (they stay there), move or copy", default=How.LINK.value, err=True).strip().lower()
    if answer not in list(How):
        raise typer.BadParameter(f"{answer!r} is none of: {', '.join(How)}")
    return How(answer)


def _tell(result: Imported | SeaLLMError, line: ProgressLine) -> None:
    from ..errors import SeaLLMError, worded
    from ..hints import command_line_words

    if isinstance(result, SeaLLMError):
        line.note(worded(result, command_line_words))
        return
    line.erase()
    done = _WORDS[result.how.value] if result.how else "is here already"
    print(f"{plain(result.model.name)}: {done}, {readable(result.model.size)}", flush=True)
    if result.how and result.model.entry and result.model.entry.license:
        diagnostic(f"{plain(result.model.name)} has a licence, read it first: {plain(result.model.entry.license)}")
