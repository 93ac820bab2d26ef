"""Printing of answers and facts on stdout, and of diagnostics on stderr.

Control characters in text from files do not reach the terminal.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 120  # columns where stdout is no terminal


def diagnostic(text: object) -> None:
    """Print a line for the user on stderr, if that is open; never on stdout, which is for answers."""
    if sys.stderr is None:  # print() would use stdout instead
        return
    with contextlib.suppress(OSError, ValueError):  # a full disk or a closed pipe
        print(text, file=sys.stderr, flush=True)


def console() -> Console:
    """Console on stdout; 120 columns wide where that is no terminal."""
    from rich.console import Console

    is_screen = sys.stdout is not None and sys.stdout.isatty()
    return Console(width=None if is_screen else PIPE_WIDTH, highlight=False, markup=False, emoji=False)


def print_table(headings: Iterable[str], rows: Iterable[Iterable[str]], numbers: Iterable[str] = ()) -> None:
    """Print a table with `headings`; the columns named in `numbers` are right-aligned."""
    from rich.table import Table
    from rich.text import Text

    right = set(numbers)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in headings:
        side: Any = "right" if heading in right else "left"
        table.add_column(heading, justify=side, overflow="fold", no_wrap=not table.columns)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    _print(table)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print facts as a table of names and values."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(Text(name, "bold"), Text(value))
    _print(table)


def _print(table: Table) -> None:
    screen = console()
    with screen.capture() as capture:
        screen.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())  # rich pads every line


def print_json(value: Any) -> None:
    """Print `value` as JSON, non-ASCII letters as they are."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def plain(text: str, limit: int = 200) -> str:
    """One line without control characters, cut at `limit` characters."""
    shown = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in shown)
