"""`seallm pull`: a model from a hub. Only parses options, asks for consent, and prints the offer and the progress."""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SeaLLMError
from ..files.sizes import readable
from ..hints import command_line_words
from . import options
from .conversion import line_with_warnings
from .output import diagnostic
from .progress import ProgressLine

if TYPE_CHECKING:
    from ..hub import Network
    from ..store import Installed
    from ..store.licenses import License
    from ..store.pulling.offer import Offer
    from ..store.pulling.progress import Progress
    from ..store.pulling.pull import PlannedPull

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_JSON_SECONDS = 0.5  # between two lines of progress


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

    with line_with_warnings() as line:
        told = JsonLines(line) if json_output else Told(line)
        try:
            network = _network(endpoint, limit_rate, told)
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
    try:
        model = planned.carry_out(accept_license or told.consent, told.progress)
    except KeyboardInterrupt:
        told.stopped()
        raise
    told.done(model)
    return model


@dataclass
class Told:
    """What a pull tells a person: lines on stderr with a progress line below, and the installed model on stdout."""

    line: ProgressLine
    command: str = ""  # that resumes an interrupted pull; "" for the one that runs
    last: Progress | None = field(default=None, init=False)

    def offer(self, offer: Offer) -> None:
        """Print what it will cost."""
        for text in offer.lines():
            self.line.note(text)

    def consent(self, license_: License) -> bool:
        """Ask whether the licence is accepted; False without a terminal."""
        if not options.is_interactive():
            return False
        self.line.note("Do you accept this licence? [y/N]")
        try:
            return input("> ").strip().lower() in ("y", "yes")
        except EOFError:
            return False

    def progress(self, progress: Progress) -> None:
        """Draw the progress line."""
        self.last = progress
        self.line.show(progress_text(progress))

    def trouble(self, problem: str) -> None:
        """Print why it waits."""
        self.line.note(problem)

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
        kept = f"{readable(self.last.done)} of {readable(self.last.total)}" if self.last else "all that came"
        self.line.note(f"stopped; {kept} are kept on the disk. To go on: {self.command or _same_command()}")

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


def _network(endpoint: str | None, limit_rate: str | None, told: Told) -> Network:
    from ..files.sizes import parse_rate
    from ..hub import Network, RateLimit

    limit = RateLimit(parse_rate(limit_rate)) if limit_rate else None
    return Network(endpoint, limit, on_trouble=told.trouble)


def _print_event(name: str, facts: dict[str, Any]) -> None:
    print(json.dumps({"event": name, **facts}, ensure_ascii=False), flush=True)


def _facts(model: Installed) -> dict[str, Any]:
    origin = model.entry.origin if model.entry else ""
    return {"name": model.name, "path": str(model.path), "size": model.size, "type": model.type_name, "origin": origin}


def _same_command() -> str:
    return shlex.join(["seallm", *sys.argv[1:]])
