"""`seallm serve`: the models for apps, editors and browsers on this computer. Only parses options and prints."""

from __future__ import annotations

import contextlib
import io
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .output import diagnostic
from .warnings import show_warnings

_MAX_KEY_BYTES = 4096

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def serve(
    model: Annotated[
        str | None,
        typer.Option(
            help="Model for requests that name none: a name, or the path of a GGUF; default: `seallm default`.",
            autocompletion=options.complete_model,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others than 127.0.0.1 need a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 11435,
    lan: Annotated[
        bool, typer.Option("--lan", help="Listen for the other computers of this network, with a key made for them.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the chat page in the browser.")] = False,
    api_key: Annotated[str | None, typer.Option(help="Key that requests must carry.", callback=options.as_text)] = None,
    api_key_file: Annotated[Path | None, typer.Option(help="File with the key, which `ps` does not show.")] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Web origin whose pages may use the server, as https://chat.example. May be repeated."),
    ] = None,
    share_history: Annotated[
        bool,
        typer.Option(
            "--share-history", help="Show your conversations to browsers on other computers; else they have their own."
        ),
    ] = False,
    allow_changes: Annotated[
        bool,
        typer.Option(
            "--allow-changes", help="Let requests get models (whose licences you accepted before) and delete them."
        ),
    ] = False,
    keep_alive: Annotated[
        float, typer.Option(help="Idle seconds after which a model leaves memory; below 0: never.")
    ] = 300.0,
    context: options.Context = None,
    threads: options.Threads = None,
    gpu_layers: options.GpuLayers = None,
    drafting: options.Drafting = None,
    force: options.Force = False,
) -> None:
    """Serve the models to apps, editors and browsers on this computer; Ctrl-C ends it.

    One port speaks OpenAI's, Ollama's and Anthropic's protocols, and has a chat page for browsers.
    """
    require_packages()
    from ..server import ServerSettings, serve
    from ..server.lan import lan_address, new_key

    key = key_of(api_key, api_key_file)
    if lan:
        host, key = "0.0.0.0", key or new_key()
    settings = ServerSettings(
        host=host,
        port=port,
        model=model,
        key=key,
        origins=tuple(origin or ()),
        allow_changes=allow_changes,
        shares_history=share_history,
        keep_alive=None if keep_alive < 0 else keep_alive,
        loading=options.given(
            context=context, threads=threads, gpu_layers=gpu_layers, drafting=drafting, force=force or None
        ),
    )

    def tell(url: str) -> None:
        port = url.rpartition(":")[2]
        shown = f"http://{lan_address()}:{port}" if lan else url
        print_addresses(shown, key, is_told=lan)
        if lan:
            print_qr_code(page_address(shown, key))
        if open_page:
            webbrowser.open(page_address(url if settings.is_local else f"http://127.0.0.1:{port}", key))

    show_warnings()
    serve(settings, tell)


def page_address(url: str, key: str | None) -> str:
    """Address of the chat page, with the key that it asks for: behind `#`, so that no request and no log has it."""
    return f"{url}/#key={key}" if key else f"{url}/"


def print_qr_code(address: str) -> None:
    """Print a QR code of an address for phones, on a terminal that can show one."""
    import segno

    if sys.stderr is None or not sys.stderr.isatty():
        return
    code = io.StringIO()
    segno.make(address, error="l", micro=False).terminal(out=code, border=2, compact=True)
    with contextlib.suppress(UnicodeEncodeError):
        diagnostic(code.getvalue().rstrip("\n"))


def print_addresses(url: str, key: str | None, *, is_told: bool) -> None:
    """Print the address for each kind of client: on stdout the bare one, for scripts. The key only where it `is_told`:
    who gave one knows it, and logs shall not.
    """
    print(url, flush=True)
    shown = "none needed: give any" if key is None else key if is_told else "yours"
    for line in (
        f"Chat page          {page_address(url, key if is_told else None)}",
        f"OpenAI clients     base URL {url}/v1   key: {shown}",
        f"Ollama clients     host {url}",
        f"Anthropic clients  base URL {url}   key: {shown}",
        "Ctrl-C ends the server",
    ):
        diagnostic(line)


def key_of(key: str | None, file: Path | None) -> str | None:
    """Key from the command line, or from a file. Raises InvalidOption for both, an unreadable or an empty file."""
    from ..errors import InvalidOption
    from ..files.text_file import UnreadableText, read_text_file

    if file is None:
        return key
    if key is not None:
        raise InvalidOption("--api-key and --api-key-file are both given", "give one of them")
    try:
        found = read_text_file(file, _MAX_KEY_BYTES).strip()
    except UnreadableText as error:
        raise InvalidOption(f"{file.name} {error}", "give a text file with the key") from error
    if not found:
        raise InvalidOption(f"{file.name} is empty", "write the key into it")
    return found


def require_packages() -> None:
    """Raises InvalidOption where the packages of the server are missing."""
    from importlib.util import find_spec

    from ..errors import InvalidOption

    if missing := [name for name in ("starlette", "uvicorn", "msgspec", "segno") if find_spec(name) is None]:
        raise InvalidOption(f"the server needs {', '.join(missing)}", f"pip install {' '.join(missing)}")
