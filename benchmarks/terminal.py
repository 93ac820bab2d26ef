"""The chat as its user feels it, in tmux: echo of keys, work of the screen, start, first tokens.

    python benchmarks/terminal.py [echo screen start resume typing] [--model MODEL] [--runs 10] [--json]

echo      milliseconds from a key to its echo, at the prompt and while a reply streams
screen    processor time that showing one token takes, as a share of the decode time at 100 tokens/s
start     seconds from the command to its prompt
resume    seconds to the first token of the next reply, in a conversation of 2,000 tokens that is resumed
typing    seconds from Enter to the first token, of a message of 300 tokens typed over ten seconds and of the same
          message pasted: while it is typed, it is prefilled

Needs tmux, whose control mode tells when a program's output reaches the terminal. Every figure is of one machine: give
it with the machine's name. Nothing is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seallm_edge.chat.history import History
from seallm_edge.terminal import MarkdownStream
from seallm_edge.terminal.reply_area import ReplyArea
from seallm_edge.terminal.typed_ahead import TypedAhead
from seallm_edge.text.samples import SENTENCES

MODEL = "smollm2-135m-instruct"
TOKEN_SECONDS = 0.01  # at 100 tokens/s
GREEDY = ("--temperature", "0", "--repeat-penalty", "1")
LOADED = rb"of [0-9,]+ tokens"  # in the status line
FIRST_TEXT = rb"\x1b8[^\x1b\r\n]+\x1b7"  # of a reply, in the scrolling region
WORDS = "the farmer walks to the market before the rain begins and buys rice fish salt and a lamp for his house "
ESCAPE = re.compile(rb"\\([0-7]{3})")


class Pane:
    """Program in a tmux pane of 100 columns and 30 rows. `wait` gives the time at which its output matched."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self._name = f"seallm-{os.getpid()}-{time.monotonic_ns()}"
        program = [sys.executable, "-c", "from seallm_edge.cli import main; main()", "chat", *arguments]
        environment = {**os.environ, "SEALLM_HOME": str(home), "TERM": "xterm-256color"}
        environment.pop("TMUX", None)
        waiting = ["sh", "-c", 'echo ready; read -r go; exec "$@"', "sh", *program]  # tmux starts before the clock does
        self._tmux = subprocess.Popen(
            ["tmux", "-L", self._name, "-f", "/dev/null", "-C", "new-session", "-x", "100", "-y", "30", *waiting],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
        )  # fmt: skip
        self._changed = threading.Condition()
        self._output = b""
        threading.Thread(target=self._listen, daemon=True).start()
        self.wait(b"ready")
        self.started = self.type("\r")

    def type(self, keys: str) -> float:
        """Send keys: the time at which they went."""
        codes = " ".join(f"{byte:02x}" for byte in keys.encode())
        sent = time.monotonic()
        self._tmux.stdin.write(f"send-keys -H {codes}\n".encode())
        self._tmux.stdin.flush()
        return sent

    def forget(self) -> None:
        """Let `wait` look at later output only."""
        with self._changed:
            self._output = b""

    def wait(self, pattern: bytes, seconds: float = 120.0) -> float:
        """Wait for output that matches: the time at which it came."""
        with self._changed:
            if not self._changed.wait_for(lambda: re.search(pattern, self._output), seconds):
                raise SystemExit(f"no {pattern!r} within {seconds:.0f} s; last output: {self._output[-300:]!r}")
            return time.monotonic()

    def close(self) -> None:
        """End the program."""
        subprocess.run(["tmux", "-L", self._name, "kill-server"], check=False, capture_output=True)
        self._tmux.communicate()

    def _listen(self) -> None:
        for line in self._tmux.stdout:
            if line.startswith(b"%output "):
                data = line.split(b" ", 2)[2].rstrip(b"\n")
                with self._changed:
                    self._output += ESCAPE.sub(lambda code: bytes([int(code[1], 8)]), data)
                    self._changed.notify_all()


def echo(model: str, runs: int) -> dict[str, Any]:
    """Milliseconds from key to echo, at the prompt and beside a streaming reply; 20 keys a run."""
    with tempfile.TemporaryDirectory() as folder:
        pane = Pane(Path(folder), model, *GREEDY, "--max-tokens", "3000", "--context", "8192")
        pane.wait(LOADED)
        at_prompt = [_key_seconds(pane, f"x{number % 10}") for number in range(10 * runs)]
        pane.type("\x03")
        pane.type("Write a very long story about a village and its people.\r")
        pane.wait(FIRST_TEXT)
        in_reply = [_key_seconds(pane, f"x{number % 10}") for number in range(10 * runs)]
        pane.forget()
        pane.wait(rb"Ctrl-C stops")  # it still streams
        pane.close()
    return {"at_prompt_ms": _spread(at_prompt, 1000), "in_reply_ms": _spread(in_reply, 1000)}


def _key_seconds(pane: Pane, keys: str) -> float:
    """Seconds until the second of two keys is shown behind the first."""
    pane.type(keys[0])
    pane.wait(keys[0].encode())
    time.sleep(0.07)
    pane.forget()
    sent = pane.type(keys[1])
    return pane.wait(keys[1].encode()) - sent


def screen(_model: str, _runs: int) -> dict[str, Any]:
    """Share of the decode time at 100 tokens/s that showing a token takes, in deltas of four characters."""
    shares = {}
    for language, sentences in SENTENCES.items():
        text = "".join(f"## {number}\n\n- **{one}**\n\n{one} {one}\n\n" for number in range(20) for one in sentences)
        deltas = [text[start : start + 4] for start in range(0, len(text), 4)]
        shares[language] = min(_show_seconds(deltas) for _ in range(3)) / len(deltas) / TOKEN_SECONDS
    return {"share_by_language": {language: round(share, 5) for language, share in shares.items()}}


def _show_seconds(deltas: list[str]) -> float:
    """Processor seconds that showing these deltas takes, on a pseudo-terminal that somebody reads."""
    parent, child = pty.openpty()
    threading.Thread(target=_drain, args=(parent,), daemon=True).start()
    with os.fdopen(child, "w", encoding="utf-8") as output:
        rendered = MarkdownStream(100)
        with ReplyArea(TypedAhead("a line that is typed ahead", 10), rendered.resize, output) as area:
            began = time.thread_time()
            for delta in deltas:
                area.write(rendered.feed(delta))
            return time.thread_time() - began


def _drain(number: int) -> None:
    try:
        while os.read(number, 1 << 16):
            pass
    except OSError:
        os.close(number)


def start(model: str, runs: int) -> dict[str, Any]:
    """Seconds from the command to the prompt, and to the loaded model."""
    prompts, loaded = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(runs + 1):
            pane = Pane(Path(folder), model)
            prompts.append(pane.wait("›".encode()) - pane.started)
            loaded.append(pane.wait(LOADED) - pane.started)
            pane.close()
    return {"prompt_seconds": _spread(prompts[1:]), "loaded_seconds": _spread(loaded[1:])}


def resume(model: str, runs: int) -> dict[str, Any]:
    """Seconds from Enter to the first token after a restart, and without the KV snapshot."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        pane = Pane(home, model, *GREEDY, "--max-tokens", "10")
        pane.wait(LOADED)
        pane.type(f"\x1b[200~{WORDS * 90}\x1b[201~")
        _first_text_seconds(pane)
        pane.wait(LOADED)
        pane.type("\x04")
        time.sleep(2)
        pane.close()
        resumed = [_resumed_seconds(home, model) for _ in range(runs)]
        cold = []
        for _ in range(min(runs, 3)):
            shutil.rmtree(home / "snapshots", ignore_errors=True)
            cold.append(_resumed_seconds(home, model, "--no-snapshots", prefilled=False))
    return {"first_token_seconds": _spread(resumed), "without_snapshot_seconds": _spread(cold)}


def _resumed_seconds(home: Path, model: str, *options: str, prefilled: bool = True) -> float:
    pane = Pane(home, model, "--continue", *GREEDY, "--max-tokens", "10", *options)
    pane.wait(LOADED)
    pane.type("And then?")
    pane.wait(rb"then\?")
    if prefilled:
        time.sleep(2)
    seconds = _first_text_seconds(pane)
    pane.type("\x03")
    pane.close()
    return seconds


def typing(model: str, runs: int) -> dict[str, Any]:
    """Seconds from Enter to the first token: typed over ten seconds, and pasted; and the ratio of their medians."""
    text = (WORDS * 20)[:1400]
    typed, pasted = [], []
    for _ in range(runs):
        typed.append(_message_seconds(model, lambda pane: _type_slowly(pane, text, 10.0)))
        pasted.append(_message_seconds(model, lambda pane: pane.type(f"\x1b[200~{text}\x1b[201~")))
    ratio = statistics.median(typed) / statistics.median(pasted)
    return {"typed_seconds": _spread(typed), "pasted_seconds": _spread(pasted), "ratio": round(ratio, 3)}


def _message_seconds(model: str, write: Callable[[Pane], object]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        pane = Pane(Path(folder), model, *GREEDY, "--max-tokens", "4")
        pane.wait(LOADED)
        time.sleep(1)
        write(pane)
        seconds = _first_text_seconds(pane)
        pane.close()
        return seconds


def _type_slowly(pane: Pane, text: str, seconds: float) -> None:
    """Type over a time, a word at a time."""
    words = re.findall(r"\S+\s*", text)
    began = time.monotonic()
    for number, word in enumerate(words):
        time.sleep(max(0.0, began + seconds * number / len(words) - time.monotonic()))
        pane.type(word)


def _first_text_seconds(pane: Pane) -> float:
    """Seconds from Enter to the first text of the reply."""
    pane.forget()
    sent = pane.type("\r")
    return pane.wait(FIRST_TEXT) - sent


def _spread(values: list[float], scale: float = 1.0) -> dict[str, float]:
    ordered = sorted(value * scale for value in values)
    return {
        "n": len(ordered),
        "median": round(statistics.median(ordered), 3),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 3),
        "min": round(ordered[0], 3),
        "max": round(ordered[-1], 3),
    }


MEASURES: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "echo": echo, "screen": screen, "start": start, "resume": resume, "typing": typing,
}  # fmt: skip


def main() -> None:
    """Print the figures line by line, or with --json as an object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", choices=[*MEASURES, []], default=[])
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = {name: MEASURES[name](arguments.model, arguments.runs) for name in arguments.what or MEASURES}
    if arguments.json:
        print(json.dumps(figures, ensure_ascii=False))
        return
    for name, measured in figures.items():
        for key, value in measured.items():
            print(f"{name:<8}{key:<26}{value}")


if __name__ == "__main__":
    History.in_memory().close()  # imports what the chat imports, so that the first run finds it in the file cache
    main()
