"""Rewrite the outputs that the documents show, with what their commands and programs print now: `make docs`.

python docs/update.py [--check]

- docs/commands.md: the reference, from `--help` of every command;
- docs/models.md: the table of costs, from the cards;
- README.md and docs/: the lines below a `$ seallm` command that runs the demo model;
- README.md, docs/integration.md and docs/python.md: the lines below a block of Python;
- examples/: the output in each docstring.

A program that fails stops the update before any file is written. `--check` writes nothing, and fails where a file
would change. It needs what `make setup` installs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import typer

from seallm_edge.catalogue.cards import Card, cards
from seallm_edge.cli.app import COMMANDS, app
from seallm_edge.files.sizes import readable
from seallm_edge.plan.memory import needed_bytes

ROOT = Path(__file__).resolve().parent.parent
DEMO = "smollm2-135m-instruct"
# a page's blocks share their names, as one program
WITH_PROGRAMS = ("README.md", "docs/integration.md", "docs/python.md")
NOT_RUN = ("desktop.py", "desktop_talk.py", "desktop_widgets.py")  # a program that waits for its user
BEGIN, END = "<!-- written by `make docs` from --help -->\n", "<!-- end -->\n"
COSTS_BEGIN = "<!-- written by `make docs` from the cards -->\n"
COSTS_OF = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")
BYTES_PER_WEIGHT = 2  # of the official weights

BLOCK = re.compile(r"(^```python\n(.*?)^```\n)(?:\n((?: {4}[^\n]*\n|\n(?= {4}))+))?", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"(^ {4}\$ (seallm [^\n]*)\n)((?: {4}(?!\$ )[^\n]*\n|\n(?= {4}(?!\$ )))*)", re.MULTILINE)
DOCSTRING = re.compile(r"(\n\$ (python examples/\S+)\n)(.*?)(?=\"\"\")", re.DOTALL)

SEALLM = "import sys; sys.argv[0] = 'seallm'; from seallm_edge.cli import main; main()"
# Prints a list: the output of each block of the program, or None where a library or a checkpoint for it is missing.
BLOCKS_IN_TURN = """
import contextlib, io, json, sys
from seallm_edge.errors import CheckpointError
names, outputs = {"__name__": "__main__"}, []
for code in json.load(sys.stdin):
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "a block", "exec"), names)
        outputs.append(printed.getvalue())
    except (ImportError, CheckpointError):
        outputs.append(None)
print(json.dumps(outputs))
"""


def main() -> int:
    """Update or check every document; the exit code is 1 where a check fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where a file would change")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as home:  # nothing of the user's own models and settings is shown
        os.environ.update(SEALLM_HOME=home, COLUMNS="80", TERM="dumb", PYTHONUTF8="1", SEALLM_LANG="en")
        texts = {path: updated(path) for path in documents()}
    changed = [path for path, text in texts.items() if text != path.read_text(encoding="utf-8")]
    for path in changed:
        print(f"{'stale' if check else 'rewritten'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(texts[path], encoding="utf-8", newline="\n")
    return 1 if check and changed else 0


def documents() -> list[Path]:
    """Pages and examples that show outputs."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return pages + [path for path in sorted((ROOT / "examples").glob("*.py")) if path.name not in NOT_RUN]


def updated(path: Path) -> str:
    """Text of a document with its outputs as they are now."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return with_docstring_output(text, lambda command: output_of(shlex.split(command)[1:]))
    if path.relative_to(ROOT).as_posix() in WITH_PROGRAMS:
        text = with_block_outputs(text, block_outputs)
    text = with_command_outputs(text, lambda command: output_of(["-c", SEALLM, *shlex.split(command)[1:]]))
    text = with_reference(text, reference()) if BEGIN in text else text
    return with_reference(text, costs(), COSTS_BEGIN) if COSTS_BEGIN in text else text


def with_command_outputs(page: str, run: Callable[[str], str]) -> str:
    """The page with the lines below each `$ seallm` command of the demo model replaced by what `run` returns for it."""

    def replaced(found: re.Match[str]) -> str:
        line, command, _ = found.groups()
        return line + indented(run(command)) if DEMO in command else found[0]

    return COMMAND.sub(replaced, page)


def with_block_outputs(page: str, run: Callable[[list[str]], list[str | None]]) -> str:
    """The page with the lines below its Python blocks replaced by what `run` returns for them all; None keeps some."""
    outputs = iter(run([code for _, code, _ in BLOCK.findall(page)]))

    def replaced(found: re.Match[str]) -> str:
        output = next(outputs)
        if output is None:
            return found[0]
        return found[1] + (f"\n{indented(output)}" if output else "")

    return BLOCK.sub(replaced, page)


def with_docstring_output(source: str, run: Callable[[str], str]) -> str:
    """The example with the output in its docstring replaced by what `run` returns for its command."""
    return DOCSTRING.sub(lambda found: found[1] + run(found[2]), source, count=1)


def with_reference(page: str, text: str, begin: str = BEGIN) -> str:
    """The page with `text` between the two marks."""
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n{text}\n{END}{rest.partition(END)[2]}"


def costs() -> str:
    """Table of what each SeaLLMs model costs in each type: network, disk, memory."""
    rows = [
        "| model | type | over the network | on the disk | memory, short chats | memory, long chats |",
        "|---" * 6 + "|",
    ]
    of_shape: dict[object, list[Card]] = {}
    for card in sorted(cards().values(), key=lambda card: card.parameters):
        if not card.stand_in:
            of_shape.setdefault(card.shape, []).append(card)
    for same in of_shape.values():
        card, names = same[0], ", ".join(f"`{each.name}`" for each in same)
        network = readable(BYTES_PER_WEIGHT * card.parameters)
        for kind in COSTS_OF:
            memory = (readable(needed_bytes(card, kind, n_ctx)) for n_ctx in (2_048, 8_192))
            rows.append(f"| {names} | {kind} | {network} | {readable(card.size(kind))} | {' | '.join(memory)} |")
    return "\n".join(rows) + "\n"


def command_names() -> list[str]:
    """Names of all commands in the order of the table, those of a group after it: "sessions", "sessions list"."""
    commands = typer.main.get_command(app)
    names = []
    for name in COMMANDS:
        group = commands.get_command(None, name)  # type: ignore[attr-defined]
        names += [name, *(f"{name} {each}" for each in getattr(group, "commands", ()))]
    return names


def reference() -> str:
    """What `--help` prints, command by command."""
    helps = {name: output_of(["-c", SEALLM, *name.split(), "--help"]) for name in command_names()}
    return "\n".join(f"### seallm {name} --help\n\n```text\n{text.strip()}\n```\n" for name, text in helps.items())


def block_outputs(blocks: list[str]) -> list[str | None]:
    """Output of each block, all run in one process."""
    with tempfile.TemporaryDirectory() as folder:  # blocks write files
        outputs: list[str | None] = json.loads(output_of(["-c", BLOCKS_IN_TURN], json.dumps(blocks), Path(folder)))
    return outputs


def output_of(arguments: list[str], stdin: str = "", folder: Path = ROOT) -> str:
    """Standard output of Python with these arguments; where it fails, the update ends with its messages."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, encoding="utf-8", cwd=folder, check=False)
    if done.returncode:
        sys.exit(f"{shlex.join(arguments)}\n{done.stderr}")
    return done.stdout


def indented(text: str) -> str:
    """The lines of an output as a Markdown code block."""
    return "".join(f"    {line}\n" if line else "\n" for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
