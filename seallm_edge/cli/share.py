"""`seallm share`: models of this computer for others on the local network. Only parses options and prints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from .options import complete_model
from .output import diagnostic, plain
from .progress import ProgressLine

if TYPE_CHECKING:
    from ..hub import RateLimit
    from ..store.sharing.server import Transfer

_MAX_NAME = 1_000  # characters

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names from `seallm list`, or paths of GGUFs; default: all.", autocompletion=complete_model
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address of this computer for others, or 0.0.0.0; without it, for this computer only."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port; default: 8976; 0 takes a free one.")
    ] = None,
    limit_rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="Send at most 300K, 2M, … bytes a second in all.")
    ] = None,
) -> None:
    """Share models with other computers on the local network, read-only; Ctrl-C ends it.

    It prints the command that the others give.
    """
    from ..errors import worded
    from ..hints import command_line_words
    from ..store.sharing.share import PORT, share

    with ProgressLine() as line:
        running = share(
            models or (),
            host=host,
            port=PORT if port is None else port,
            limit=_limit(limit_rate),
            progress=line.show_bytes,
            on_transfer=lambda transfer: diagnostic(_line_of(transfer)),
            on_error=lambda error: line.note(f"not shared: {worded(error, command_line_words)}"),
        )
    with running:
        for name in running.models:
            print(
                f"seallm pull --gguf {_quoted(plain(name, _MAX_NAME))} --endpoint {_quoted(running.address)}",
                flush=True,
            )
        diagnostic(f"sharing at {running.address}; Ctrl-C ends it")
        running.serve()


def _quoted(word: str) -> str:
    """Word for the shells of Linux, macOS and Windows."""
    return word if re.fullmatch(r"[\w.:/#@+=-]+", word) else f'"{word}"'


def _limit(rate: str | None) -> RateLimit | None:
    from ..files.sizes import parse_rate
    from ..hub import RateLimit

    return RateLimit(parse_rate(rate)) if rate else None


def _line_of(transfer: Transfer) -> str:
    from ..files.sizes import readable

    whole = "" if transfer.is_whole else f" of {readable(transfer.asked)}, and then the connection was lost"
    return f"{transfer.client}  {plain(transfer.file)}  {readable(transfer.sent)}{whole} in {transfer.seconds:.1f} s"
