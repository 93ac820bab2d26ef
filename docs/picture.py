"""Picture of the chat for README.md: what a terminal shows in a real run with the demo model, as SVG.

python docs/picture.py

It types into `seallm chat`, and draws the terminal's cells while a reply streams. It needs what `make setup` installs.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from support.terminal import Terminal  # noqa: E402

MODEL = "smollm2-135m-instruct"
ROWS, COLUMNS = 24, 92
QUESTION = "Write a short letter to my teacher."
TYPED_AHEAD = "ขอบคุณ · សូមអរគុណ · ကျေးဇူးတင်ပါတယ် · cảm ơn"
CELL, ROW, FONT_SIZE, MARGIN = 8.4, 19, 14, 16
INK, PAPER, QUIET = "#d8dee4", "#14191f", "#7b8794"
COLOURS = {
    "default": INK, "black": "#3b4252", "red": "#e06c75", "green": "#98c379", "brown": "#e5c07b", "blue": "#61afef",
    "magenta": "#c678dd", "cyan": "#56b6c2", "white": INK, "brightblack": QUIET,
}  # fmt: skip


def main() -> None:
    """Write docs/chat.svg."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "chat.svg")
    parser.add_argument("--seed", default="3")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        terminal = chat(home, arguments.seed)
        arguments.output.write_text(picture(terminal), encoding="utf-8")
        terminal.kill()


def chat(home: str, seed: str) -> Terminal:
    """Terminal with a chat in the middle of a reply, and a message that is typed ahead."""
    command = [sys.executable, "-c", "from seallm_edge.cli import main; main()", "chat", MODEL, "--seed", seed]
    terminal = Terminal([*command, "--temperature", "0.3"], ROWS, COLUMNS, {"SEALLM_HOME": home})
    terminal.wait_for(" tokens (")
    terminal.type("What is the capital of Japan?\r")
    terminal.wait_for("Tokyo")
    terminal.wait_for(" tokens (")
    terminal.type(f"{QUESTION}\r")
    terminal.wait_for("Ctrl-C stops")
    terminal.type(TYPED_AHEAD)
    terminal.wait_for(lambda rows: TYPED_AHEAD in rows[-2] and "Ctrl-C stops" in rows[-1] and bool(rows[ROWS - 6]))
    return terminal


def picture(terminal: Terminal) -> str:
    """SVG of the terminal's screen."""
    width, height = COLUMNS * CELL + 2 * MARGIN, ROWS * ROW + 2 * MARGIN
    rows = "\n".join(row(y, cells) for y, cells in enumerate(terminal.cells()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" font-size="{FONT_SIZE}" '
        'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace">\n'
        "<title>seallm chat: a reply streams, and the next message is typed below it</title>\n"
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="10" fill="{PAPER}"/>\n{rows}\n</svg>\n'
    )


def row(y: int, cells: list[Any]) -> str:
    """Row of the screen: each run of cells of one look is a text at its column."""
    return "".join(run(y, x, text, look) for x, text, look in runs(cells))


def runs(cells: list[Any]) -> Iterator[tuple[int, str, Any]]:
    """(column, text, a cell with its look) of each run of cells that look alike."""

    def look(place: tuple[int, Any]) -> tuple[Any, ...]:
        cell = place[1]
        return cell.fg, cell.bold, cell.italics, cell.underscore

    for _, group in itertools.groupby(enumerate(cells), key=look):
        places = list(group)
        text = "".join(cell.data for _, cell in places)
        if text.strip():
            lead = len(text) - len(text.lstrip(" "))
            yield places[0][0] + lead, text.strip(" "), places[0][1]


def run(y: int, x: int, text: str, cell: Any) -> str:
    """SVG text at a place of the screen."""
    left, base = MARGIN + x * CELL, MARGIN + (y + 0.75) * ROW
    colour = QUIET if y == ROWS - 1 else COLOURS.get(cell.fg, f"#{cell.fg}")
    weight = ' font-weight="bold"' if cell.bold else ""
    slant = ' font-style="italic"' if cell.italics else ""
    fixed = f' textLength="{len(text) * CELL:.1f}"' if text.isascii() else ""
    style = f'fill="{colour}"{weight}{slant}{fixed} xml:space="preserve"'
    return f'<text x="{left:.1f}" y="{base:.1f}" {style}>{escape(text)}</text>\n'


if __name__ == "__main__":
    main()
