"""Models of other programs on this computer that are what a pull would get: told, and linked if the user wants that."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

from ..files.sizes import readable
from . import options
from .output import plain
from .progress import ProgressLine

if TYPE_CHECKING:
    from ..store import Installed
    from ..store.carrying.discovery import Found
    from ..store.pulling.wanted import Wanted


def find_elsewhere(wanted: Wanted, line: ProgressLine) -> Found | None:
    """Largest model of another program that is the wanted one; None for what is here, or is named by its place."""
    from ..gguf_file import read_header
    from ..store.carrying.discovery import find_existing
    from ..store.pulling.wanted import find_here

    if wanted.card is None or wanted.is_gguf or wanted.revision or "/" in wanted.name or find_here(wanted):
        return None
    line.show("looking for models of other programs")
    found = find_existing(wanted.card)
    line.erase()
    kind = wanted.type_name
    return next((one for one in found if not kind or read_header(one.path).file_type_name == kind), None)


def link_in_place(found: Found, line: ProgressLine) -> Installed:
    """Link a model of another program where it is: the installed one. Raises ModelFileError, StoreError."""
    from ..store.carrying.importing import How, import_candidate

    return import_candidate(found.candidate, How.LINK, line.show_bytes).model


def found_line(found: Found) -> str:
    """Found model in a line: name, size and program."""
    return f"{plain(found.name)} ({readable(found.size)}) is on this computer already, of {found.program}"


def import_command(found: Found) -> str:
    """Command that links it."""
    return shlex.join(["seallm", "import", str(found.path)])


def found_facts(found: Found) -> dict[str, Any]:
    """Plain values for JSON."""
    facts = {"name": found.name, "path": str(found.path), "size": found.size, "program": found.program}
    return {**facts, "import": import_command(found)}


def answer(question: str, line: ProgressLine) -> str | None:
    """Answer to a question on stderr, in small letters; None where nobody sees it or can answer."""
    if not options.is_interactive() or sys.stderr is None or not sys.stderr.isatty():
        return None
    line.note(question)
    print("> ", end="", file=sys.stderr, flush=True)  # stdout is for the model's path
    try:
        return input().strip().lower()
    except EOFError:
        return None
