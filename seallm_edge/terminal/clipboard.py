"""Clipboard: a text copied by a program of this machine, or sent to the terminal (OSC 52), which works over ssh.

In tmux the text goes to its buffer and on to the terminal. Knows no conversation.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple, TextIO

from ..errors import InvalidOption

# Characters of base64 that terminals take. ref: xterm's ctlseqs, "Manipulate Selection Data"; hterm and others: 100,000
MAX_SENT = 100_000
_SECONDS = 2.0
_FENCE = re.compile(r"[ \t]*(?:>[ \t]*)*(?:[-*+][ \t]+|\d+[.)][ \t]+)?(`{3,}|~{3,})(.*)")


class Tool(NamedTuple):
    """Program that takes a text on its standard input, in an encoding."""

    command: tuple[str, ...]
    encoding: str = "utf-8"


def copy(text: str, environ: Mapping[str, str], terminal: TextIO) -> str:
    """Copy a text: the name of the program that took it, "" if it was sent to the terminal.

    Takes some 2 seconds at most for each program. Raises InvalidOption where neither is possible.
    """
    for tool in tools(environ):
        if _takes(tool, text):
            return tool.command[0]
    if not terminal.isatty() or environ.get("TERM") in ("dumb", "linux"):
        raise InvalidOption("this terminal has no clipboard", "/export writes the conversation to a file")
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    if len(encoded) > MAX_SENT:
        problem = f"{len(text):,} characters are too many for the clipboard of a terminal"
        raise InvalidOption(problem, "/export writes the conversation to a file")
    terminal.write(f"\x1b]52;c;{encoded}\x1b\\")
    terminal.flush()
    return ""


def tools(environ: Mapping[str, str]) -> list[Tool]:
    """Programs that reach the clipboard the user sees, the best first: tmux inside it, and those of a local desktop."""
    found = []
    if environ.get("TMUX"):
        found.append(Tool(("tmux", "load-buffer", "-w", "-")))
    if not (environ.get("SSH_CONNECTION") or environ.get("SSH_TTY")):
        if sys.platform == "darwin":
            found.append(Tool(("pbcopy",)))
        if sys.platform == "win32" or environ.get("WSL_DISTRO_NAME"):
            found.append(Tool(("clip.exe",), "utf-16"))  # with a byte order mark; without it, the system's code page
        if environ.get("WAYLAND_DISPLAY"):
            found.append(Tool(("wl-copy",)))
        if environ.get("DISPLAY"):
            found += [Tool(("xclip", "-selection", "clipboard")), Tool(("xsel", "--clipboard", "--input"))]
    return [tool for tool in found if shutil.which(tool.command[0], path=environ.get("PATH"))]


def _takes(tool: Tool, text: str) -> bool:
    """Whether a program took the text. It may stay in the background, to own the clipboard."""
    try:
        done = subprocess.run(
            tool.command,
            input=text.encode(tool.encoding, "replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            start_new_session=True,  # Ctrl-C in the chat is not meant for it
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def last_code_block(markdown: str) -> str | None:
    """Content of the last fenced code block, without its fences; None if there is none. It may lack its end."""
    found: list[str] | None = None
    fence, indent = "", 0
    for line in markdown.splitlines():
        match = _FENCE.match(line)
        if not fence:
            if match and not (match[1][0] == "`" and "`" in match[2]):
                fence, indent, found = match[1], match.start(1), []
        elif match and match[1].startswith(fence) and not match[2].strip():
            fence = ""
        elif found is not None:
            found.append(line if line[:indent].strip(" \t>") else line[indent:])
    return None if found is None else "\n".join(found)
