"""`seallm pull`: a model from a hub. Only parses options, asks for consent, and prints the offer and the progress."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SeaLLMError
from ..files.sizes import readable
from ..hints import command_line_words
from .found_elsewhere import answer, find_elsewhere, found_facts, found_line, import_command, link_in_place
from .output import diagnostic, plain
from .progress import ProgressLine
from .warnings import show_warnings

if TYPE_CHECKING:
    from ..hub import Network
    from ..store import Installed
    from ..store.carrying.discovery import Found
    from ..store.licenses import License
    from ..store.pulling.offer import Offer
    from ..store.pulling.progress import Progress
    from ..store.pulling.pull import PlannedPull

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_JSON_SECONDS = 0.5  # between two lines of progress
_PRINTING = threading.Lock()
_MAX_LINE = 1_000  # characters of a line of the offer
# Once the first bytes came, a pull waits out a day without a network or power; opening the hub is tried 3 times only.
_PATIENCE_RETRIES = 24 * 60 * 2


@app.command()
def command(
    model: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="A name from `seallm models`, ORG/NAME on a hub, or a GGUF's URL.")
    ] = "",
    type_: Annotated[
        str | None,
        typer.Option("--type", "-t", help="Q4_K_M, Q8_0, …; default: the best that fits in memory and disk."),
    ] = None,
    gguf: Annotated[
        str | None, typer.Option(metavar="REPO[:FILE]", help="A ready GGUF of a hub's repository, by name or type.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of the repository; default: main.")
    ] = None,
    limit_rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="Bytes per second at most: 300K, 2M, …")
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Address of another hub, or the one that `seallm share` shows."),
    ] = None,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="Accept the model's licence, which is then not asked for.")
    ] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Get also what cannot run here.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and get nothing.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON Lines for programs.")] = False,
) -> None:
    """Get a model: official weights converted while they come, or a ready GGUF. The same command resumes it.

    It first says what it costs in network, disk and memory.
    """
    from ..store.pulling.pull import plan_pull
    from ..store.pulling.wanted import parse_wanted

    show_warnings()
    with ProgressLine() as line:
        told = JsonLines(line) if json_output else Told(line)
        try:
            network = network_of(told, endpoint, limit_rate)
            with told.stops():
                found = None if endpoint else find_elsewhere(parse_wanted(model, type_, gguf, revision), line)
                if found and told.found(found, may_ask=not dry_run):
                    told.done(link_in_place(found, line))
                    return
                planned = plan_pull(model, type=type_, gguf=gguf, revision=revision, network=network, anyway=anyway)
            get(planned, told, accept_license, dry_run)
        except SeaLLMError as error:
            if not json_output:
                raise
            told.failed(error)
            raise typer.Exit(1) from error


def get(planned: PlannedPull | Installed, told: Told, accept_license: bool, dry_run: bool = False) -> Installed | None:
    """Carry out a planned pull, and tell its user everything; None for a dry run."""
    from ..store import Installed

    if isinstance(planned, Installed):
        told.here(planned)
        return planned
    told.offer(planned.offer)
    if dry_run:
        return None
    with told.stops():
        model = planned.carry_out(accept_license or told.consent, told.progress)
    told.done(model)
    return model


@dataclass
class Told:
    """What a pull tells a person: lines on stderr with a progress line below, and the installed model on stdout."""

    line: ProgressLine
    command: str = ""  # that resumes an interrupted pull; "" for the one that runs
    last: Progress | None = field(default=None, init=False)
    problem: str = field(default="", init=False)

    def offer(self, offer: Offer) -> None:
        """Print what it will cost."""
        for text in offer.lines():
            self.line.note(plain(text, _MAX_LINE))

    def consent(self, license_: License) -> bool:
        """Ask whether the licence is accepted; False without a terminal."""
        return answer("Do you accept this licence? [y/N]", self.line) in ("y", "yes")

    def found(self, found: Found, may_ask: bool) -> bool:
        """Whether the model of another program is to be linked instead; where nobody is asked, say how and go on."""
        if not may_ask or (said := answer(f"{found_line(found)}: link it? [Y/n]", self.line)) is None:
            self.line.note(f"{found_line(found)}; to link it instead: {import_command(found)} (seallm import --find)")
            return False
        return said in ("", "y", "yes")

    def progress(self, progress: Progress) -> None:
        """Draw the progress line."""
        self.last = progress
        self.line.show(progress_text(progress))

    def trouble(self, problem: str) -> None:
        """Print why it waits; while it is the same, in the progress line only."""
        what = problem.rpartition("; again ")[0]
        if what and what == self.problem:
            self.line.show(plain(problem))
        else:
            self.line.note(plain(problem, _MAX_LINE))
        self.problem = what

    def here(self, model: Installed) -> None:
        """Say that there is nothing to do."""
        self.line.note(f"{model.name} is on this computer already ({readable(model.size)})")
        print(model.path)

    def done(self, model: Installed) -> None:
        """Print where the model is, and how to use it."""
        self.line.erase()
        print(model.path)
        verb = "run" if model.card and not model.card.chat else "chat"
        diagnostic(f"{readable(model.size)}, checked; try it: seallm {verb} {shlex.quote(model.name)}")

    def stopped(self) -> None:
        """Say what is kept, and the command that resumes it."""
        kept = "what came before is kept"
        if self.last:
            kept = f"{readable(self.last.done)} of {readable(self.last.total)} are kept"
        self.line.note(f"stopped; {kept} on the disk. To go on: {self.command or _same_command()}")

    @contextlib.contextmanager
    def stops(self) -> Iterator[None]:
        """Tell of Ctrl-C in the block."""
        try:
            yield
        except KeyboardInterrupt:
            self.stopped()
            raise

    def failed(self, error: SeaLLMError) -> None:
        """Nothing: the command's wrapper prints errors."""


class JsonLines(Told):
    """What a pull tells a program: an object a line on stdout, progress at most twice a second."""

    _told_at = 0.0

    def offer(self, offer: Offer) -> None:
        """Print the offer."""
        _print_event("offer", offer.as_dict())

    def consent(self, license_: License) -> bool:
        """Refuse: a program gives its consent beforehand."""
        return False

    def found(self, found: Found, may_ask: bool) -> bool:
        """Print the model of another program, and go on."""
        _print_event("found", found_facts(found))
        return False

    def progress(self, progress: Progress) -> None:
        """Print the progress."""
        self.last = progress
        if time.monotonic() - self._told_at >= _JSON_SECONDS:
            self._told_at = time.monotonic()
            _print_event("progress", progress.as_dict())

    def trouble(self, problem: str) -> None:
        """Print why it waits."""
        _print_event("trouble", {"message": problem})

    def here(self, model: Installed) -> None:
        """Print the model."""
        _print_event("done", {**_facts(model), "was_here": True})

    def done(self, model: Installed) -> None:
        """Print the model."""
        _print_event("done", {**_facts(model), "was_here": False})

    def stopped(self) -> None:
        """Print what is kept."""
        facts = self.last.as_dict() if self.last else {}
        _print_event("stopped", {"done": facts.get("done"), "total": facts.get("total"), "resume": _same_command()})

    def failed(self, error: SeaLLMError) -> None:
        """Print the error with its hint."""
        hint = error.hint.worded(command_line_words)
        _print_event("error", {"kind": type(error).__name__, "message": error.message, "hint": hint})


def progress_text(progress: Progress) -> str:
    """Progress in one line: share, bytes, speed, time left, and bytes over the network against the plan."""
    from ..store.pulling.offer import duration
    from ..store.pulling.progress import CHECKING, WAITING

    share = progress.done / progress.total if progress.total else 0.0
    if progress.phase == CHECKING:
        return "checking" if share in (0.0, 1.0) else f"checking {share:.0%}"
    text = f"{share:4.0%}, {readable(progress.done)} of {readable(progress.total)}"
    if progress.speed:
        text += f", {readable(int(progress.speed))}/s"
    if progress.seconds_left is not None:
        text += f", {duration(progress.seconds_left)} left"
    if progress.phase == WAITING:
        return f"another process gets it: {text.strip()}"
    return f"{text}; network {readable(progress.network)} of {readable(progress.network_plan)}"


def network_of(told: Told, endpoint: str | None = None, limit_rate: str | None = None) -> Network:
    """Network of a pull, which waits for hours and tells why."""
    from ..files.sizes import parse_rate
    from ..hub import Network, Patience, RateLimit

    limit = RateLimit(parse_rate(limit_rate)) if limit_rate else None
    return Network(endpoint, limit, Patience(retries=_PATIENCE_RETRIES), told.trouble)


def _print_event(name: str, facts: dict[str, Any]) -> None:
    """Print one line, whole also where the thread that reads the network tells of trouble at the same moment."""
    line = json.dumps({"event": name, **facts}, ensure_ascii=False) + "\n"
    with _PRINTING:
        sys.stdout.write(line)
        sys.stdout.flush()


def _facts(model: Installed) -> dict[str, Any]:
    origin = model.entry.origin if model.entry else ""
    return {"name": model.name, "path": str(model.path), "size": model.size, "type": model.type_name, "origin": origin}


def _same_command() -> str:
    return shlex.join(["seallm", *sys.argv[1:]])
